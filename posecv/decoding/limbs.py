"""Limbs: which peaks the part affinity fields join, and how strongly.

The score of a pair of peaks is the line integral of Cao et al., CVPR 2017, equations 10 and 11, with OpenPose's rules
for the samples. OpenPose reads it from fields enlarged eight times; here only the samples are interpolated, and only
for the few pairs that three coarse looks between the peaks do not rule out.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from posecv.decoding.peaks import BORDER, STRIDE, Array, Index, Peaks, pad
from posecv.skeletons import Skeleton, Thresholds

FEWEST, MOST = 5, 25  # samples on a limb
LOOKS = np.array([[1 / 4], [1 / 2], [3 / 4]], np.float32)  # so far apart that a gap in a limb hides one of them at most
SMALLEST_SCORE = 1e-6
CLOSE = 1 / 150  # of the network's side: peaks so close may join without a field
BLOCK = 16384  # pairs looked at together: what they need stays in the processor's cache
ROW = 256  # samples a row of the arrays that `cv2.remap` takes, which limits their sides


class Connections(NamedTuple):
    """Pairs of peaks that may be a limb.

    limb : (C,) index of the limb
    start, end : (C,) indices of the peaks
    score : (C,) float32 mean of the field along the limb
    """

    limb: Index
    start: Index
    end: Index
    score: Array


def connect(maps: Array, skeleton: Skeleton, peaks: Peaks, thresholds: Thresholds) -> Connections:
    """Score every pair of peaks that the skeleton could join and keep those that the fields support.

    Parameters
    ----------
    maps : (C, h, w) float32 array
        All channels of the network, in the skeleton's order.
    skeleton, peaks, thresholds
        What to join.

    Returns
    -------
    Connections
        Those with a score above `SMALLEST_SCORE`, by limb.
    """
    close = np.float32(np.sqrt(maps.shape[1] * maps.shape[2]) * STRIDE * CLOSE)
    fields = _fields(maps, skeleton)
    found = [
        _score(fields, peaks, _plausible_pairs(fields, peaks, starts, close), close, thresholds)
        for starts in _starts(skeleton, peaks)
    ]
    return Connections(*(np.concatenate(values) for values in zip(*found, strict=True)))


def _fields(maps: Array, skeleton: Skeleton) -> Array:
    """(L, h', w', 2) x and y components of each limb's field, with a border, as one picture of two channels."""
    x = np.array(skeleton.paf_channels)
    components = [pad(maps[channels]) for channels in (x, x + 1)]
    width = components[0].shape[2]
    return cv2.merge([field.reshape(-1, width) for field in components]).reshape(*components[0].shape, 2)


def _starts(skeleton: Skeleton, peaks: Peaks) -> list[Index]:
    """Blocks of (4, R): limb, start peak, first and last + 1 end peak; each block has about `BLOCK` pairs."""
    first = peaks.first.tolist()
    rows = [
        (limb, peak, first[end], first[end + 1])
        for limb, (start, end) in enumerate(skeleton.limbs)
        for peak in range(first[start], first[start + 1])
    ]
    starts = np.array(rows, np.intp).reshape(-1, 4).T
    pairs = np.cumsum(starts[3] - starts[2])
    blocks = int(pairs[-1]) // BLOCK + 1 if len(rows) else 1
    return np.split(starts, np.searchsorted(pairs, np.arange(1, blocks) * BLOCK), axis=1)


def _plausible_pairs(fields: Array, peaks: Peaks, starts: Index, close: np.float32) -> tuple[Index, Index, Index]:
    """Limb, start and end of the pairs of peaks between which the field points the right way.

    A look is at the four cells round a point. Two of three looks must agree, or the peaks be close to each other.
    """
    limb, start, low, high = starts
    ends = high - low
    row = np.repeat(np.arange(len(ends)), ends)                                   # from here on an entry a pair
    end = np.arange(len(row)) + (low - np.cumsum(ends) + ends)[row]
    x, y = (peaks.xy.T + 0.5) / STRIDE - 0.5 + BORDER                             # cells of the bordered fields
    top = limb.astype(np.float32) * fields.shape[1]                               # row of the limb's field in the picture
    x0, y0, top = x[start][row], y[start][row], top[row]
    dx, dy = x[end] - x0, y[end] - y0
    seen = _read(fields, x0 + LOOKS * dx, top + y0 + LOOKS * dy, cv2.INTER_LINEAR)      # (3, pairs, 2)
    agreeing = (seen[..., 0] * dx + seen[..., 1] * dy > 0).sum(axis=0)
    pair = np.flatnonzero((agreeing > 1) | (np.maximum(abs(dx), abs(dy)) * STRIDE < close))
    return limb[row[pair]], start[row[pair]], end[pair]


def _score(
    fields: Array, peaks: Peaks, pairs: tuple[Index, Index, Index], close: np.float32, thresholds: Thresholds
) -> Connections:
    """Score pairs of peaks and keep those that are limbs."""
    limb, start, end = pairs
    if not len(limb):
        return Connections(limb, start, end, np.zeros(0, np.float32))
    vectors = peaks.xy[end] - peaks.xy[start]                                     # (P, 2)
    norms = np.maximum(np.sqrt((vectors**2).sum(axis=1)), SMALLEST_SCORE)
    counts = np.clip(np.sqrt(5 * np.abs(vectors).max(axis=1)) + 0.5, FEWEST, MOST).astype(np.intp)
    along = _samples(fields, limb, peaks.xy[start], vectors, norms, counts)       # (S,) all samples of all pairs
    begins = np.cumsum(counts) - counts
    agrees = along > thresholds.inter_threshold
    agreeing = np.add.reduceat(agrees, begins, dtype=np.float32)
    mean = np.add.reduceat(np.where(agrees, along, 0), begins) / np.maximum(agreeing, 1)
    enough = agreeing / counts.astype(np.float32) > np.float32(thresholds.inter_min_above)
    without_field = np.where(norms < close, np.float32(thresholds.nms_threshold + SMALLEST_SCORE), 0)
    scores = np.where(enough, mean, without_field).astype(np.float32)
    kept = (scores > SMALLEST_SCORE) & (norms > SMALLEST_SCORE)
    return Connections(limb[kept], start[kept], end[kept], scores[kept])


def _samples(fields: Array, limb: Index, starts: Array, vectors: Array, norms: Array, counts: Index) -> Array:
    """The field's component along each pair at its samples, one pair's after the other.

    The samples lie on whole fine pixels, from the start on; the end itself is not one of them.
    """
    _, height, width, _ = fields.shape
    pair = np.repeat(np.arange(len(counts)), counts)
    sample = (np.arange(len(pair)) - (np.cumsum(counts) - counts)[pair]).astype(np.float32)
    steps = vectors / counts[:, None].astype(np.float32)
    columns, rows = (
        _whole_pixel_cells(starts[:, axis][pair] + sample * steps[:, axis][pair], size)
        for axis, size in enumerate((width, height))
    )
    top = limb.astype(np.float32) * height
    field = _read(fields, columns, rows + top[pair], cv2.INTER_CUBIC)
    unit_x, unit_y = (vectors / norms[:, None]).T
    return field[:, 0] * unit_x[pair] + field[:, 1] * unit_y[pair]


def _whole_pixel_cells(pixels: Array, size: int) -> Array:
    """Cells of the bordered fields, `size` of them, for fine pixels rounded to whole ones within the map."""
    whole = np.trunc(pixels + np.float32(0.5))
    return (np.clip(whole, 0, (size - 2 * BORDER) * STRIDE - 1) + 0.5) / STRIDE + (BORDER - 0.5)


def _read(fields: Array, x: Array, y: Array, interpolation: int) -> Array:
    """(..., 2) values of the picture of fields at columns x and rows y."""
    size = (x.size // ROW + 1) * ROW                                              # never empty, which remap refuses
    where = np.zeros((2, size), np.float32)
    where[0, : x.size], where[1, : x.size] = x.ravel(), y.ravel()
    columns, rows = where.reshape(2, -1, ROW)
    picture = fields.reshape(-1, *fields.shape[2:])
    return cv2.remap(picture, columns, rows, interpolation).reshape(-1, 2)[: x.size].reshape(*x.shape, 2)
