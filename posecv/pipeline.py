"""The pipeline: source, estimate, outputs, each in a thread of its own, so that the network never waits for a disk.

    reader ──still──▶ queue ──▶ estimate (this thread) ──people──▶ queue ──▶ writer

A source that fails is reported and counted, and the others are done; what is done stays, whatever ends the run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError, OutputError
from posecv.outputs import Output
from posecv.outputs.window import Window, WindowClosed
from posecv.people import People
from posecv.sources import Source, Still
from posecv.sources.films import Film
from posecv.terminal import STDERR, say

__all__ = ["Job", "run"]

Frame = NDArray[np.uint8]
Estimate = Callable[[Frame, dict[str, float]], People]

WAITING = 4  # stills in each queue: enough to even out, and little memory
PATIENCE = 0.1  # seconds between two looks at whether the run was stopped
FAREWELL = 2.0  # seconds that a run which was stopped waits for its reader, who may be waiting for a stream
FAILURES = (InputError, OutputError, MemoryError, cv2.error)
STEPS = "network", "decoding"


@dataclass(frozen=True, eq=False)
class Job:
    """A source and what is to be made of it.

    Attributes
    ----------
    source : Source
        Yields the stills.
    outputs : tuple of Output
        Where their people go; jobs may share some.
    files : tuple of Path
        What the outputs write, for the line that tells about it.
    resume : bool
        What outputs have already is left as it is.
    """

    source: Source
    outputs: tuple[Output, ...]
    files: tuple[Path, ...] = ()
    resume: bool = False

    def is_done(self, still: Still) -> bool:
        """Whether an earlier run has done a still."""
        return self.resume and all(output.has(still) for output in self.outputs)


@dataclass
class _Tally:
    """What became of a job so far."""

    stills: int = 0
    people: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    film: bool = False
    done: bool = False
    failure: Exception | None = None


@dataclass(frozen=True)
class _Found:
    """A still and its people, on the way to the outputs."""

    still: Still
    people: People
    seconds: dict[str, float]


_END = None  # what comes after a job's last still
_CLOSE = object()  # what is left to do with a job that did not come to its end
_Item = tuple[int, Any]  # a job's place, and a Still, a _Found, an error, _END or _CLOSE


def run(jobs: Sequence[Job], estimate: Estimate, *, bar: bool = False) -> int:
    """Do all jobs; a line on stderr for each, and a progress bar below where there is more than one still.

    Parameters
    ----------
    jobs : sequence of Job
        In order.
    estimate : callable
        Takes a frame and a dict for the seconds that "network" and "decoding" take; returns its people. It is called
        in the thread that calls this.
    bar : bool
        Whether a progress bar may be drawn.

    Returns
    -------
    int
        The exit code: 0 if all were done, 1 if some failed, 2 if none could be done.
    """
    with closing(_Progress(jobs, bar)) as progress:
        line = _Line(jobs, progress)
        try:
            line.run(estimate)
        except WindowClosed:
            pass
        except KeyboardInterrupt:
            progress.say(f"stopped: {line.done} of {_inputs(jobs)} done")
            raise
    failures = [tally.failure for tally in line.tallies if tally.failure]
    if not failures:
        return 0
    if len(jobs) > 1:
        say(f"{line.done} of {_inputs(jobs)} done, {len(failures)} failed")
    partly = any(tally.stills for tally in line.tallies)
    return 1 if partly or any(isinstance(error, OutputError) for error in failures) else 2


class _Line:
    """The assembly line of one run: the queues, and what became of each job."""

    def __init__(self, jobs: Sequence[Job], progress: _Progress) -> None:
        self.jobs, self.progress = jobs, progress
        self.tallies = [_Tally() for _ in jobs]
        self._shown = any(isinstance(output, Window) for job in jobs for output in job.outputs)
        # What somebody looks at is no older than it must be: of a camera the newest frame alone waits.
        self._read: Queue[_Item | None] = Queue(1 if self._shown else WAITING)
        self._found: Queue[_Item | None] = Queue(WAITING)
        self._stopped = threading.Event()
        self._broken: BaseException | None = None
        self._last_use = {id(output): index for index, job in enumerate(jobs) for output in job.outputs}
        self._open = {id(output): output for job in jobs for output in job.outputs}

    @property
    def done(self) -> int:
        """How many jobs are done."""
        return sum(tally.done for tally in self.tallies)

    def run(self, estimate: Estimate) -> None:
        """Do everything; what ends it early is raised when all that was found is written."""
        threads = [threading.Thread(target=self._reader, daemon=True)]
        if not self._shown:  # a window belongs to the thread that calls
            threads.append(threading.Thread(target=self._writer, daemon=True))
        for thread in threads:
            thread.start()
        try:
            while (item := self._next()) is not None:
                item = self._estimated(*item, estimate)
                if self._shown:
                    self._write(*item)
                else:
                    self._put(self._found, item)
        except BaseException:
            self._stopped.set()
            raise
        finally:
            try:
                self._finish(*threads)
            except KeyboardInterrupt:  # it came late: what was found is being written, which does not take long
                self._stopped.set()
                self._finish(*threads)
                raise
        if self._broken:
            raise self._broken

    def _finish(self, reader: threading.Thread, writer: threading.Thread | None = None) -> None:
        """Wait until all that was found is written and the outputs are closed."""
        self._found.put(None)
        if writer:
            writer.join()
        else:
            self._close_all()
        reader.join(FAREWELL if self._stopped.is_set() else None)

    def _reader(self) -> None:
        """Thread: stills of all sources."""
        try:
            for index, job in enumerate(self.jobs):
                self._read_job(index, job)
                self._put(self._read, (index, _END))
            self._put(self._read, None)
        except BaseException as error:
            self._stop(error)

    def _read_job(self, index: int, job: Job) -> None:
        """Read one source, up to its end or to what ends it early."""
        try:
            self.progress.expect(job.source.expected())
            for still in job.source.stills():
                if job.is_done(still):
                    self.progress.advance()
                    continue
                if self.tallies[index].failure or not self._put(self._read, (index, still), job.source.live):
                    break
        except FAILURES as error:
            self._put(self._read, (index, error))

    def _stop(self, error: BaseException) -> None:
        """End the run in this thread's stead."""
        self._broken = error
        self._stopped.set()

    def _put(self, queue: Queue[_Item | None], item: _Item | None, live: bool = False) -> bool:
        """Wait for a place in a queue, or take that of the job's oldest still; False where the run was stopped."""
        while not self._stopped.is_set():
            if live and item and queue.full():
                self._drop_oldest(queue, item[0])
            with suppress(Full):
                queue.put(item, timeout=PATIENCE)
                return True
        return False

    def _drop_oldest(self, queue: Queue[_Item | None], index: int) -> None:
        """Take out what waits longest, if it is of a job: what an earlier one left to do stays."""
        with queue.mutex:
            if queue.queue and queue.queue[0] and queue.queue[0][0] == index:
                queue.queue.popleft()
                queue.not_full.notify()

    def _next(self) -> _Item | None:
        """The next thing read; None at the end, or where the run was stopped."""
        while not self._stopped.is_set():
            with suppress(Empty):
                return self._read.get(timeout=PATIENCE)
        return None

    def _estimated(self, index: int, what: Any, estimate: Estimate) -> _Item:
        """A still's people; the end of a job as it is."""
        if not isinstance(what, Still) or self.tallies[index].failure:
            return index, what
        seconds: dict[str, float] = {}
        try:
            return index, _Found(what, estimate(what.frame, seconds), seconds)
        except FAILURES as error:
            return index, error

    def _writer(self) -> None:
        """Thread: everything that is found goes to its outputs, which are closed at the end.

        Signals end the thread that calls, never this one: what it has begun to write or to close becomes whole.
        """
        try:
            while (item := self._found.get()) is not None:
                self._write(*item)
        except BaseException as error:
            self._stop(error)
            while self._found.get() is not None:
                pass
        self._close_all()

    def _write(self, index: int, what: Any) -> None:
        """Give a still's people to the outputs, or end a job."""
        job, tally = self.jobs[index], self.tallies[index]
        try:
            if isinstance(what, Exception):
                raise what
            if isinstance(what, _Found):
                if not tally.failure:
                    self._give(job, tally, what)
            elif what is _END or what is _CLOSE:
                self._close(index)
                if what is _END and not tally.failure:
                    tally.done = True
                    if tally.film:
                        self.progress.say(_film_line(job, tally))
        except FAILURES as error:
            if not tally.failure:
                tally.failure = error
                self.progress.say(_failure(job, error))

    def _give(self, job: Job, tally: _Tally, found: _Found) -> None:
        """Write a still's people, and say of a picture what was found: of files when they are there, else at once."""
        still, people = found.still, found.people
        times = ", ".join(f"{step} {1000 * found.seconds[step]:.1f} ms" for step in STEPS if step in found.seconds)
        line = f"{job.source.path}: {describe(people)}" + (f" ({times})" if times else "")
        tally.film = still.number is not None
        if not job.files and not tally.film:
            self.progress.say(line)  # a window stays for as long as somebody looks at it
        for output in job.outputs:
            if not (job.resume and output.has(still)):
                output.write(still, people)
        tally.stills += 1
        tally.people += len(people)
        for step, seconds in found.seconds.items():
            tally.seconds[step] = tally.seconds.get(step, 0.0) + seconds
        if job.files and not tally.film:
            self.progress.say(f"{line} -> {', '.join(map(str, job.files))}")
        self.progress.advance()

    def _close_all(self) -> None:
        """Close what is still open."""
        for index in range(len(self.jobs)):
            self._write(index, _CLOSE)

    def _close(self, index: int) -> None:
        """Close the outputs that no later job needs."""
        for output in self.jobs[index].outputs:
            if self._last_use[id(output)] == index and id(output) in self._open:
                self._open.pop(id(output)).close()


def describe(people: People) -> str:
    """What was found, in words.

    >>> from posecv.skeletons import COCO
    >>> describe(People.empty(COCO))
    'nobody'
    """
    if not len(people):
        return "nobody" if people.skeleton.name not in ("hand", "face") else f"no {people.skeleton.name}"
    one, several = {"hand": ("hand", "hands"), "face": ("face", "faces")}.get(
        people.skeleton.name, ("person", "people")
    )
    found = int(people.found.sum())
    return f"{len(people)} {one if len(people) == 1 else several}, {found} keypoint{'s' * (found != 1)}"


def _film_line(job: Job, tally: _Tally) -> str:
    """One line about a film that is done."""
    times = ", ".join(f"{step} {1000 * tally.seconds[step] / tally.stills:.1f} ms" for step in STEPS if tally.seconds)
    files = f" -> {', '.join(map(str, job.files))}" if job.files else ""
    frames = f"{tally.stills} frame{'s' * (tally.stills != 1)}"
    return f"{job.source.path}: {frames}, {tally.people / tally.stills:.1f} people a frame ({times} a frame){files}"


def _failure(job: Job, error: Exception) -> str:
    """One line about a source that failed, with its name."""
    path = job.source.path
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return f"{path}: there is not enough memory for it"
    text = " ".join(str(getattr(error, "err", None) or error).split())
    named = any(text.startswith(str(name)) for name in (path, *job.files))
    return text if named else f"{path}: {text}"


def _inputs(jobs: Sequence[Job]) -> str:
    """How many there are, in words."""
    what = "input" if any(isinstance(job.source, Film) for job in jobs) else "picture"
    return f"{len(jobs)} {what}{'s' * (len(jobs) != 1)}"


class _Progress:
    """Lines on stderr, and a progress bar below them where that is a terminal, tqdm is there and it is worth one."""

    def __init__(self, jobs: Sequence[Job], bar: bool) -> None:
        self._tqdm = _tqdm() if bar and sys.stderr.isatty() else None
        self._bar: Any = None
        self._total: int | None = len(jobs)
        self._unit = "frame" if any(isinstance(job.source, Film) for job in jobs) else "picture"

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

    def say(self, line: str) -> None:
        """A line above the bar."""
        if self._bar is None:
            say(line)
        else:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


def _tqdm() -> Any:
    """The progress bar, which is not required."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
