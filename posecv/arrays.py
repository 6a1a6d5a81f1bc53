"""Array types, and checks of the values that programs pass."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError, UsageError

__all__ = ["Array", "Box", "Frame", "check_box", "check_number", "checked_frame"]

Array: TypeAlias = NDArray[np.float32]
Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3), blue, green, red
Box: TypeAlias = tuple[float, float, float, float]  # x, y, width, height


def checked_frame(frame: object, *, empty: bool = False) -> Frame:
    """Return the frame; InputError if it is not one. A frame without pixels is one only if `empty`."""
    if not isinstance(frame, np.ndarray):
        found = type(frame).__name__
        raise InputError(f"a frame must be an array, not a {found}; cv2.imread returns None if it cannot read a file")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not (frame.size or empty):
        raise InputError(f"a frame must be a (height, width, 3) uint8 BGR array, not {frame.shape} {frame.dtype}")
    return frame


def check_number(name: str, value: object, *, whole: bool = False) -> None:
    """Raise UsageError if a parameter is not a number, or not a whole number where that is needed.

    >>> check_number("scale_number", "2", whole=True)
    Traceback (most recent call last):
    posecv.errors.UsageError: scale_number='2' is not a whole number
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real) or value != value:
        raise UsageError(f"{name}={_short(value)} is not a {'whole ' if whole else ''}number")


def check_box(box: object) -> None:
    """Raise UsageError if a box is not x, y, width, height."""
    sides = list(box) if isinstance(box, (tuple, list, np.ndarray)) else []
    if len(sides) != 4 or not all(isinstance(side, Real) and math.isfinite(side) for side in sides):
        raise UsageError(f"box={_short(box)}: give four numbers (x, y, width, height), in pixels of the frame")


def _short(value: object) -> str:
    """The beginning of a value in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) < 60 else f"{text[:57]}..."
