"""The coordinates of written results: OpenPose's `keypoint_scale`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.errors import UsageError
from posecv.geometry import Fit
from posecv.people import People
from posecv.result import Result

__all__ = ["SCALES", "converted"]

SCALES = ("image", "net", "unit", "signed")

Pair = NDArray[np.float64]


def converted(result: Result, scale: str) -> People:
    """The people of a result with their coordinates in another scale; scores do not change.

    Parameters
    ----------
    result : Result
        It needs a frame, except for "image", and a view for "net".
    scale : {"image", "net", "unit", "signed"}
        Pixels of the frame, pixels of the network's input, 0 to 1, or -1 to 1. The last two go from the centre of the
        first pixel to the centre of the last.

    Notes
    -----
    As in OpenPose, missing keypoints are transformed too: in "signed" they are at -1, -1. Recognise them by score 0.
    """
    people = result.people
    if scale == "image":
        return people
    if result.frame is None:
        raise UsageError(f"keypoint_scale={scale} needs the frame, which this result does not have")
    height, width = result.frame.shape[:2]
    last = np.maximum([width - 1, height - 1], 1)  # an image may be one pixel wide
    if scale == "net":
        if result.view is None:
            raise UsageError("keypoint_scale=net needs the result's view, which was not kept")
        return _moved(people, np.full(2, _net_factor(result.view.fit, width, height)), np.zeros(2))
    if scale == "unit":
        return _moved(people, 1 / last, np.zeros(2))
    return _moved(people, 2 / last, -np.ones(2))


def _net_factor(fit: Fit, width: int, height: int) -> float:
    """Network pixels per pixel of the frame, from the number of network pixels, rounded, that the frame fills."""
    filled = ((int(fit.scale * side + 0.5), side) for side in (width, height))
    return max(((net - 1) / (side - 1) for net, side in filled if min(net, side) > 1), default=1.0)


def _moved(people: People, factor: Pair, shift: Pair) -> People:
    def xy(part: Array) -> Array:
        return np.concatenate([part[..., :2] * factor + shift, part[..., 2:]], axis=-1).astype(np.float32)

    hands = None if people.hands is None else xy(people.hands)
    faces = None if people.faces is None else xy(people.faces)
    return replace(people, keypoints=xy(people.keypoints), hands=hands, faces=faces)
