"""How many frames come a second."""

from __future__ import annotations

from collections import deque

__all__ = ["Rate"]

RECENT = 16  # frames whose rate is shown: it follows changes and does not flicker


class Rate:
    """Frames per second over the last few frames."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=RECENT)

    def tick(self, now: float) -> float:
        """Count a frame at a time in seconds; the rate, 0 with the first."""
        self._times.append(now)
        elapsed = now - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0
