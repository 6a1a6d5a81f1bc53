"""Estimators: from a frame to a Result.

    frame -> Fit.blob -> Network.maps -> decoding -> pixels of the frame

An estimator is a small frozen value: a network, which it checks when it is made, and the settings of its fields. It
keeps no state: what the frame before knows comes with the call.

>>> from posecv.estimators.single_pass import Everybody
>>> everybody = Everybody(load_network("coco"), scale_number=2)       # doctest: +SKIP
>>> result = everybody(frame)                                         # doctest: +SKIP
>>> result = everybody(frame, net_size="-1x256")                      # doctest: +SKIP
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Protocol, TypeVar

from posecv.arrays import Frame
from posecv.errors import UsageError
from posecv.geometry import NetSize
from posecv.result import Result
from posecv.skeletons import Skeleton

__all__ = ["Estimator", "Setting", "adjusted"]

Setting = float | int | str | tuple[int, int] | NetSize | None  # what may be overridden for one frame
T = TypeVar("T")


class Estimator(Protocol):
    """Anything that finds the people of a frame."""

    @property
    def skeleton(self) -> Skeleton:
        """The layout of the keypoints that it finds."""

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """Find the people of a frame.

        Parameters
        ----------
        frame : (H, W, 3) uint8 array
            BGR.
        before : Result, optional
            The result before this one of the same source.
        **overrides
            Settings that hold for this frame alone, under the names of the estimator's fields.

        Raises
        ------
        InputError
            If the frame is no such array.
        UsageError
            If a setting is unknown or has a value that it cannot have.
        """


def adjusted(estimator: T, overrides: Mapping[str, Setting]) -> T:
    """The estimator with other settings; UsageError names the nearest where one is unknown."""
    if not overrides:
        return estimator
    known = [each.name for each in fields(estimator)]  # type: ignore[arg-type]  # all of ours are dataclasses
    for name in overrides:
        if name not in known:
            refuse_unknown(name, known)
    return replace(estimator, **dict(overrides))  # type: ignore[type-var]


def refuse_unknown(name: str, known: list[str]) -> None:
    """UsageError about a setting that does not exist."""
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else f"; there are {', '.join(known)}"
    raise UsageError(f"unknown setting {name}{hint}")
