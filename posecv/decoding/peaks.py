"""Peaks: the maxima of heatmaps, found on the coarse maps and located on the fine ones.

OpenPose enlarges every map eight times by bicubic interpolation and searches for maxima there. Nearly all of those
pixels are empty. A maximum of the enlarged map lies in a cell that is not much lower than its neighbours, so this
module enlarges only such cells, with as much of their surroundings as the maxima need. A network's maps are smooth
enough that the result is the same.

`FINE` fine pixels make a cell, and fine pixel p lies at (p + 0.5) / FINE - 0.5 cells. Where the network's stride is 8,
as OpenPose's is, they are the pixels of its input.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.terminal import say

Index = NDArray[np.intp]

FINE = 8  # fine pixels per cell, along each axis
BORDER = 2  # cells beyond the map's edge that the interpolation reads; they repeat the edge
RADIUS = 3  # fine pixels on each side of a maximum; their centre of mass is the peak
PATCH = 2 * FINE  # fine pixels evaluated for a cell: its own eight and four on each side
MARGIN = (PATCH - FINE) // 2
SHARE_OF_NEIGHBOURS = 0.3  # a maximum's cell reaches this share of the highest cell round it
OVERSHOOT = 1.5  # bicubic interpolation exceeds the cells round it by less than this factor
SOME = 2048  # patches searched for maxima together
FEW = 128  # patches enlarged by one matrix product
MOST_PEAKS = 512  # per keypoint: more are noise, and the time for pairs grows with the square of their number


class Peaks(NamedTuple):
    """Peaks of all heatmaps, by keypoint, then row, then column.

    keypoint : (M,) index of the heatmap
    xy : (M, 2) float32 positions in fine pixels
    score : (M,) float32 value of the enlarged heatmap there
    first : (K + 1,) where each keypoint's peaks begin; `first[k + 1]` is where they end
    """

    keypoint: Index
    xy: Array
    score: Array
    first: Index


def cubic_weights(fraction: float) -> Array:
    """Weights of the four cells round a position, as OpenCV's `INTER_CUBIC` has them (a = -0.75)."""
    a = -0.75
    near = [(a + 2) * d**3 - (a + 3) * d**2 + 1 for d in (fraction, 1 - fraction)]
    far = [a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a for d in (1 + fraction, 2 - fraction)]
    return np.array([far[0], *near, far[1]], np.float32)


def _enlargement() -> Array:
    """(PATCH, 5) weights: fine pixels round a cell, along one axis, from the five cells round it."""
    weights = np.zeros((PATCH, 5), np.float32)
    for pixel in range(PATCH):
        cell = (pixel - MARGIN + 0.5) / FINE - 0.5
        base = int(np.floor(cell))
        weights[pixel, base + 1 : base + 5] = cubic_weights(cell - base)
    return weights


ENLARGEMENT = _enlargement()
# Of these, a cell's own fine pixels and one more on either side: enough to find its maxima.
OWN_AND_RING = ENLARGEMENT[MARGIN - 1 : MARGIN + FINE + 1]


def pad(maps: Array) -> Array:
    """(C, h, w) maps, padded by `BORDER` cells that repeat the edge."""
    channels, height, width = maps.shape
    padded = np.empty((channels, height + 2 * BORDER, width + 2 * BORDER), np.float32)
    padded[:, BORDER:-BORDER, BORDER:-BORDER] = maps
    padded[:, :BORDER] = padded[:, BORDER : BORDER + 1]
    padded[:, -BORDER:] = padded[:, -BORDER - 1 : -BORDER]
    padded[:, :, :BORDER] = padded[:, :, BORDER : BORDER + 1]
    padded[:, :, -BORDER:] = padded[:, :, -BORDER - 1 : -BORDER]
    return padded


def to_cells(pixels: Array) -> Array:
    """Convert fine pixels to cells; the centre of the first cell is 0."""
    return (pixels + np.float32(0.5)) / np.float32(FINE) - np.float32(0.5)


def find_peaks(heatmaps: Array, threshold: float | Array, refinement: str = "centroid") -> Peaks:
    """Find every maximum of the enlarged heatmaps that exceeds a threshold.

    Parameters
    ----------
    heatmaps : (K, h, w) float32 array
        Without the background.
    threshold : float or (K,) float32 array
    refinement : {"centroid", "parabola"}
        A peak's position is the centre of mass of the positive values within `RADIUS`, or the vertex of the parabolas
        through the maximum and its neighbours.

    Returns
    -------
    Peaks
        Of each keypoint all, or the `MOST_PEAKS` highest if there are more; OpenPose keeps the first 127. A peak is
        higher than its eight neighbours on the enlarged map and does not lie on that map's edge; its score is the value
        at the maximum.

    Notes
    -----
    Algorithm "nmsBase" of OpenPose on maps enlarged by `cv2.INTER_CUBIC`.

    Examples
    --------
    A bump between the cells:

    >>> y, x = np.mgrid[:12, :12]
    >>> heatmap = np.exp(-((x - 3.3) ** 2 + (y - 5.2) ** 2) / 2).astype(np.float32)
    >>> to_cells(find_peaks(heatmap[None], 0.1).xy).round(1)
    array([[3.3, 5.2]], dtype=float32)
    """
    limits = np.broadcast_to(np.asarray(threshold, np.float32), len(heatmaps))
    keypoint, row, column, patches = _candidates(heatmaps, limits)
    if not len(keypoint):
        nothing = np.zeros(0, np.float32)
        return Peaks(keypoint, nothing.reshape(0, 2), nothing, np.zeros(len(heatmaps) + 1, np.intp))
    # Values are relative to the middle of each patch: a flat area stays flat instead of getting rounding noise.
    ground = patches[12].copy()
    patches -= ground
    i, j, cell = _all_maxima(patches, ground, limits[keypoint])
    height, width = (side * FINE for side in heatmaps.shape[1:])
    y, x, k = row[cell] * FINE + i, column[cell] * FINE + j, keypoint[cell]
    order = np.argsort((k * height + y) * width + x)
    order = order[((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1))[order]]
    order = _strongest(order, k, patches[12, cell] + ground[cell])
    k = k[order]
    fine = _enlarged(ENLARGEMENT, patches[:, cell[order]]) + ground[cell[order]]
    i, j, x, y = i[order] + MARGIN, j[order] + MARGIN, x[order], y[order]
    xy = _centroids(fine, i, j, x, y, (width, height)) if refinement == "centroid" else _vertices(fine, i, j, x, y)
    return Peaks(k, xy, fine[i, j, np.arange(len(k))], np.searchsorted(k, np.arange(len(heatmaps) + 1)))


def _strongest(order: Index, keypoint: Index, height: Array) -> Index:
    """The peaks in the same order, without those of keypoints that have more than `MOST_PEAKS` stronger ones."""
    counts = np.bincount(keypoint[order])
    if counts.max(initial=0) <= MOST_PEAKS:
        return order
    _tell_once()
    by_height = order[np.lexsort((-height[order], keypoint[order]))]
    rank = np.arange(len(order)) - np.searchsorted(keypoint[by_height], keypoint[by_height])
    kept = np.zeros(len(keypoint), bool)
    kept[by_height[rank < MOST_PEAKS]] = True
    return order[kept[order]]


@cache
def _tell_once() -> None:
    say(
        f"a keypoint has more than {MOST_PEAKS} peaks in a frame, most of them noise; the strongest are used "
        "(nms_threshold removes weak ones)"
    )


def _candidates(heatmaps: Array, limits: Array) -> tuple[Index, Index, Index, Array]:
    """Keypoint, row, column and (25, S) surroundings of the cells that may contain a maximum above the limit."""
    padded = pad(heatmaps)
    _, height, width = padded.shape
    highest = cv2.dilate(padded.reshape(-1, width), np.ones((3, 3), np.uint8)).reshape(padded.shape)
    highest *= SHARE_OF_NEIGHBOURS
    possible = (padded > limits[:, None, None] / OVERSHOOT) & (padded >= highest)
    possible[:, :BORDER] = possible[:, -BORDER:] = possible[:, :, :BORDER] = possible[:, :, -BORDER:] = False
    cell = np.flatnonzero(possible)
    window = (np.arange(-2, 3)[:, None] * width + np.arange(-2, 3)).reshape(25, 1)
    keypoint, cell_of_map = np.divmod(cell, height * width)
    row, column = np.divmod(cell_of_map, width)
    return keypoint, row - BORDER, column - BORDER, padded.reshape(-1)[cell + window]


def _enlarged(weights: Array, patches: Array) -> Array:
    """Enlarge (25, S) surroundings to (side, side, S) fine pixels by (side, 5) weights, along y and then along x.

    It takes a few at a time: for larger products NumPy's BLAS waits for a second thread, which can take milliseconds on
    a busy machine.
    """
    side = len(weights)
    fine = np.empty((side, side, patches.shape[1]), np.float32)
    with np.errstate(invalid="ignore"):  # BLAS may read bytes beside the arrays, and NumPy warns (#24067)
        for first in range(0, patches.shape[1], FEW):
            some = patches[:, first : first + FEW].copy()
            columns = weights @ some.reshape(5, -1)
            np.matmul(weights, columns.reshape(side, 5, -1), out=fine[:, :, first : first + FEW])
    return fine


def _all_maxima(patches: Array, ground: Array, limits: Array) -> tuple[Index, Index, Index]:
    """What `_maxima` finds in (25, S) surroundings, `SOME` of them at a time, which fit into the processor's cache."""
    found = []
    for first in range(0, patches.shape[1], SOME):
        some = slice(first, first + SOME)
        i, j, cell = _maxima(_enlarged(OWN_AND_RING, patches[:, some]), ground[some], limits[some])
        found.append((i, j, first + cell))
    i, j, cell = (np.concatenate(values) for values in zip(*found, strict=True))
    return i, j, cell


def _maxima(fine: Array, ground: Array, limits: Array) -> tuple[Index, Index, Index]:
    """Row and column in the cell, and index of the cell, of fine pixels higher than the limit and all their neighbours.

    `fine` has a border of one pixel round each cell and is relative to `ground`. A bump exactly on a cell is equally
    high on the fine pixels on either side of its centre. OpenPose finds no peak then; this function takes the first of
    the equal pixels in reading order.
    """
    own = fine[1:-1, 1:-1]
    maxima = own + ground > limits
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        neighbour = fine[1 + dy : 1 + dy + FINE, 1 + dx : 1 + dx + FINE]
        maxima &= own > neighbour if (dy, dx) < (0, 0) else own >= neighbour
    pixel, cell = np.divmod(np.flatnonzero(maxima), fine.shape[2])
    i, j = np.divmod(pixel, FINE)
    return i, j, cell


def _centroids(fine: Array, i: Index, j: Index, x: Index, y: Index, size: tuple[int, int]) -> Array:
    """(M, 2) centres of mass round the maxima, which lie at i, j of `fine` and at x, y of a map of `size`."""
    near = np.arange(-RADIUS, RADIUS + 1)[:, None]
    rows, columns, x, y = i + near, j + near, x + near, y + near                  # (7, M)
    index = (rows[:, None] * PATCH + columns) * len(i) + np.arange(len(i))        # (7, 7, M)
    mass = np.maximum(fine.reshape(-1).take(index), 0)
    mass *= ((y >= 0) & (y < size[1]))[:, None] & ((x >= 0) & (x < size[0]))
    total = mass.sum(axis=(0, 1))
    centres = [(mass.sum(axis=0) * x).sum(axis=0) / total, (mass.sum(axis=1) * y).sum(axis=0) / total]
    return np.stack(centres, axis=1).astype(np.float32)


def _vertices(fine: Array, i: Index, j: Index, x: Index, y: Index) -> Array:
    """(M, 2) vertices of the parabolas, along x and y, through the maxima and the pixels beside them."""
    peak = np.arange(len(i))
    middle = fine[i, j, peak]
    left, right, above, below = fine[i, j - 1, peak], fine[i, j + 1, peak], fine[i - 1, j, peak], fine[i + 1, j, peak]
    # No neighbour is higher, so a vertex is at most half a pixel away; after rounding, all may be equally high.
    least = np.finfo(np.float32).tiny
    dx = (right - left) / np.maximum(2 * ((middle - left) + (middle - right)), least)
    dy = (below - above) / np.maximum(2 * ((middle - above) + (middle - below)), least)
    return np.stack([x + dx.clip(-0.5, 0.5), y + dy.clip(-0.5, 0.5)], axis=1).astype(np.float32)
