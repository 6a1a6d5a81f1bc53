"""A crew of Ray's actors on a cluster. Paths travel, frames do not; each actor has a network of its own.

Ray neither restarts the actors nor repeats their calls here: the foreman does, so that every shard is done by one
actor at a time and none is forgotten when a node dies.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from posecv.batch.foreman import Lost, Outcome
from posecv.batch.processes import outcome_of
from posecv.batch.shards import Shard
from posecv.batch.stores import package
from posecv.batch.worker import Order, Worker
from posecv.errors import DeviceError, PoseError

__all__ = ["Actors", "connect", "cores"]

ANSWER = 5.0  # seconds in which a cluster's head must answer
PATIENCE = 1.0  # seconds between two reports of a crew that is busy


def connect(address: str) -> None:
    """Connect to a cluster: "auto" for the one that this machine belongs to, "local" for a new one on it alone.

    Raises
    ------
    DeviceError
        If Ray is missing, or there is no cluster.
    """
    ray = package("ray")
    host, _, port = address.rpartition("//")[2].rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself asks for minutes, and says so in a dozen lines
            socket.create_connection((host, int(port)), ANSWER).close()
        ray.init(None if address == "local" else address, log_to_driver=False, logging_level="error")
    except (OSError, RuntimeError, ValueError) as error:
        said = f"no cluster of Ray answers ({' '.join(str(error).split())[:200]})"
        raise DeviceError(f"ray={address}: {said}; start one with ray start --head") from None


def cores() -> int:
    """The CPUs of the cluster."""
    return max(1, int(package("ray").cluster_resources().get("CPU", 1)))


class _Actor:
    """A worker on some node."""

    def __init__(self, order: Order) -> None:
        self.where = package("ray").util.get_node_ip_address()
        own = sys.modules["posecv"].__version__
        if own != order.version:
            raise DeviceError(f"node {self.where} has posecv {own}, the foreman {order.version}; install the same")
        self._worker = Worker(order)

    def start(self) -> str:
        """Where it runs."""
        return str(self.where)

    def work(self, shard: Shard) -> Outcome:
        """What comes of a shard."""
        return outcome_of(self._worker, shard)


class Actors:
    """Several actors, each with one CPU."""

    def __init__(self, order: Order, count: int) -> None:
        self._ray = package("ray")
        self._order = self._ray.put(order)
        self._kind = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)
        self._actors: list[Any] = [self._hired() for _ in range(count)]
        self._starting: dict[Any, int] = {actor.start.remote(): number for number, actor in enumerate(self._actors)}
        self._working: dict[Any, int] = {}
        self._ready: set[int] = set()

    def _hired(self) -> Any:
        return self._kind.remote(self._order)

    def idle(self) -> Iterable[int]:
        """The actors that have begun and have no shard."""
        return sorted(self._ready)

    def give(self, worker: int, shard: Shard) -> None:
        """Let an actor begin with a shard."""
        self._ready.discard(worker)
        self._working[self._actors[worker].work.remote(shard)] = worker

    def wait(self) -> tuple[int, Outcome] | None:
        """The next outcome; an actor that died is replaced, on another node if its own is gone."""
        done, _ = self._ray.wait([*self._working, *self._starting], num_returns=1, timeout=PATIENCE)
        for reference in done:
            starts = reference in self._starting
            number = (self._starting if starts else self._working).pop(reference)
            try:
                outcome: Outcome = self._ray.get(reference)
            except self._ray.exceptions.RayActorError as error:
                if (cause := _cause(error)) is not None:
                    raise cause from None
                outcome = Lost()
                self._actors[number] = self._hired()
                self._starting[self._actors[number].start.remote()] = number
            else:
                self._ready.add(number)
            return None if starts else (number, outcome)
        return None

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            with suppress(Exception):
                self._ray.kill(actor)


def _cause(error: Exception) -> PoseError | None:
    """The error that an actor met when it was made; None if it died."""
    text = str(error)
    if "DeviceError" in text or "ModelError" in text or "UsageError" in text:
        line = next(line for line in reversed(text.splitlines()) if "Error: " in line)
        return DeviceError(line.partition("Error: ")[2])
    return None
