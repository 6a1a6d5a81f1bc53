"""Times of videos' frames from the time stamps in their files, which may be missing, wrong, or begin again."""

from __future__ import annotations

import math
from collections import deque
from statistics import median_low

__all__ = ["Clock", "Unbroken", "format_of", "is_broadcast", "longest_gap"]

BROADCAST = frozenset({"mpegts", "mpegtsraw", "mpeg", "mpegvideo", "vob", "rtp", "rtsp", "dvbsub"})
RATE = 25.0  # frames per second, if a video tells no rate
STRAYS = 4  # frames that a decoder keeps back, at most
EVEN = 1.25  # the longest of some steps divided by the shortest, at a constant rate
STEPS = 9  # steps between frames whose median is the usual step
GAP = 1.75  # steps from which on a frame is missing; films on DVDs have steps of 1 and 1.5
JITTER = 6  # steps by which a stamp may be too early without being a new beginning


def longest_gap(container: str) -> float:
    """The longest gap in seconds between two stamps; a longer one is a jump of the clock.

    Formats of broadcasts are recorded, cut and joined, so their clocks jump; in others a picture may stay for hours.
    """
    return 10.0 if is_broadcast(container) else 30 * 3600.0


def format_of(head: bytes) -> str:
    """FFmpeg's name of a format of broadcasts, or of AVI, from the first bytes of a file; empty for others.

    >>> format_of(bytes([0, 0, 1, 0xBA]) + bytes(400))
    'mpeg'
    """
    for first, step in ((0, 188), (4, 192)):
        if len(head) > first + 2 * step and {head[first], head[first + step], head[first + 2 * step]} == {0x47}:
            return "mpegts"
    if head.startswith(b"\0\0\x01\xba"):
        return "mpeg"
    return "avi" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else ""


def is_broadcast(container: str) -> bool:
    """Whether FFmpeg's name of a format is one of broadcasts."""
    return bool(BROADCAST & set(container.split(",")))


class Unbroken:
    """Moves stamps so that they go on from where they were when their clock begins again or jumps.

    Parameters
    ----------
    longest : float
        The longest gap in seconds that is believed.

    Examples
    --------
    >>> move = Unbroken(longest=10)
    >>> [move(stamp) for stamp in (0, 1, 2, 0, 1)]
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._last: float | None = None
        self._shift = self._step = 0.0

    def __call__(self, stamp: float) -> float:
        """The moved stamp."""
        time = float(stamp) + self._shift
        if self._last is not None:
            if not self._last - 0.5 <= time <= self._last + self._longest:
                self._shift += self._last + self._step - time
                time = self._last + self._step
            elif time > self._last:
                self._step = time - self._last
        self._last = time
        return time


class Clock:
    """The numbers and times of a video's frames; times never go back.

    Parameters
    ----------
    rate : float
        Frames per second according to the header, 0 if unknown.
    longest : float
        The longest gap in seconds that is believed.
    steady : bool
        Whether a gap means that frames are missing, although no damage was seen: broadcasts have a constant rate.

    Examples
    --------
    >>> clock = Clock(rate=10)
    >>> [clock.tick(stamp) for stamp in (0.0, 0.1, None, 0.3)]
    [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.3)]
    """

    def __init__(self, rate: float, longest: float = 30 * 3600.0, *, steady: bool = False) -> None:
        self._nominal, self._longest, self._steady = 1 / (rate or RATE), longest, steady
        self._steps: deque[float] = deque(maxlen=STEPS)
        self._number, self._time = -1, 0.0
        self._stamp: float | None = None  # the last one, as it came
        self._shift = 0.0
        self._before_gap: float | None = None  # the time before the last gap
        self._strays = 0  # how many frames may come too late
        self._lost = 0  # frames that are missing since the last one

    def lose(self) -> None:
        """A frame cannot be decoded; the next ones keep their numbers and times."""
        self._lost += 1
        self._strays = STRAYS

    def tick(self, stamp: float | None) -> tuple[int, float] | None:
        """The number and time of the next frame, whose time stamp in seconds may be None.

        It is None for a frame that comes too late: behind damage, a decoder has kept some from before.
        """
        if self._strays and stamp is not None and self._is_before_a_gap(stamp + self._shift):
            self._strays -= 1
            self._lost += 1
            return None
        if self._number < 0:
            self._time = 0.0 if stamp is None else max(stamp, 0.0)
            if stamp is None:
                self._number = self._lost
                self._time = self._lost * self._nominal
            else:
                self._number = min(self._lost, round(self._time / self._nominal))
            self._lost -= self._number
        else:
            self._advance(stamp)
        if stamp is not None:
            self._stamp = stamp
        return self._number, self._time

    def _advance(self, stamp: float | None) -> None:
        step = median_low(self._steps) if self._steps else self._nominal
        time = None if stamp is None or stamp == self._stamp else stamp + self._shift
        if time is None:  # no stamp, or the same again
            missing = self._lost if stamp is None else 0
            next_time = self._time + step * (1 + missing)
        elif self._time - JITTER * step < time <= self._time or self._is_before_a_gap(time):
            missing, next_time = 0, self._time + step / 10
        elif self._time < time <= self._time + self._longest:
            gap = max(0, math.floor((time - self._time) / step + 1 - GAP))
            whole = self._steady or (self._lost > 0 and self._is_even())
            missing = gap if whole else min(self._lost, gap)
            if gap:
                self._before_gap = self._time
            next_time = time
            if not missing:
                self._steps.append(time - self._time)
        else:  # the clock has begun again, or jumped
            missing, next_time = 0, self._time + step
            self._shift += next_time - time
        self._number += 1 + missing
        self._lost = max(0, self._lost - missing)
        self._time = next_time

    def _is_even(self) -> bool:
        """Whether the last steps are about equal, so that a gap tells how many frames are missing."""
        return len(self._steps) == STEPS and max(self._steps) < EVEN * min(self._steps)

    def _is_before_a_gap(self, time: float) -> bool:
        """Whether a time lies in the last gap: then not this stamp was wrong, but the one after the gap."""
        return self._before_gap is not None and self._before_gap < time <= self._time
