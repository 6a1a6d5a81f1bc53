"""The report of a run: a line about each source, a progress bar, and errors."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from posecv.arrays import Array
from posecv.people import People
from posecv.result import Result
from posecv.run.job import TIMED, Job, Tally
from posecv.terminal import STDERR, plain, say

__all__ = ["Counter", "Reporter", "describe"]

IN_PLACE, IN_LINES = 0.5, 30.0  # seconds between two numbers of the counter
SEVERAL = (
    "several people are there, whose strongest keypoints were joined; run_multi_pose.py finds everybody, --best finds "
    "the best of them"
)
NAMES = {"hand": ("hand", "hands"), "face": ("face", "faces")}


def describe(people: People) -> str:
    """Describe people in words.

    >>> from posecv.skeletons import COCO
    >>> describe(People.empty(COCO))
    'nobody'
    """
    if not len(people):
        return f"no {people.skeleton.name}" if people.skeleton.name in NAMES else "nobody"
    one, several = NAMES.get(people.skeleton.name, ("person", "people"))
    found = int(people.found.sum())
    parts = [f"{len(people)} {one if len(people) == 1 else several}", f"{found} keypoint{'s' * (found != 1)}"]
    for name, count in (("hand", _parts_found(people.hands)), ("face", _parts_found(people.faces))):
        if count is not None:
            parts.append(f"{count} {NAMES[name][count != 1]}")
    return ", ".join(parts)


def _parts_found(keypoints: Array | None) -> int | None:
    """How many hands or faces have keypoints; None if they were not searched for."""
    return None if keypoints is None else int((keypoints[..., 2] > 0).any(axis=-1).sum())


class Counter:
    """Counts stills on stderr where there is no progress bar: in place on a terminal, otherwise now and then in a line.

    Parameters
    ----------
    in_place : bool
        Whether stderr is a terminal.
    clock : callable
        The time in seconds.
    """

    def __init__(self, in_place: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._in_place, self._clock = in_place, clock
        self._pause = IN_PLACE if in_place else IN_LINES
        self._count = 0
        self._next = clock() + self._pause
        self._shown = ""

    def update(self, total: int | None) -> None:
        """Count a still, and show the number if it is time."""
        self._count += 1
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._pause
        line = f"{self._count} of {total} frames" if total else f"{self._count} frames"
        if self._in_place:
            self.clear()
            self._print(line)
            self._shown = line
        else:
            say(line)

    def clear(self) -> None:
        """Remove the number, so that a line can take its place."""
        if self._shown:
            self._print("\r" + " " * len(self._shown) + "\r")
            self._shown = ""

    def _print(self, text: str) -> None:
        with STDERR, contextlib.suppress(BrokenPipeError):
            if sys.stderr is not None:
                print(text, end="", file=sys.stderr, flush=True)


class Reporter:
    """Lines on stderr, and a progress bar if stderr is a terminal, tqdm is installed and there are several stills.

    Without a bar, the frames of videos are counted.
    """

    def __init__(self, jobs: Sequence[Job], *, bar: bool) -> None:
        self._jobs = jobs
        self._tqdm = _tqdm() if bar and _is_terminal() else None
        self._bar: Any = None
        videos = any(job.source.has_frames for job in jobs)
        self._counter = Counter(_is_terminal()) if bar and videos and not self._tqdm else None
        self._total: int | None = len(jobs)
        self._unit = "frame" if any(job.source.has_frames for job in jobs) else "picture"

    def expect(self, stills: int | None) -> None:
        """Start a source with about that many stills; it was counted as one so far."""
        self._total = None if stills is None or self._total is None else self._total + stills - 1
        if self._tqdm and self._bar is None and self._total != 1:
            self._tqdm.set_lock(STDERR)
            # The bar starts late, so that messages about the network, which the first still loads, get their own lines.
            self._bar = self._tqdm(total=self._total, unit=self._unit, leave=False, file=sys.stderr, delay=0.1)
        if self._bar is not None:
            self._bar.total = self._total

    def advance(self) -> None:
        """Count a finished still."""
        if self._bar is not None:
            self._bar.update()
        elif self._counter:
            self._counter.update(self._total)

    def found(self, job: Job, result: Result) -> None:
        """Report the people in an image and the files written."""
        times = ", ".join(f"{step} {1000 * result.seconds[step]:.1f} ms" for step in TIMED if step in result.seconds)
        line = f"{job.source.path}: {describe(result.people)}" + (f" ({times})" if times else "")
        self._say(line + _arrow(job.files))
        if result.several:
            self._say(f"{job.source.path}: {SEVERAL}")

    def ended(self, job: Job, tally: Tally) -> None:
        """Report the people in a video and the files written."""
        means = {step: 1000 * seconds / tally.stills for step, seconds in tally.seconds.items()}
        times = ", ".join(f"{step} {means[step]:.1f} ms" for step in TIMED if step in means)
        frames = f"{tally.stills} frame{'s' * (tally.stills != 1)}"
        found = f"{tally.people / tally.stills:.1f} people per frame"
        self._say(f"{job.source.path}: {frames}, {found} ({times} per frame){_arrow(job.files)}")
        if tally.several:
            self._say(f"{job.source.path}: in {tally.several} of the frames, {SEVERAL}")

    def failed(self, job: Job, error: Exception) -> None:
        """Report why a source failed."""
        self._say(_failure(job, error))

    def stopped(self, done: int) -> None:
        """Report that the run was stopped."""
        self._say(f"stopped: {done} of {self._inputs()} done")

    def summary(self, done: int, failures: int) -> None:
        """Report how many of several sources failed."""
        if len(self._jobs) > 1:
            self._say(f"{done} of {self._inputs()} done, {failures} failed")

    def close(self) -> None:
        """Remove the bar or the number."""
        if self._counter:
            self._counter.clear()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._counter:
            self._counter.clear()
        if self._bar is None:
            say(line)
        else:
            self._bar.write(plain(line), file=sys.stderr)

    def _inputs(self) -> str:
        """The number of inputs, in words."""
        what = "input" if any(job.source.has_frames for job in self._jobs) else "image"
        return f"{len(self._jobs)} {what}{'s' * (len(self._jobs) != 1)}"


def _arrow(files: Sequence[Path]) -> str:
    return f" -> {', '.join(map(str, files))}" if files else ""


def _failure(job: Job, error: Exception) -> str:
    """One line about a failed source, with its name."""
    path = job.source.path
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return f"{path}: not enough memory"
    text = " ".join(str(getattr(error, "err", None) or error).split())
    named = any(text.startswith(" ".join(str(name).split())) for name in (path, *job.files))
    return text if named else f"{path}: {text}"


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _tqdm() -> Any:
    """The optional progress bar; None if tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
