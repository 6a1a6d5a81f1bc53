"""Checks of the values that programs pass. They need no packages, since `posecv` itself imports this."""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, cast

from posecv.errors import InputError, UsageError

__all__ = ["LARGEST", "check_box", "check_number", "checked_path", "known_arguments", "outside", "short",
           "unknown"]  # fmt: skip

LARGEST = (1 << 31) - 1  # of numbers that programs and users give: OpenCV counts with 32 bits

F = TypeVar("F", bound=Callable[..., Any])


def known_arguments(function: F) -> F:
    """Decorate a public function: wrong arguments are a UsageError that names the nearest parameter.

    >>> @known_arguments
    ... def draw(frame, *, alpha=1.0): ...
    >>> draw(None, alhpa=0.5)
    Traceback (most recent call last):
    posecv.errors.UsageError: unknown parameter alhpa; did you mean alpha?
    """
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    named = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    takes_others = len(named) < len(parameters)

    @functools.wraps(function)
    def checked(*values: Any, **settings: Any) -> Any:
        others = [] if takes_others else [name for name in settings if name not in named]
        if others:
            raise unknown("parameter", others[0], named)
        try:
            signature.bind(*values, **settings)
        except TypeError as error:
            raise UsageError(f"{_called(function)}: {error}; its parameters are {', '.join(named)}") from None
        return function(*values, **settings)

    return cast(F, checked)


def _called(function: Callable[..., Any]) -> str:
    """The name that a program calls a function by, for a class its own."""
    return function.__qualname__.removesuffix(".__init__")


def unknown(kind: str, name: str, known: Sequence[str]) -> UsageError:
    """The error for a name that does not exist, with the nearest one that does, or all."""
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else f"; choose one of {', '.join(known)}"
    return UsageError(f"unknown {kind} {name}{hint}")


def check_number(name: str, value: object, *, whole: bool = False) -> None:
    """Raise UsageError if a parameter is not a number, or not a whole number where that is needed.

    >>> check_number("scale_number", "2", whole=True)
    Traceback (most recent call last):
    posecv.errors.UsageError: scale_number='2' is not a whole number
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real) or value != value:
        raise UsageError(f"{name}={short(value)} is not a {'whole ' if whole else ''}number")
    if isinstance(value, Integral) and not _is_usable(value):
        raise UsageError(f"{name} is beyond the numbers that posecv can use: at most {LARGEST}")


def check_box(box: object) -> None:
    """Raise UsageError if a box is not x, y, width, height."""
    sides = list(box) if isinstance(box, Iterable) else []
    if len(sides) != 4 or not all(isinstance(side, Real) and _is_usable(side) for side in sides):
        raise UsageError(f"box={short(box)}: give four numbers (x, y, width, height), in pixels of the frame")


def outside(box: tuple[float, float, float, float], width: int, height: int) -> InputError:
    """The error for a box x, y, width, height that lies outside an image of width x height."""
    x, y, wide, tall = box
    said = f"box {x:g},{y:g},{wide:g},{tall:g} (x, y, width, height)"
    return InputError(f"{said} lies outside the {width} x {height} image")


def _is_usable(number: Any) -> bool:
    return bool(abs(number) <= LARGEST)


def checked_path(path: object) -> Path:
    """The path of a file to write; UsageError if it is none.

    >>> checked_path(5)
    Traceback (most recent call last):
    posecv.errors.UsageError: path=5: give the name of a file
    """
    if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
        raise UsageError(f"path={short(path)}: give the name of a file")
    return Path(path)


def short(value: object) -> str:
    """The beginning of a value in one line."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no whole numbers of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) < 60 else f"{text[:57]}..."
