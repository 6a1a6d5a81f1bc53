"""Use any source as a camera: a video plays at its own rate and repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter

from posecv.outputs.films import RATE
from posecv.sources import Source, Still

__all__ = ["as_camera"]

LATE = 0.1  # seconds of delay that a video catches up; longer delays remain


def as_camera(
    source: Source, wait: Callable[[float], object], *, again: bool, clock: Callable[[], float] = perf_counter
) -> Iterator[Still]:
    """The stills of a source at their times.

    Parameters
    ----------
    source : Source
        A video is played at its rate; stills of other sources come when they arrive.
    wait : callable
        Called with the seconds until a video's next frame; returns after that time.
    again : bool
        Whether to repeat a video; numbers and times continue.
    clock : callable
        Returns the time in seconds.
    """
    if source.live or not source.has_frames:
        return source.stills()
    return _paced(_repeated(source) if again else source.stills(), wait, clock)


def _repeated(film: Source) -> Iterator[Still]:
    number, time = 0, 0.0
    while True:
        for still in film.stills():
            still = replace(still, number=number + (still.number or 0), time=time + still.time)
            yield still
        number, time = (still.number or 0) + 1, still.time + 1 / (still.rate or RATE)


def _paced(
    stills: Iterator[Still], wait: Callable[[float], object], clock: Callable[[], float]
) -> Iterator[Still]:
    due, before = clock(), 0.0
    for still in stills:
        now = clock()
        due = max(due + still.time - before, now - LATE)
        before = still.time
        wait(max(due - now, 0.0))
        yield still
