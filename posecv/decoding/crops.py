"""Crops: the keypoints of the one person in each of several crops, and the boxes that a detector's maps hold."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from posecv.arrays import Array
from posecv.errors import InputError

__all__ = ["decode_boxes", "decode_crops"]

REACH = 5  # cells on either side of a peak whose mean is the keypoint's place
CERTAIN = 1 - 1e-6  # the highest probability that has finite odds
LEAST_SCORE = 0.3
SAME_BOX = 0.55  # of two boxes with a higher intersection over union the weaker one goes
TINY = np.float32(1e-10)
BOX_CHANNELS = 5  # centre, left, top, right, bottom


def decode_crops(maps: ArrayLike, *, refinement: str = "odds") -> Array:
    """Find one keypoint in each heatmap of each crop.

    Parameters
    ----------
    maps : (N, K, h, w) array
        Heatmaps: how probably a keypoint lies in a cell, 0 to 1.
    refinement : {"odds", "parabola"}
        How a keypoint is placed between the cells: "odds" for networks with a sigmoid at their end, "parabola" for
        those that were trained to paint bumps.

    Returns
    -------
    (N, K, 3) float32 array
        x, y in cells, the centre of the first cell 0, 0, and the highest probability.

    Raises
    ------
    InputError
        If the array has another shape, or the refinement is unknown.

    Notes
    -----
    "odds": the mean of the cells round the highest one, weighted by p / (1 - p). With a sigmoid at the network's end
    these are the exponentials of what stands before it, so that the mean is that of a softmax, for which the network
    was trained. "parabola": the vertex of the parabolas through the logarithms of the smoothed map, which are parabolas
    where a bump is Gaussian (Zhang et al., Distribution-Aware Coordinate Representation, CVPR 2020).

    Examples
    --------
    A bump between two cells:

    >>> y, x = np.mgrid[:16, :12]
    >>> odds = np.exp(-((x - 5.5) ** 2 + (y - 8) ** 2) / 2)
    >>> decode_crops((odds / (1 + odds))[None, None]).round(2)
    array([[[5.5 , 8.  , 0.47]]], dtype=float32)
    """
    array = np.asarray(maps, np.float32)
    if array.ndim != 4 or not array[0].size:
        raise InputError(f"maps of crops have the shape (crops, keypoints, height, width), not {np.shape(maps)}")
    if refinement not in PLACED:
        raise InputError(f"refinement {refinement!r} is unknown; there are {', '.join(PLACED)}")
    count, keypoints, height, width = array.shape
    flat = array.reshape(count * keypoints, height, width)
    row, column = np.divmod(flat.reshape(len(flat), -1).argmax(axis=1), width)
    span = np.arange(-REACH, REACH + 1)
    rows, columns = row[:, None] + span, column[:, None] + span                    # (N K, 11)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    place = np.arange(len(flat))[:, None, None]
    near = flat[place, rows.clip(0, height - 1)[:, :, None], columns.clip(0, width - 1)[:, None]]
    near = np.clip(near, 0, CERTAIN) * inside                                     # (N K, 11, 11)
    dx, dy = PLACED[refinement](near)
    score = flat[np.arange(len(flat)), row, column]
    return np.stack([column + dx, row + dy, score], axis=1).reshape(count, keypoints, 3).astype(np.float32)


def _mean_of_odds(near: Array) -> tuple[Array, Array]:
    """How far the mean of the odds lies from the middle of (M, 11, 11) surroundings, along x and y."""
    odds = near / (1 - near)
    span = np.arange(-REACH, REACH + 1, dtype=np.float32)
    total = np.maximum(odds.sum(axis=(1, 2)), TINY)
    return odds.sum(axis=1) @ span / total, odds.sum(axis=2) @ span / total


def _vertex(near: Array) -> tuple[Array, Array]:
    """How far the vertices of the parabolas lie from the middle, along x and y; at most one cell."""
    around = np.maximum(near[:, REACH - 2 : REACH + 3, REACH - 2 : REACH + 3], TINY)   # (M, 5, 5)
    smooth = (around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]) / 4
    smooth = np.log((smooth[..., :-2] + 2 * smooth[..., 1:-1] + smooth[..., 2:]) / 4)  # (M, 3, 3)

    def along(before: Array, middle: Array, after: Array) -> Array:
        bend = 2 * middle - before - after
        return np.where(bend > 0, (after - before) / 2 / np.maximum(bend, TINY), 0).clip(-1, 1)

    dx = along(smooth[:, 1, 0], smooth[:, 1, 1], smooth[:, 1, 2])
    return dx, along(smooth[:, 0, 1], smooth[:, 1, 1], smooth[:, 2, 1])


PLACED = {"odds": _mean_of_odds, "parabola": _vertex}


def decode_boxes(maps: ArrayLike, *, threshold: float = LEAST_SCORE, same_box: float = SAME_BOX) -> Array:
    """Decode a detector's maps into boxes.

    Parameters
    ----------
    maps : (5, h, w) array
        How probably a cell holds the middle of somebody, 0 to 1; and how far, in cells, the left, upper, right and
        lower side of the box lie from the cell. A batch of one, (1, 5, h, w), will do.
    threshold : float
        A cell holds a middle where no cell round it is higher and it exceeds this.
    same_box : float
        Of two boxes whose intersection over union exceeds this the weaker one is left out.

    Returns
    -------
    (N, 5) float32 array
        x, y, width, height in cells, the centre of the first cell 0, 0, and the score, in descending order.

    Raises
    ------
    InputError
        If the array has another shape, or values that are not finite.

    Examples
    --------
    >>> maps = np.zeros((5, 8, 8))
    >>> maps[0, 4, 3], maps[1:, 4, 3] = 0.9, (2, 3, 2, 4)
    >>> decode_boxes(maps).round(1)
    array([[1. , 1. , 4. , 7. , 0.9]], dtype=float32)
    """
    array = np.asarray(maps, np.float32)
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or len(array) != BOX_CHANNELS or not array.size:
        raise InputError(f"maps of boxes have the shape ({BOX_CHANNELS}, height, width), not {np.shape(maps)}")
    if not np.isfinite(array).all():
        raise InputError("maps hold values that are not finite: the network's weights or its precision are broken")
    centre = np.ascontiguousarray(array[0])
    highest = cv2.dilate(centre, np.ones((3, 3), np.uint8))
    row, column = np.nonzero((centre > threshold) & (centre >= highest))
    score = centre[row, column]
    order = np.argsort(-score, kind="stable")
    row, column = row[order], column[order]
    left, top, right, bottom = array[1:, row, column]
    corners = np.stack([column - left, row - top, column + right, row + bottom], axis=1)
    kept = distinct(corners, same_box)
    sizes = corners[kept, 2:] - corners[kept, :2]
    return np.concatenate([corners[kept, :2], sizes, score[order][kept, None]], axis=1).astype(np.float32)


def distinct(corners: Array, same_box: float) -> NDArray[np.intp]:
    """Indices of the (N, 4) boxes x0, y0, x1, y1, best first, that no better kept one overlaps too much."""
    area = np.maximum(corners[:, 2:] - corners[:, :2], 0).prod(axis=1)
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    both = np.maximum(high - low, 0).prod(axis=2)                                  # (N, N)
    overlap = both / np.maximum(area[:, None] + area - both, TINY)
    kept: list[int] = []
    for index in range(len(corners)):
        if not (overlap[index, kept] > same_box).any():
            kept.append(index)
    return np.array(kept, np.intp)
