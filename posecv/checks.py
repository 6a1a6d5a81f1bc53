"""Checks of the values that programs pass. They need no packages, since `posecv` itself imports this."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real

from posecv.errors import InputError, UsageError

__all__ = ["check_box", "check_number", "outside"]


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
    sides = list(box) if isinstance(box, Iterable) else []
    if len(sides) != 4 or not all(isinstance(side, Real) and math.isfinite(side) for side in sides):
        raise UsageError(f"box={_short(box)}: give four numbers (x, y, width, height), in pixels of the frame")


def outside(box: tuple[float, float, float, float], width: int, height: int) -> InputError:
    """The error for a box x, y, width, height that lies outside an image of width x height."""
    x, y, wide, tall = box
    said = f"box {x:g},{y:g},{wide:g},{tall:g} (x, y, width, height)"
    return InputError(f"{said} lies outside the {width} x {height} image")


def _short(value: object) -> str:
    """The beginning of a value in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) < 60 else f"{text[:57]}..."
