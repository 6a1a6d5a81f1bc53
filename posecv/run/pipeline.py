"""The pipeline: source, work, outputs, each in a thread of its own, so that the network never waits for a disk.

    reader ──Read──▶ queue ──▶ estimator and steps (this thread) ──Found──▶ queue ──▶ writer

A source that fails is reported and counted, and the others are done; what is done stays, whatever ends the run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from queue import Full, Queue

import cv2

from posecv.errors import InputError, OutputError
from posecv.estimators import Estimator
from posecv.outputs.window import WindowClosed
from posecv.result import Result
from posecv.run.ahead import PATIENCE, Ahead
from posecv.run.job import Job, Tally, Work
from posecv.run.report import Reporter
from posecv.sources import Still
from posecv.steps import MakeStep

__all__ = ["Job", "run"]

WAITING = 4  # stills in each queue: enough to even out, and little memory
FAILURES = (InputError, OutputError, MemoryError, cv2.error)


@dataclass(frozen=True)
class Read:
    """A still of a job."""

    job: int
    still: Still


@dataclass(frozen=True)
class Found:
    """What was found in a still, on the way to the outputs."""

    job: int
    result: Result


@dataclass(frozen=True)
class Failed:
    """What ends a job early."""

    job: int
    error: Exception


@dataclass(frozen=True)
class Ended:
    """A job has no more stills."""

    job: int


def run(
    jobs: Sequence[Job], estimator: Estimator, steps: Sequence[MakeStep] = (), *, bar: bool = False
) -> int:
    """Do all jobs; a line on stderr for each, and a progress bar below where there is more than one still.

    Parameters
    ----------
    jobs : sequence of Job
        In order.
    estimator : Estimator
        Finds the people of a frame. It is called in the thread that calls this.
    steps : sequence of callable
        Make the steps of each source.
    bar : bool
        Whether a progress bar may be drawn.

    Returns
    -------
    int
        The exit code: 0 if all were done, 1 if some failed, 2 if none could be done.
    """
    with closing(Reporter(jobs, bar=bar)) as reporter:
        line = _Line(jobs, estimator, steps, reporter)
        try:
            line.run()
        except WindowClosed:
            pass
        except KeyboardInterrupt:
            reporter.stopped(line.done)
            raise
        failures = [tally.failure for tally in line.tallies if tally.failure]
        if not failures:
            return 0
        reporter.summary(line.done, len(failures))
    partly = any(tally.stills for tally in line.tallies)
    return 1 if partly or any(isinstance(error, OutputError) for error in failures) else 2


class _Line:
    """The assembly line of one run: the queues, and what became of each job."""

    def __init__(
        self, jobs: Sequence[Job], estimator: Estimator, steps: Sequence[MakeStep], reporter: Reporter
    ) -> None:
        self.jobs, self.reporter = jobs, reporter
        self.tallies = [Tally() for _ in jobs]
        outputs = [output for job in jobs for output in job.outputs]
        keeps_view = any(output.wants_view for output in outputs)
        self._works = [Work(estimator, steps, keeps_view=keeps_view) for _ in jobs]
        self._shown = any(output.interactive for output in outputs)
        self._found: Queue[Found | Failed | Ended | None] = Queue(WAITING)
        self._broken: BaseException | None = None
        self._last_use = {id(output): index for index, job in enumerate(jobs) for output in job.outputs}
        self._open = {id(output): output for output in outputs}

    @property
    def done(self) -> int:
        """How many jobs are done."""
        return sum(tally.done for tally in self.tallies)

    def run(self) -> None:
        """Do everything; what ends it early is raised when all that was found is written."""
        # What somebody looks at is no older than it must be: of a camera the newest frame alone waits.
        self._ahead = Ahead(self._read(), 1 if self._shown else WAITING, self._replaces)
        writer = None if self._shown else threading.Thread(target=self._writer, daemon=True)
        if writer:  # a window belongs to the thread that calls
            writer.start()
        try:
            for message in self._ahead:
                if isinstance(message, Read) and self.tallies[message.job].failure:
                    continue  # it was read before its job failed
                worked = self._worked(message)
                if writer:
                    self._hand_on(worked)
                else:
                    self._write(worked)
        except BaseException:
            self._ahead.stop()
            raise
        finally:
            try:
                self._finish(writer)
            except KeyboardInterrupt:  # it came late: what was found is being written, which does not take long
                self._finish(writer)
                raise
        if self._broken:
            raise self._broken

    def _finish(self, writer: threading.Thread | None) -> None:
        """Wait until all that was found is written and the outputs are closed."""
        if writer:
            self._found.put(None)
            writer.join()
        else:
            self._close_all()
        self._ahead.close()

    def _read(self) -> Iterator[Read | Failed | Ended]:
        """The stills of all sources, in the reader's thread."""
        for index, job in enumerate(self.jobs):
            try:
                self.reporter.expect(job.source.expected())
                for still in job.source.stills():
                    if job.is_done(still):
                        self.reporter.advance()
                    elif self.tallies[index].failure:
                        break
                    else:
                        yield Read(index, still)
            except FAILURES as error:
                yield Failed(index, error)
            yield Ended(index)

    def _replaces(self, new: Read | Failed | Ended, oldest: Read | Failed | Ended) -> bool:
        """Whether a still takes an older one's place: of a live source, if that is of the same one."""
        both = isinstance(new, Read) and isinstance(oldest, Read) and new.job == oldest.job
        return both and self.jobs[new.job].source.live

    def _worked(self, message: Read | Failed | Ended) -> Found | Failed | Ended:
        """What is found in a still; other messages as they are."""
        if not isinstance(message, Read):
            return message
        try:
            return Found(message.job, self._works[message.job](message.still))
        except FAILURES as error:
            return Failed(message.job, error)

    def _hand_on(self, message: Found | Failed | Ended) -> None:
        """Wait for a place before the writer, so that Ctrl-C is heard meanwhile on every system."""
        while True:
            with suppress(Full):
                return self._found.put(message, timeout=PATIENCE)

    def _writer(self) -> None:
        """Thread: everything that is found goes to its outputs, which are closed at the end.

        Signals end the thread that calls, never this one: what it has begun to write or to close becomes whole.
        """
        try:
            while (message := self._found.get()) is not None:
                self._write(message)
        except BaseException as error:
            self._broken = error
            self._ahead.stop()
            while self._found.get() is not None:
                pass
        self._close_all()

    def _write(self, message: Found | Failed | Ended) -> None:
        """Give a result to the outputs, or end a job."""
        job, tally = self.jobs[message.job], self.tallies[message.job]
        try:
            if isinstance(message, Failed):
                raise message.error
            if isinstance(message, Ended):
                self._end(message.job)
            elif not tally.failure:
                self._give(job, tally, message.result)
        except FAILURES as error:
            if not tally.failure:
                tally.failure = error
                self.reporter.failed(job, error)

    def _give(self, job: Job, tally: Tally, result: Result) -> None:
        """Write a result, and say of an image what was found: of files when they are there, else at once."""
        tally.video = result.number is not None
        if not job.files and not tally.video:
            self.reporter.found(job, result)  # a window stays for as long as somebody looks at it
        for output in job.outputs:
            if not (job.resume and output.has(result.number)):
                output.write(result)
        tally.add(result)
        if job.files and not tally.video:
            self.reporter.found(job, result)
        self.reporter.advance()

    def _end(self, index: int) -> None:
        """Close what a job alone used, and say that it is done."""
        tally = self.tallies[index]
        self._close(index)
        if not tally.failure:
            tally.done = True
            if tally.video:
                self.reporter.ended(self.jobs[index], tally)

    def _close_all(self) -> None:
        """Close what is still open."""
        for index, (job, tally) in enumerate(zip(self.jobs, self.tallies, strict=True)):
            try:
                self._close(index)
            except FAILURES as error:
                if not tally.failure:
                    tally.failure = error
                    self.reporter.failed(job, error)

    def _close(self, index: int) -> None:
        """Close the outputs that no later job needs."""
        for output in self.jobs[index].outputs:
            if self._last_use[id(output)] == index and id(output) in self._open:
                self._open.pop(id(output)).close()
