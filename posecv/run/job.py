"""Jobs: a source and its outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from posecv.estimators import Estimator
from posecv.outputs import Output
from posecv.result import Result
from posecv.sources import Source, Still
from posecv.steps import MakeStep, Step

__all__ = ["TIMED", "Job", "Tally", "Work"]

TIMED = "network", "decoding"  # durations shown in the report lines


@dataclass(frozen=True, eq=False)
class Job:
    """A source and its outputs.

    Attributes
    ----------
    source : Source
        Yields the stills.
    outputs : tuple of Output
        Receive its results; jobs may share some.
    files : tuple of Path
        Files or folders that the outputs write, for the report line.
    resume : bool
        Whether to skip results that the outputs already have.
    """

    source: Source
    outputs: tuple[Output, ...] = ()
    files: tuple[Path, ...] = ()
    resume: bool = False

    def is_done(self, still: Still) -> bool:
        """Whether an earlier run has already processed a still."""
        return self.resume and all(output.has(still.number) for output in self.outputs)


@dataclass
class Tally:
    """The progress of a job."""

    stills: int = 0
    people: int = 0
    several: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    video: bool = False
    done: bool = False
    failure: Exception | None = None

    def add(self, result: Result) -> None:
        """Count a result that was written."""
        self.stills += 1
        self.people += len(result.people)
        self.several += result.several
        for step, seconds in result.seconds.items():
            self.seconds[step] = self.seconds.get(step, 0.0) + seconds


class Work:
    """Processes the stills of one source: estimator, then new steps; remembers the previous result.

    Parameters
    ----------
    estimator : Estimator
    steps : iterable of callable
        Each creates a step.
    keeps_view : bool
        Whether results keep their maps, which are larger than frames.
    """

    def __init__(self, estimator: Estimator, steps: Iterable[MakeStep] = (), *, keeps_view: bool = False) -> None:
        self._estimator, self._keeps_view = estimator, keeps_view
        self._steps: list[Step] = [make() for make in steps]
        self._before: Result | None = None

    def __call__(self, still: Still) -> Result:
        """The result of the next still of the source."""
        result = joined(self._estimator(still.frame, self._before), still)
        if not self._keeps_view:
            result = replace(result, view=None)
        start = perf_counter()
        for step in self._steps:
            result = step(result)
        if self._steps:
            result = replace(result, seconds={**result.seconds, "steps": perf_counter() - start})
        self._before = replace(result, frame=None, view=None)
        return result


def joined(result: Result, still: Still) -> Result:
    """An estimator's result with the place and time of its still."""
    return replace(
        result,
        frame=still.frame,
        source=still.source,
        number=still.number,
        time=still.time,
        rate=still.rate,
        aspect=still.aspect,
    )
