"""Any source as a camera: a video comes at its own rate, and begins again where it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter

from posecv.outputs.films import RATE
from posecv.sources import Source, Still

__all__ = ["as_camera"]

LATE = 0.1  # seconds that a video makes up for where reading it took too long; what is more is left


def as_camera(
    source: Source, wait: Callable[[float], object], *, again: bool, clock: Callable[[], float] = perf_counter
) -> Iterator[Still]:
    """The stills of a source when their time has come.

    Parameters
    ----------
    source : Source
        A video is played; of anything else the stills come when they do.
    wait : callable
        Is told how many seconds are left until the next frame of a video, and returns then.
    again : bool
        Whether a video is repeated, its numbers and times going on.
    clock : callable
        Gives the time in seconds.
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
