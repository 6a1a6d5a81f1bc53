"""The foreman: gives shards to a crew of workers until each has its part, whatever happens to the workers."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from posecv.batch.shards import Shard
from posecv.batch.stores import Store
from posecv.batch.tables import PARTS, Part, joined
from posecv.batch.worker import Order, Written
from posecv.errors import OutputError, PoseError
from posecv.skeletons import Skeleton

__all__ = ["Crew", "Failed", "Lost", "Outcome", "Tally", "work_off"]

TRIES = 3  # of a shard whose worker died, or whose store stayed out of order


@dataclass(frozen=True)
class Failed:
    """A shard that could not be finished: an error of a store, or, with `fatal`, one that every shard would meet."""

    message: str
    fatal: bool = False


@dataclass(frozen=True)
class Lost:
    """A worker died while it worked, or could not go on."""

    how: str = "the worker died"


Outcome = Written | Failed | Lost


class Crew(Protocol):
    """Workers, each of which has at most one shard at a time."""

    def idle(self) -> Iterable[int]:
        """The workers without a shard."""

    def give(self, worker: int, shard: Shard) -> None:
        """Let a worker begin with a shard."""

    def wait(self) -> tuple[int, Outcome] | None:
        """The next outcome, and whose it is; None after a second without one. A worker that died is replaced."""

    def close(self) -> None:
        """Send all workers home."""


@dataclass
class Tally:
    """What was done so far: shards with their parts, frames, people and inputs that failed; and shards given up."""

    shards: int
    done: int = 0
    frames: int = 0
    people: int = 0
    errors: int = 0
    given_up: list[str] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)

    def add(self, written: Written) -> None:
        """Count a part."""
        self.done += 1
        self.frames += written.frames
        self.people += written.people
        self.errors += written.errors


@dataclass(eq=False)
class _Task:
    """A shard, what it is a half of, and the parts of its own halves."""

    shard: Shard
    whole: _Task | None = None
    tries: Counter[type] = field(default_factory=Counter)
    halves: list[Written] = field(default_factory=list)


def work_off(
    shards: Sequence[Shard], crew: Crew, order: Order, skeleton: Callable[[], Skeleton],
    tell: Callable[[Tally], None] = lambda tally: None,
) -> Tally:  # fmt: skip
    """Have a part written for each shard.

    A shard that kills its worker is tried three times, then split in two, and so on; an image that kills its worker
    alone is named in the part, like one that cannot be read. Shards that a store prevents are given up after three
    tries; the next run does them.

    Parameters
    ----------
    shards : sequence of Shard
    crew : Crew
    order : Order
        What the crew's workers were made with.
    skeleton : callable
        The network's skeleton, asked for if a part has no rows.
    tell : callable
        Is called after each outcome, and each second.

    Raises
    ------
    PoseError
        If no shard could be worked on, such as for a network that cannot be loaded.
    """
    foreman = _Foreman(order, skeleton, Tally(len(shards)))
    waiting = deque(_Task(shard) for shard in shards)
    busy: dict[int, _Task] = {}
    while waiting or busy:
        for worker in crew.idle():
            if waiting and worker not in busy:
                busy[worker] = waiting.popleft()
                crew.give(worker, busy[worker].shard)
        if event := crew.wait():
            worker, outcome = event
            if worker in busy:
                waiting.extendleft(reversed(foreman.next_tasks(busy.pop(worker), outcome)))
        tell(foreman.tally)
    return foreman.tally


class _Foreman:
    """Decides what to do after an outcome."""

    def __init__(self, order: Order, skeleton: Callable[[], Skeleton], tally: Tally) -> None:
        self._order, self._skeleton, self.tally = order, skeleton, tally
        self._store = Store(order.output)

    def next_tasks(self, task: _Task, outcome: Outcome) -> list[_Task]:
        """The tasks that an outcome leads to."""
        if isinstance(outcome, Written):
            self._finish(task, outcome)
            return []
        if isinstance(outcome, Failed) and outcome.fatal:
            raise PoseError(outcome.message)
        task.tries[type(outcome)] += 1
        if task.tries[type(outcome)] < TRIES:
            return [task]
        if isinstance(outcome, Failed):
            self.tally.given_up.append(outcome.message)
            return []
        if halves := task.shard.halves():
            return [_Task(half, task) for half in halves]
        assert isinstance(outcome, Lost)
        self._finish(task, self._named(task.shard, outcome.how))
        return []

    def _finish(self, task: _Task, written: Written) -> None:
        """Count a part; the parts of two halves become one."""
        if task.whole is None:
            self.tally.add(written)
            return
        task.whole.halves.append(written)
        if len(task.whole.halves) == 2:
            self._finish(task.whole, self._united(task.whole))

    def _united(self, task: _Task) -> Written:
        halves = [f"{PARTS}/{half.name}" for half in task.halves]
        name = f"{task.shard.name(self._order.settings)}.parquet"
        self._store.write(f"{PARTS}/{name}", joined([self._store.read(half) for half in halves]))
        for half in halves:
            self._store.remove(half)
        sums = (sum(getattr(half, what) for half in task.halves) for what in ("frames", "people", "errors"))
        return Written(name, *sums)

    def _named(self, shard: Shard, how: str) -> Written:
        """A part without rows, which names the image or video that killed its workers."""
        (item,) = shard.items
        part = Part(self._skeleton(), self._order.along, tracked=bool(self._order.steps))
        part.errors.append((item.path, f"{item.path}: {how}, {TRIES} times"))
        name = f"{shard.name(self._order.settings)}.parquet"
        data = part.encoded({**json.loads(self._order.about), "items": [item.path]}, compact=self._order.compact)
        try:
            self._store.write(f"{PARTS}/{name}", data)
        except OutputError as error:
            self.tally.given_up.append(str(error))
        return Written(name, 0, 0, 1)
