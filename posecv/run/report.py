"""What a run says: a line about each source, a progress bar, and what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from posecv.people import People
from posecv.result import Result
from posecv.run.job import TIMED, Job, Tally
from posecv.terminal import STDERR, say

__all__ = ["Reporter", "describe"]

NAMES = {"hand": ("hand", "hands"), "face": ("face", "faces")}


def describe(people: People) -> str:
    """What was found, in words.

    >>> from posecv.skeletons import COCO
    >>> describe(People.empty(COCO))
    'nobody'
    """
    if not len(people):
        return f"no {people.skeleton.name}" if people.skeleton.name in NAMES else "nobody"
    one, several = NAMES.get(people.skeleton.name, ("person", "people"))
    found = int(people.found.sum())
    return f"{len(people)} {one if len(people) == 1 else several}, {found} keypoint{'s' * (found != 1)}"


class Reporter:
    """Lines on stderr, and a progress bar below them where that is a terminal, tqdm is there and it is worth one."""

    def __init__(self, jobs: Sequence[Job], *, bar: bool) -> None:
        self._jobs = jobs
        self._tqdm = _tqdm() if bar and sys.stderr is not None and sys.stderr.isatty() else None
        self._bar: Any = None
        self._total: int | None = len(jobs)
        self._unit = "frame" if any(job.source.has_frames for job in jobs) else "picture"

    def expect(self, stills: int | None) -> None:
        """A source begins that has about so many stills, where all were counted for one."""
        self._total = None if stills is None or self._total is None else self._total + stills - 1
        if self._tqdm and self._bar is None and self._total != 1:
            self._tqdm.set_lock(STDERR)
            # Not at once: what is said about the network, which the first still loads, gets a line of its own.
            self._bar = self._tqdm(total=self._total, unit=self._unit, leave=False, file=sys.stderr, delay=0.1)
        if self._bar is not None:
            self._bar.total = self._total

    def advance(self) -> None:
        """A still is done."""
        if self._bar is not None:
            self._bar.update()

    def found(self, job: Job, result: Result) -> None:
        """Tell what an image shows, and which files were made of it."""
        times = ", ".join(f"{step} {1000 * result.seconds[step]:.1f} ms" for step in TIMED if step in result.seconds)
        line = f"{job.source.path}: {describe(result.people)}" + (f" ({times})" if times else "")
        self._say(line + _arrow(job.files))

    def ended(self, job: Job, tally: Tally) -> None:
        """Tell what a video showed, and which files were made of it."""
        means = {step: 1000 * seconds / tally.stills for step, seconds in tally.seconds.items()}
        times = ", ".join(f"{step} {means[step]:.1f} ms" for step in TIMED if step in means)
        frames = f"{tally.stills} frame{'s' * (tally.stills != 1)}"
        found = f"{tally.people / tally.stills:.1f} people a frame"
        self._say(f"{job.source.path}: {frames}, {found} ({times} a frame){_arrow(job.files)}")

    def failed(self, job: Job, error: Exception) -> None:
        """Tell why a source failed."""
        self._say(_failure(job, error))

    def stopped(self, done: int) -> None:
        """Tell that somebody stopped the run."""
        self._say(f"stopped: {done} of {self._inputs()} done")

    def summary(self, done: int, failures: int) -> None:
        """Tell how many of several sources failed."""
        if len(self._jobs) > 1:
            self._say(f"{done} of {self._inputs()} done, {failures} failed")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        """A line above the bar."""
        if self._bar is None:
            say(line)
        else:
            self._bar.write(line, file=sys.stderr)

    def _inputs(self) -> str:
        """How many there are, in words."""
        what = "input" if any(job.source.has_frames for job in self._jobs) else "picture"
        return f"{len(self._jobs)} {what}{'s' * (len(self._jobs) != 1)}"


def _arrow(files: Sequence[Path]) -> str:
    return f" -> {', '.join(map(str, files))}" if files else ""


def _failure(job: Job, error: Exception) -> str:
    """One line about a source that failed, with its name."""
    path = job.source.path
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return f"{path}: there is not enough memory for it"
    text = " ".join(str(getattr(error, "err", None) or error).split())
    named = any(text.startswith(str(name)) for name in (path, *job.files))
    return text if named else f"{path}: {text}"


def _tqdm() -> Any:
    """The progress bar, which is not required."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
