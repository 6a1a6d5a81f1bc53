"""Which frames of a source to use, and how to rotate and flip them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.checks import check_number
from posecv.errors import UsageError

__all__ = ["Selection"]


TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True)
class Selection:
    """Which frames of a video to use, and how to rotate and flip them.

    Attributes
    ----------
    first, last : int
        Numbers of the first and the last frame, counted from 0; None for `last` means the end.
    step : int
        Use every `step`-th frame.
    flip : bool
        Whether to swap left and right.
    rotate : int
        Degrees clockwise: 0, 90, 180 or 270; applied before the flip.

    Raises
    ------
    UsageError
        If a value is invalid.
    """

    first: int = 0
    last: int | None = None
    step: int = 1
    flip: bool = False
    rotate: int = 0

    def __post_init__(self) -> None:
        for name in ("first", "last", "step"):
            if name != "last" or self.last is not None:
                check_number(name, getattr(self, name), whole=True)
        if self.first < 0 or self.step < 1:
            raise UsageError(f"first={self.first} step={self.step}: frames are counted from 0, and a step is 1 or more")
        if self.last is not None and self.last < self.first:
            raise UsageError(f"last={self.last} is before first={self.first}")
        if self.rotate not in (0, *TURNS):
            raise UsageError(f"rotate={self.rotate}: use 0, 90, 180 or 270 degrees clockwise")

    @property
    def end(self) -> int | None:
        """How many frames to read; None for all."""
        return None if self.last is None else self.last + 1

    def wants(self, number: int) -> bool:
        """Whether to use the frame with that number."""
        within = self.first <= number and (self.last is None or number <= self.last)
        return within and (number - self.first) % self.step == 0

    def of(self, count: int) -> int:
        """How many of `count` frames are used.

        >>> Selection(first=2, last=8, step=3).of(7)
        2
        """
        end = count if self.last is None else min(count, self.last + 1)
        return max(0, math.ceil((end - self.first) / self.step))

    def turned(self, frame: Frame) -> Frame:
        """The frame, rotated and flipped."""
        if self.rotate:
            frame = cv2.rotate(frame, TURNS[self.rotate]).astype(np.uint8, copy=False)
        return cv2.flip(frame, 1).astype(np.uint8, copy=False) if self.flip else frame
