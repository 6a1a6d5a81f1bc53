"""The pipeline: reading, estimating and writing in separate threads, so that the network never waits for a disk.

    reader ──Read──▶ queue ──▶ estimator and steps (this thread) ──Found──▶ queue ──▶ writer

A failing source is reported and counted, and the others are processed. Finished results are kept, however the run ends.
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
from posecv.outputs import CanBeCutOff
from posecv.outputs.window import WindowClosed
from posecv.result import Result
from posecv.run.ahead import PATIENCE, Ahead
from posecv.run.job import Job, Tally, Work
from posecv.run.report import Reporter
from posecv.sources import Still
from posecv.steps import MakeStep

__all__ = ["Job", "run"]

WAITING = 4  # stills in each queue: enough to smooth out delays with little memory
FAILURES = (InputError, OutputError, MemoryError, cv2.error)


@dataclass(frozen=True)
class Read:
    """A still of a job."""

    job: int
    still: Still


@dataclass(frozen=True)
class Found:
    """The result of a still, on its way to the outputs."""

    job: int
    result: Result


@dataclass(frozen=True)
class Failed:
    """An error that ends a job early."""

    job: int
    error: Exception


@dataclass(frozen=True)
class Ended:
    """A job has no more stills."""

    job: int


def run(
    jobs: Sequence[Job], estimator: Estimator, steps: Sequence[MakeStep] = (), *, bar: bool = False
) -> int:
    """Run all jobs, with one line on stderr for each and a progress bar if there is more than one still.

    Parameters
    ----------
    jobs : sequence of Job
        In order.
    estimator : Estimator
        Finds the people of a frame. It runs in the calling thread.
    steps : sequence of callable
        Create the steps of each source.
    bar : bool
        Whether a progress bar may be drawn.

    Returns
    -------
    int
        The exit code: 0 if all succeeded, 1 if some failed, 2 if all failed.
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
    """One run: its queues and the progress of each job."""

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
        """Number of finished jobs."""
        return sum(tally.done for tally in self.tallies)

    def run(self) -> None:
        """Run all jobs; an exception is raised after all results so far have been written."""
        # A window should show the newest frame, so only one frame of a camera waits.
        self._ahead = Ahead(self._read(), 1 if self._shown else WAITING, self._replaces)
        writer = None if self._shown else threading.Thread(target=self._writer, daemon=True)
        if writer:  # windows must run in the calling thread
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
            except KeyboardInterrupt:  # finish writing first; it does not take long
                self._finish(writer)
                raise
        if self._broken:
            raise self._broken

    def _finish(self, writer: threading.Thread | None) -> None:
        """Wait until all results are written and the outputs are closed."""
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
        """Whether a still replaces an older one: if both are from the same live source."""
        both = isinstance(new, Read) and isinstance(oldest, Read) and new.job == oldest.job
        return both and self.jobs[new.job].source.live

    def _worked(self, message: Read | Failed | Ended) -> Found | Failed | Ended:
        """The result of a still; other messages are passed on."""
        if not isinstance(message, Read):
            return message
        try:
            return Found(message.job, self._works[message.job](message.still))
        except FAILURES as error:
            return Failed(message.job, error)

    def _hand_on(self, message: Found | Failed | Ended) -> None:
        """Wait for room in the writer's queue, so that Ctrl-C works meanwhile on every system."""
        while True:
            with suppress(Full):
                return self._found.put(message, timeout=PATIENCE)

    def _writer(self) -> None:
        """Thread: write all results, and close the outputs at the end.

        Signals interrupt only the calling thread, so this one always finishes writing and closing.
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
        """Write a result, or end a job."""
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
                tally.failure = without_frames(error)
                self.reporter.failed(job, error)

    def _give(self, job: Job, tally: Tally, result: Result) -> None:
        """Write a result, and report it if it is an image: after writing files, but before showing it in a window."""
        tally.video = result.number is not None
        if not job.files and not tally.video:
            self.reporter.found(job, result)  # a window blocks until the user goes on
        for output in job.outputs:
            if not (job.resume and output.has(result.number)):
                output.write(result)
        tally.add(result)
        if job.files and not tally.video:
            self.reporter.found(job, result)
        self.reporter.advance()

    def _end(self, index: int) -> None:
        """Close the outputs that only this job used, and report that it is done."""
        tally = self.tallies[index]
        self._close(index)
        if not tally.failure:
            tally.done = True
            if tally.video:
                self.reporter.ended(self.jobs[index], tally)

    def _close_all(self) -> None:
        """Close all open outputs; those of a job that was stopped before its end hear of it."""
        for index, (job, tally) in enumerate(zip(self.jobs, self.tallies, strict=True)):
            for output in job.outputs:
                if not tally.done and id(output) in self._open and isinstance(output, CanBeCutOff):
                    output.cut_off()
            try:
                self._close(index)
            except FAILURES as error:
                if not tally.failure:
                    tally.failure = without_frames(error)
                    self.reporter.failed(job, error)

    def _close(self, index: int) -> None:
        """Close outputs that no later job uses."""
        for output in self.jobs[index].outputs:
            if self._last_use[id(output)] == index and id(output) in self._open:
                self._open.pop(id(output)).close()


def without_frames(error: Exception) -> Exception:
    """The error without its traceback, which would keep the images that its functions were working on in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
