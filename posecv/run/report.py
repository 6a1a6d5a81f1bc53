"""The report of a run: a line about each source, a progress bar, and errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from posecv.people import People
from posecv.result import Result
from posecv.run.job import TIMED, Job, Tally
from posecv.terminal import STDERR, plain, say

__all__ = ["Reporter", "describe"]

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
    return f"{len(people)} {one if len(people) == 1 else several}, {found} keypoint{'s' * (found != 1)}"


class Reporter:
    """Lines on stderr, and a progress bar if stderr is a terminal, tqdm is installed and there are several stills."""

    def __init__(self, jobs: Sequence[Job], *, bar: bool) -> None:
        self._jobs = jobs
        self._tqdm = _tqdm() if bar and sys.stderr is not None and sys.stderr.isatty() else None
        self._bar: Any = None
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

    def found(self, job: Job, result: Result) -> None:
        """Report the people in an image and the files written."""
        times = ", ".join(f"{step} {1000 * result.seconds[step]:.1f} ms" for step in TIMED if step in result.seconds)
        line = f"{job.source.path}: {describe(result.people)}" + (f" ({times})" if times else "")
        self._say(line + _arrow(job.files))

    def ended(self, job: Job, tally: Tally) -> None:
        """Report the people in a video and the files written."""
        means = {step: 1000 * seconds / tally.stills for step, seconds in tally.seconds.items()}
        times = ", ".join(f"{step} {means[step]:.1f} ms" for step in TIMED if step in means)
        frames = f"{tally.stills} frame{'s' * (tally.stills != 1)}"
        found = f"{tally.people / tally.stills:.1f} people per frame"
        self._say(f"{job.source.path}: {frames}, {found} ({times} per frame){_arrow(job.files)}")

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
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        """Print a line above the bar."""
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
    named = any(text.startswith(str(name)) for name in (path, *job.files))
    return text if named else f"{path}: {text}"


def _tqdm() -> Any:
    """The optional progress bar; None if tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
