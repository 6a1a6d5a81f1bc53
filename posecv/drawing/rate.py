"""Frames per second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter

__all__ = ["Rate"]

RECENT = 16  # the rate is averaged over so many frames: it follows changes and does not flicker
SILENCE = 1.0  # seconds without a frame after which the rate begins to fall


class Rate:
    """Frames per second over the last few frames; `clock` returns the time in seconds."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=RECENT)

    def tick(self, now: float | None = None) -> float:
        """Count a frame, now or at a given time, and return the rate; 0 for the first frame."""
        time = self._clock() if now is None else now
        self._times.append(time)
        return self.at(time)

    def at(self, now: float) -> float:
        """The rate at a time; 0 before the second frame.

        >>> rate = Rate()
        >>> [rate.tick(second) for second in (0.0, 0.5, 1.0)]
        [0.0, 2.0, 2.0]
        >>> rate.at(5.0)
        0.5
        """
        if len(self._times) < 2:
            return 0.0
        elapsed = max(self._times[-1], now - SILENCE) - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0
