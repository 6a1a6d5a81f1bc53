"""Estimators: from a frame to a Result.

    frame -> Fit.blob -> Network.maps -> decoding -> pixels of the frame

An estimator is a small frozen dataclass: a network, which it checks when it is created, and its settings. It has no
state: the result of the previous frame is an argument of the call.

>>> from posecv.estimators.single_pass import Everybody
>>> everybody = Everybody(load_network("coco"), scale_number=2)       # doctest: +SKIP
>>> result = everybody(frame)                                         # doctest: +SKIP
>>> result = everybody(frame, net_size="-1x256")                      # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Protocol, TypeVar

from posecv.arrays import Box, Frame
from posecv.checks import check_box, check_number, unknown
from posecv.engines.network import Network
from posecv.errors import UsageError
from posecv.geometry import NetSize
from posecv.result import Result
from posecv.skeletons import Skeleton, Thresholds

__all__ = ["Estimator", "Setting", "adjusted"]

Setting = float | int | str | tuple[int, int] | Box | NetSize | None  # types of settings
T = TypeVar("T")


class Estimator(Protocol):
    """Anything that finds the people of a frame."""

    @property
    def skeleton(self) -> Skeleton:
        """The layout of its people's keypoints."""

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """Find the people of a frame.

        Parameters
        ----------
        frame : (H, W, 3) uint8 array
            BGR.
        before : Result, optional
            The result of the previous frame of the same source.
        **overrides
            Settings for this frame only, named like the estimator's fields.

        Raises
        ------
        InputError
            If the frame is another kind of array.
        UsageError
            If a setting is unknown or has an invalid value.
        """


def adjusted(estimator: T, overrides: Mapping[str, Setting]) -> T:
    """The estimator with other settings; UsageError suggests the nearest name for an unknown one."""
    if not overrides:
        return estimator
    known = [each.name for each in fields(estimator)]  # type: ignore[arg-type]  # all our estimators are dataclasses
    for name in overrides:
        if name not in known:
            refuse_unknown(name, known)
    return replace(estimator, **dict(overrides))  # type: ignore[type-var]


def check_network(network: object) -> None:
    """Raise UsageError for something else than a network."""
    if not isinstance(network, Network):
        raise UsageError(f"network is a {type(network).__name__}; load one with posecv.load_network")


def check_settings(estimator: object) -> None:
    """Raise UsageError if a setting of an estimator has the wrong type; None is right where it is the default."""
    for each in fields(estimator):  # type: ignore[arg-type]  # all our estimators are dataclasses
        value = getattr(estimator, each.name)
        if each.name == "network":
            check_network(value)
        elif value is None and each.default is None:
            continue
        elif each.name in ("scale_number", "most", "person_keypoints"):
            check_number(each.name, value, whole=True)
        elif each.name in ("threshold", "scale_gap", "scale_range", "person_threshold", "person_height"):
            check_number(each.name, value)
        elif each.name == "box":
            check_box(value)
        elif each.name == "thresholds" and not isinstance(value, Thresholds):
            raise UsageError(f"thresholds is a {type(value).__name__}; give posecv.skeletons.Thresholds")


def refuse_unknown(name: str, known: list[str]) -> None:
    """Raise UsageError for a setting that does not exist."""
    raise unknown("setting", name, known)
