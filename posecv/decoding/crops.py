"""Crops: decode the keypoints of one person per crop, and the boxes in a detector's maps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from posecv.arrays import Array
from posecv.errors import InputError

__all__ = ["decode_boxes", "decode_crops", "decode_distributions"]

REACH = 5  # cells on either side of a peak that determine the keypoint's position
BUMP = 2 * np.pi * 1.5**2  # sum of a bump of height 1 and a standard deviation of 1.5 cells, as our networks learn them
CERTAIN = 1 - 1e-6  # the highest probability that has finite odds
LEAST_SCORE = 0.3
SAME_BOX = 0.55  # if the intersection over union of two boxes is higher, the weaker one is dropped
TINY = np.float32(1e-10)
BOX_CHANNELS = 5  # centre, left, top, right, bottom


def decode_crops(maps: ArrayLike, *, refinement: str = "odds") -> Array:
    """Find one keypoint in each heatmap of each crop.

    Parameters
    ----------
    maps : (N, K, h, w) array
        Heatmaps: the probability that a keypoint lies in a cell, 0 to 1.
    refinement : {"odds", "parabola"}
        How a keypoint is located between cells: "odds" for networks that end with a sigmoid, "parabola" for networks
        that were trained on Gaussian bumps.

    Returns
    -------
    (N, K, 4) float32 array
        x, y in cells, the centre of the first cell 0, 0; the score; the highest value of the map. With "odds", the
        score is the sum of the probabilities round the keypoint relative to the sum of a bump of height 1, at most 1:
        a keypoint that is there but hard to locate has a flat bump, and one that is not there has none. With
        "parabola", the score is the highest value.

    Raises
    ------
    InputError
        If the array has another shape, or the refinement is unknown.

    Notes
    -----
    "odds": the mean of the cells round the highest one, weighted by p / (1 - p). If the network ends with a sigmoid,
    these weights are the exponentials of its logits, so the mean is a softmax, which the network was trained for.
    "parabola": the vertex of the parabola through the logarithms of the smoothed map; the logarithm of a Gaussian bump
    is a parabola (Zhang et al., Distribution-Aware Coordinate Representation, CVPR 2020).

    Examples
    --------
    A bump between two cells:

    >>> y, x = np.mgrid[:16, :12]
    >>> odds = np.exp(-((x - 5.5) ** 2 + (y - 8) ** 2) / 2)
    >>> decode_crops((odds / (1 + odds))[None, None]).round(2)
    array([[[5.5 , 8.  , 0.31, 0.47]]], dtype=float32)
    """
    array = np.asarray(maps, np.float32)
    if array.ndim != 4 or not array[0].size:
        raise InputError(f"maps of crops must have the shape (crops, keypoints, height, width), not {np.shape(maps)}")
    if refinement not in PLACED:
        raise InputError(f"refinement {refinement!r} is unknown; choose one of {', '.join(PLACED)}")
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
    highest = flat[np.arange(len(flat)), row, column]
    score = near.sum(axis=(1, 2)).clip(0, BUMP) / BUMP if refinement == "odds" else highest
    found = np.stack([column + dx, row + dy, score, highest], axis=1)
    return found.reshape(count, keypoints, 4).astype(np.float32)


def _mean_of_odds(near: Array) -> tuple[Array, Array]:
    """Offset of the mean of the odds from the middle of (M, 11, 11) surroundings, along x and y."""
    odds = near / (1 - near)
    span = np.arange(-REACH, REACH + 1, dtype=np.float32)
    total = np.maximum(odds.sum(axis=(1, 2)), TINY)
    return odds.sum(axis=1) @ span / total, odds.sum(axis=2) @ span / total


def _vertex(near: Array) -> tuple[Array, Array]:
    """Offset of the parabolas' vertices from the middle, along x and y; at most one cell."""
    around = np.maximum(near[:, REACH - 2 : REACH + 3, REACH - 2 : REACH + 3], TINY)   # (M, 5, 5)
    smooth = (around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]) / 4
    smooth = np.log((smooth[..., :-2] + 2 * smooth[..., 1:-1] + smooth[..., 2:]) / 4)  # (M, 3, 3)

    def along(before: Array, middle: Array, after: Array) -> Array:
        bend = 2 * middle - before - after
        return np.where(bend > 0, (after - before) / 2 / np.maximum(bend, TINY), 0).clip(-1, 1)

    dx = along(smooth[:, 1, 0], smooth[:, 1, 1], smooth[:, 1, 2])
    return dx, along(smooth[:, 0, 1], smooth[:, 1, 1], smooth[:, 2, 1])


def decode_distributions(x: ArrayLike, y: ArrayLike, size: tuple[int, int]) -> Array:
    """Find one keypoint in each pair of distributions along x and along y (SimCC; Li et al., ECCV 2022).

    Parameters
    ----------
    x, y : (N, K, bins) arrays
        The score of each bin; a crop's width and height are divided into as many bins.
    size : (int, int)
        Height and width of a crop in pixels.

    Returns
    -------
    (N, K, 3) float32 array
        x, y in pixels of the crop, and the lower of the two highest scores, at most 1.

    Raises
    ------
    InputError
        If the arrays have other shapes.

    Examples
    --------
    >>> decode_distributions(np.eye(8)[None, [4]], np.eye(16)[None, [6]], (8, 4))
    array([[[2., 3., 1.]]], dtype=float32)
    """
    every = [np.asarray(values, np.float32) for values in (x, y)]
    if any(values.ndim != 3 or not values.size for values in every) or every[0].shape[:2] != every[1].shape[:2]:
        shapes = " and ".join(map(str, map(np.shape, every)))
        raise InputError(f"distributions must have the shape (crops, keypoints, bins), not {shapes}")
    steps = size[1] / every[0].shape[2], size[0] / every[1].shape[2]
    places = [values.argmax(axis=2) * step for values, step in zip(every, steps, strict=True)]
    score = np.minimum(*(values.max(axis=2) for values in every)).clip(0, 1)
    return np.stack([*places, score], axis=2).astype(np.float32)


PLACED = {"odds": _mean_of_odds, "parabola": _vertex}


def decode_boxes(maps: ArrayLike, *, threshold: float = LEAST_SCORE, same_box: float = SAME_BOX) -> Array:
    """Decode a detector's maps into boxes.

    Parameters
    ----------
    maps : (5, h, w) array
        The probability that a cell is the centre of a person, 0 to 1; then the distances, in cells, from the cell to
        the left, top, right and bottom side of the box. A batch of one, (1, 5, h, w), works too.
    threshold : float
        A cell is a centre if it exceeds this and no neighbour is higher.
    same_box : float
        If the intersection over union of two boxes exceeds this, the weaker one is dropped.

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
        raise InputError(f"maps of boxes must have the shape ({BOX_CHANNELS}, height, width), not {np.shape(maps)}")
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
    """Non-maximum suppression: indices of the (N, 4) boxes x0, y0, x1, y1, best first, that are kept."""
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
