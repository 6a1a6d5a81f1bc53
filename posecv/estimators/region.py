"""Search for people in a part of the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Frame, checked_frame
from posecv.checks import check_box, outside
from posecv.errors import UsageError
from posecv.estimators import Estimator, Setting
from posecv.geometry import Box
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import Skeleton

__all__ = ["Region"]

BLANK = 128  # where nobody is searched for


@dataclass(frozen=True, eq=False)
class Region:
    """Finds people with another estimator in a part of the frame; results are in pixels of the whole frame.

    Attributes
    ----------
    estimator : Estimator
    box : (x, y, width, height)
        Where to search, in pixels of the frame; the whole frame by default. The network sees nothing else, so people
        are larger in its input.
    mask : (h, w) uint8 array
        Where to search: pixels that are not 0. A mask of another size is stretched to the frame.
    """

    estimator: Estimator
    box: Box | None = None
    mask: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.box is not None:
            check_box(self.box)
        if self.mask is not None and (self.mask.ndim != 2 or not self.mask.any()):
            raise UsageError("mask must be an array (height, width) with pixels that are not 0, where people may be")

    @property
    def skeleton(self) -> Skeleton:
        """The estimator's skeleton."""
        return self.estimator.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The people in the part of the frame; InputError if it lies outside the frame."""
        whole = checked_frame(frame)
        left, top, right, bottom = self._corners(whole)
        part = self._shown(whole)[top:bottom, left:right]
        if before is not None:
            before = replace(before, people=shifted(before.people, -left, -top))
        result = self.estimator(np.ascontiguousarray(part), before, **overrides)
        view = result.view
        if view is not None:
            view = view._replace(fit=replace(view.fit, x=view.fit.x + left, y=view.fit.y + top))
        return replace(result, people=shifted(result.people, left, top), frame=frame, view=view)

    def _corners(self, frame: Frame) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the box inside the frame, in whole pixels."""
        height, width = frame.shape[:2]
        if self.box is None:
            return 0, 0, width, height
        x, y, wide, tall = self.box
        left, top = max(round(x), 0), max(round(y), 0)
        right, bottom = min(round(x + wide), width), min(round(y + tall), height)
        if left >= right or top >= bottom:
            raise outside(self.box, width, height)
        return left, top, right, bottom

    def _shown(self, frame: Frame) -> Frame:
        """The frame, grey where nobody is searched for."""
        if self.mask is None:
            return frame
        size = frame.shape[1], frame.shape[0]
        mask = cv2.resize(self.mask, size, interpolation=cv2.INTER_NEAREST)
        return np.where(mask[..., None] > 0, frame, BLANK).astype(np.uint8)


def shifted(people: People, x: float, y: float) -> People:
    """The people, moved by some pixels; missing keypoints stay 0."""
    by = np.array([x, y, 0], np.float32)
    return people.mapped(lambda part: np.where(part[..., 2:] > 0, part + by, part))
