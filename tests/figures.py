"""What many tests stand on: somebody, results, and sources, estimators and outputs that do as they are told."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

from networks import black
from posecv.arrays import Frame
from posecv.estimators import Setting
from posecv.outputs.films import DrawnFilm
from posecv.people import People
from posecv.result import Result
from posecv.run.job import joined
from posecv.skeletons import COCO, Skeleton
from posecv.sources import Still
from posecv.sources.films import Film
from posecv.sources.selection import Selection

CERTAIN = 0.9


# --- people and results ---------------------------------------------------------------------------------------------


def someone(skeleton: Skeleton = COCO, score: float = 0.5, count: int = 1, missing: Collection[int] = ()) -> People:
    """So many people in one place, keypoints beside each other in rows of seven heights, all of one score."""
    index = np.arange(len(skeleton.keypoints))
    keypoints = np.zeros((count, len(index), 3), np.float32)
    keypoints[..., 0], keypoints[..., 1], keypoints[..., 2] = 3 * index + 10, index % 7 * 8 + 20, score
    keypoints[:, list(missing)] = 0
    return People(keypoints, np.full(count, score, np.float32), skeleton)


def people_at(*persons: Mapping[int, tuple[float, ...]], skeleton: Skeleton = COCO) -> People:
    """People from dictionaries keypoint -> (x, y) or (x, y, score)."""
    keypoints = np.zeros((len(persons), len(skeleton.keypoints), 3), np.float32)
    for person, points in zip(keypoints, persons, strict=True):
        for index, (x, y, *score) in points.items():
            person[index] = x, y, score[0] if score else CERTAIN
    return People(keypoints, keypoints[..., 2].sum(axis=1), skeleton)


def result_of(people: People | None = None, frame: Frame | None = None, source: str = "a.jpg", **more: Any) -> Result:
    """A result of an image of 120 x 100 black pixels, with nobody in it."""
    people = People.empty(COCO) if people is None else people
    return Result(people, black(120, 100) if frame is None else frame, Path(source), **more)


# --- what a run is made of ------------------------------------------------------------------------------------------


@dataclass
class Frames:
    """A source of black frames, ten a second, that does something at its end."""

    count: int
    path: Path = Path("a.avi")
    live: bool = False
    at_end: Callable[[], object] | None = None
    has_frames: bool = True

    def expected(self) -> int:
        return self.count

    def stills(self) -> Iterator[Still]:
        for number in range(self.count):
            yield Still(black(16, 16), self.path, number, number / 10, 10)
        if self.at_end:
            self.at_end()


@dataclass
class Finds:
    """An estimator that finds the same people in every frame, after it has done something with it."""

    people: People = field(default_factory=lambda: People.empty(COCO))
    seconds: Mapping[str, float] = field(default_factory=dict)
    before: Callable[[Frame], object] | None = None

    @property
    def skeleton(self) -> Skeleton:
        return self.people.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        if self.before:
            self.before(frame)
        return Result(self.people, frame, seconds=self.seconds)


class Sink:
    """An output that keeps its results, after it has done something with them.

    `kept` has the numbers of its frames in order, and None for its end.
    """

    wants_rate = interactive = False

    def __init__(self, before: Callable[[Result], object] | None = None, *, wants_view: bool = False) -> None:
        self.before, self.wants_view = before, wants_view
        self.results: list[Result] = []
        self.kept: list[int | None] = []
        self.closed = False

    def write(self, result: Result) -> None:
        if self.before:
            self.before(result)
        self.results.append(result)
        self.kept.append(result.number)

    def has(self, number: int | None) -> bool:
        return False

    def close(self) -> None:
        self.kept.append(None)
        self.closed = True


def drawn(source: Path, target: Path, selection: Selection | None = None) -> Path:
    """Copy a video into another one, by way of the frames that are read and drawn."""
    with DrawnFilm(target) as output:
        for still in Film(source, selection or Selection()).stills():
            output.write(joined(result_of(), still))
    return target


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """Raises the error, whatever it is called with."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


class Terminal(io.StringIO):
    """What is written to it is kept, and it says that somebody looks at it."""

    def isatty(self) -> bool:
        return True


class Screen(ModuleType):
    """Stands for OpenCV's windows: keys to come, and whether the window is still there."""

    def __init__(self, keys: Iterable[int] = (), visible: Callable[[], float] = lambda: 1.0) -> None:
        super().__init__("screen")
        self.shown, self.open, self.__file__ = list[Frame](), True, None
        coming = iter(keys)
        self.imshow = lambda _title, frame: self.shown.append(frame)
        self.waitKey = lambda _milliseconds: next(coming, -1)
        self.getBuildInformation = lambda: "GUI: GTK3\n"
        self.getWindowProperty = lambda _title, _property: visible()
        self.destroyAllWindows = lambda: setattr(self, "open", False)


def with_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name a display, so that a `Screen` is used."""
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    for name in ("SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)


def without_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment be that of a server."""
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 22 192.0.2.2 22")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def opened_files() -> Iterator[list[Path]]:
    """The files that Python opens in the block, as often as it does."""
    opened: list[Path] = []
    _listening.append(opened)
    if len(_listening) == 1:
        sys.addaudithook(_listen)  # for the rest of the process
    yield opened
    _listening[_listening.index(opened)] = []


_listening: list[list[Path]] = []


def _listen(event: str, details: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(details[0], (str, os.PathLike)):
        for opened in _listening:
            opened.append(Path(details[0]))
