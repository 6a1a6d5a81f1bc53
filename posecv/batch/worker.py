"""What each worker does with a shard: read, estimate, write one part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2

from posecv.batch.shards import Shard
from posecv.batch.stores import Item, Store, local_copy
from posecv.batch.tables import PARTS, Part
from posecv.errors import InputError
from posecv.estimators import Estimator
from posecv.estimators.build import Bodies, Within, above
from posecv.result import Result
from posecv.run.ahead import Ahead
from posecv.run.job import Work
from posecv.sources.films import Film, NoneRequestedError
from posecv.sources.find import of_file
from posecv.sources.selection import Selection
from posecv.steps import MakeStep
from posecv.terminal import silence_opencv

__all__ = ["Order", "Worker", "Written"]

WAITING = 4  # frames read ahead


@dataclass(frozen=True)
class Order:
    """What all shards of a run have in common; it pickles.

    Attributes
    ----------
    estimator : Bodies or Within
        What to find, and how.
    output : str
        The folder of the parts, or its address.
    settings : str
        A hash of the network and of all options that change rows.
    about : str
        JSON of the parts' metadata: model, its hash, options, version.
    version : str
        The foreman's posecv; a cluster's nodes must have the same.
    selection, steps, threshold
        As in `posecv.app.config.RunConfig`.
    compact : bool
        Whether parts hold 16-bit integers.
    threads : int
        Threads of OpenCV in each worker.
    """

    estimator: Bodies | Within
    output: str
    settings: str
    about: str = "{}"
    version: str = ""
    selection: Selection = field(default_factory=Selection)
    steps: tuple[MakeStep, ...] = ()
    threshold: float | None = None
    compact: bool = False
    threads: int = 1

    @property
    def along(self) -> tuple[str, ...]:
        """The columns of hands and faces."""
        people = self.estimator.people if isinstance(self.estimator, Within) else self.estimator
        kinds = {part.kind for part in people.parts} if isinstance(people, Bodies) else set()
        hands = ("left_hand", "right_hand") if "hand" in kinds else ()
        return (*hands, "face") if "face" in kinds else hands


@dataclass(frozen=True)
class Written:
    """A part that was written: its name, and how many frames, people and errors it has."""

    name: str
    frames: int
    people: int
    errors: int


class Worker:
    """Works on shards with one network.

    Raises
    ------
    PoseError
        If the network cannot be loaded.
    """

    def __init__(self, order: Order) -> None:
        silence_opencv()
        cv2.setNumThreads(order.threads)
        self._order = order
        self._estimator: Estimator = above(order.estimator.build(lambda network: None), order.threshold)

    def __call__(self, shard: Shard) -> Written:
        """Write the part of a shard; OutputError or OSError if a store stays out of order."""
        order = self._order
        part = Part(self._estimator.skeleton, order.along, tracked=bool(order.steps))
        for item in shard.items:
            self._read(item, shard, part)
        name = f"{shard.name(order.settings)}.parquet"
        about = {**json.loads(order.about), "items": [item.path for item in shard.items]}
        Store(order.output).write(f"{PARTS}/{name}", part.encoded(about, compact=order.compact))
        return Written(name, part.frames, part.people, len(part.errors))

    def _read(self, item: Item, shard: Shard, part: Part) -> None:
        """Add an item's rows, or the line that says why it has none."""
        try:
            with local_copy(item) as path:
                try:
                    for result in self._results(path, shard):
                        part.add(item.path, result)
                except InputError as error:
                    part.errors.append((item.path, str(error).replace(str(path), item.path)))
        except FileNotFoundError:
            part.errors.append((item.path, f"{item.path}: no such file or directory"))
        except PermissionError as error:
            part.errors.append((item.path, f"{item.path} cannot be read ({error})"))

    def _results(self, path: Path, shard: Shard) -> Iterator[Result]:
        selection = within(self._order.selection, *(shard.frames or (0, None)))
        for source in of_file(path, selection) if selection else ():
            work = Work(self._estimator, self._order.steps)
            try:
                with closing(Ahead(source.stills(), WAITING)) as stills:
                    for still in stills:
                        yield work(still)
            except NoneRequestedError:
                if not shard.frames or not isinstance(source, Film):
                    raise  # a range behind the end of a video whose header promised more has no frames


def within(selection: Selection, first: int, end: int | None) -> Selection | None:
    """The part of a selection from frame `first` to the one before `end`; None if it has no frames.

    >>> within(Selection(first=1, step=3), 9, 18)
    Selection(first=10, last=17, step=3, flip=False, rotate=0)
    """
    begin = max(first, selection.first)
    begin += (selection.first - begin) % selection.step
    ends = [each for each in (selection.last, None if end is None else end - 1) if each is not None]
    if ends and min(ends) < begin:
        return None
    return replace(selection, first=begin, last=min(ends) if ends else None)
