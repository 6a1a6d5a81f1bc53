"""A crew of processes on this machine, each with a network of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from posecv.batch.foreman import Failed, Lost, Outcome
from posecv.batch.shards import Shard
from posecv.batch.worker import Order, Worker
from posecv.errors import OutputError, PoseError

__all__ = ["Here", "Processes", "outcome_of"]

PATIENCE = 1.0  # seconds between two reports of a crew that is busy
FAREWELL = 5.0  # seconds in which a process may end by itself


def outcome_of(worker: Worker, shard: Shard) -> Outcome:
    """What comes of a shard, in words that travel."""
    try:
        return worker(shard)
    except (OutputError, OSError) as error:  # a store, or a disk
        return Failed(" ".join(str(error).split()))
    except PoseError as error:
        return Failed(str(error), fatal=True)
    except Exception as error:  # also MemoryError: the shard is split until the image that causes it is alone
        return Lost(" ".join(f"{type(error).__name__}: {error}".split()))


class Here:
    """A crew of one in this process, for stores that no other process can see, such as `memory://`."""

    def __init__(self, order: Order) -> None:
        self._worker = Worker(order)
        self._shard: Shard | None = None

    def idle(self) -> Iterable[int]:
        """The worker."""
        return [0]

    def give(self, worker: int, shard: Shard) -> None:
        """Remember the shard."""
        self._shard = shard

    def wait(self) -> tuple[int, Outcome] | None:
        """Work on it."""
        return None if self._shard is None else (0, outcome_of(self._worker, self._shard))

    def close(self) -> None:
        """Nothing."""


@dataclass
class _Hand:
    """A process, the line to it, the line whose end tells it that this process ended, and whether it has a shard."""

    process: BaseProcess
    line: Connection
    life: Connection
    busy: bool = False


class Processes:
    """Several processes. They end with this one, even if it is killed."""

    def __init__(self, order: Order, count: int) -> None:
        self._order = order
        self._context = get_context("spawn")
        self._hands = [self._hired() for _ in range(count)]

    def _hired(self) -> _Hand:
        line, theirs = self._context.Pipe()
        their_life, life = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(self._order, theirs, their_life), daemon=True)
        process.start()
        theirs.close()
        their_life.close()
        return _Hand(process, line, life)

    def idle(self) -> Iterable[int]:
        """The processes without a shard."""
        return [number for number, hand in enumerate(self._hands) if not hand.busy]

    def give(self, worker: int, shard: Shard) -> None:
        """Send a process a shard; if it has died, `wait` tells."""
        hand = self._hands[worker]
        hand.busy = True
        try:
            hand.line.send(shard)
        except OSError:
            hand.process.join(FAREWELL)

    def wait(self) -> tuple[int, Outcome] | None:
        """The next outcome; a process that died is replaced."""
        busy = {hand.line: number for number, hand in enumerate(self._hands) if hand.busy}
        for line in wait(list(busy), PATIENCE):
            assert isinstance(line, Connection)
            number = busy[line]
            hand = self._hands[number]
            try:
                outcome: Outcome = line.recv()
                hand.busy = False
            except (EOFError, OSError):
                self._dismiss(hand)
                self._hands[number], outcome = self._hired(), Lost()
            return number, outcome
        return None

    def close(self) -> None:
        """End the processes."""
        for hand in self._hands:
            self._dismiss(hand)

    def _dismiss(self, hand: _Hand) -> None:
        hand.life.close()
        hand.line.close()
        hand.process.join(FAREWELL)
        if hand.process.is_alive():
            hand.process.kill()
            hand.process.join()


def _work(order: Order, line: Connection, life: Connection) -> None:
    """A process: work on shards until the line ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the foreman sends everybody home
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    try:
        worker: Worker | Failed = Worker(order)
    except PoseError as error:
        worker = Failed(str(error), fatal=True)
    while True:
        try:
            shard = line.recv()
        except (EOFError, OSError):
            return
        line.send(outcome_of(worker, shard) if isinstance(worker, Worker) else worker)


def _end_with(life: Connection) -> None:
    """A thread: end at once when the foreman's process is gone; what is not finished has no name yet."""
    try:
        life.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)
