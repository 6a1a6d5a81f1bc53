"""The coordinates of written results: OpenPose's `keypoint_scale`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.errors import UsageError
from posecv.geometry import Fit
from posecv.outputs import Output
from posecv.people import People
from posecv.result import Result

__all__ = ["SCALES", "Unturned", "converted", "unturned"]

SCALES = ("image", "net", "unit", "signed")
SOURCE = "source"  # on the command line: pixels of the file's frame, before it was rotated and flipped

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
    return people.mapped(lambda part: np.concatenate([part[..., :2] * factor + shift, part[..., 2:]], axis=-1))


class Unturned:
    """An output that receives results as if frames had not been rotated and flipped.

    Parameters
    ----------
    output : Output
        Writes the results.
    rotate, flip
        What was done to the frames, as in `posecv.sources.selection.Selection`.
    """

    def __init__(self, output: Output, rotate: int, flip: bool) -> None:
        self._output, self._rotate, self._flip = output, rotate, flip
        self.wants_view, self.wants_rate, self.interactive = output.wants_view, output.wants_rate, output.interactive

    def write(self, result: Result) -> None:
        """Write the result in the file's coordinates."""
        self._output.write(unturned(result, self._rotate, self._flip))

    def has(self, number: int | None) -> bool:
        """Whether the output already has the frame."""
        return self._output.has(number)

    def close(self) -> None:
        """Close the output."""
        self._output.close()


def unturned(result: Result, rotate: int, flip: bool) -> Result:
    """A result for the frame as it is in the file; in a mirror image left and right are swapped, so they swap back.

    Parameters
    ----------
    result : Result
        Of a frame that was rotated and then flipped.
    rotate : {0, 90, 180, 270}
        Degrees clockwise.
    flip : bool
        Whether left and right of the frame were swapped.
    """
    if result.frame is None:
        raise UsageError("keypoint_scale=source needs the frame, which this result does not have")
    people, (height, width) = result.people, result.frame.shape[:2]

    def xy(part: Array) -> Array:
        x, y, score = part[..., 0], part[..., 1], part[..., 2]
        if flip:
            x = width - 1 - x
        x, y = {
            0: (x, y), 90: (y, width - 1 - x), 180: (width - 1 - x, height - 1 - y), 270: (height - 1 - y, x),
        }[rotate]  # fmt: skip
        return np.where(score[..., None] > 0, np.stack([x, y, score], axis=-1), 0)

    people = people.mapped(xy)
    if flip:
        keypoints = people.keypoints[:, list(people.skeleton.mirrored)]
        hands = None if people.hands is None else people.hands[:, ::-1]
        left = None if people.left is None else ~people.left
        people = replace(people, keypoints=keypoints, hands=hands, left=left)
    frame = np.rot90(result.frame[:, ::-1] if flip else result.frame, rotate // 90)
    return replace(result, people=people, frame=frame)
