"""Limbs: which peaks the part affinity fields connect, and how strongly.

The score of a pair of peaks is the line integral of Cao et al., CVPR 2017, equations 10 and 11, with OpenPose's rules
for the samples. OpenPose enlarges the fields eight times to read it. This module interpolates only the samples, and
only for the few pairs that pass a coarse check at a few points between the peaks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from posecv.arrays import Array
from posecv.decoding.peaks import BORDER, FINE, Index, Peaks, pad
from posecv.errors import InputError
from posecv.skeletons import Skeleton, Thresholds

FEWEST, MOST = 5, 25  # samples on a limb
LOOKS = np.array([[0.2], [0.4], [0.6], [0.8]], np.float32)  # points of the coarse check, from start to end
LONGEST_SIDE = 32767  # the largest side that `cv2.remap` accepts
BLOCK = 24576  # pairs processed together
SMALLEST_SCORE = 1e-6
HALF = np.float32(0.5)
TENTHS = 10
# Most pairs of a crowd fail at one of a few samples, so the samples at these tenths of the length are read first
EARLY = np.array([[5, 0], [7, 3], [9, 2], [4, 1], [8, 6]], np.float32)[..., None]
FEW_LINES = 500  # if there are more pairs than this; for fewer it takes less time to read all samples at once
CLOSE = 1 / 150  # of the network's side: peaks closer than this may connect without a field


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


def connect(
    maps: Array, skeleton: Skeleton, peaks: Peaks, thresholds: Thresholds, *, stride: int = FINE
) -> Connections:
    """Score every pair of peaks that may form a limb and keep those that the fields support.

    Parameters
    ----------
    maps : (C, h, w) float32 array
        All channels of the network, in the skeleton's order.
    skeleton, peaks, thresholds
        What to connect.
    stride : int
        Network pixels per cell; a longer limb in network pixels gets more samples.

    Returns
    -------
    Connections
        Those with a score above `SMALLEST_SCORE`, by limb.

    Raises
    ------
    InputError
        If the maps are too large (about 5,000 network pixels or more).
    """
    close = np.float32(np.sqrt(maps.shape[1] * maps.shape[2]) * FINE * CLOSE)
    fields = pad(maps[skeleton.heatmaps :])
    if max(len(fields) * fields.shape[1], fields.shape[2]) >= LONGEST_SIDE:
        raise InputError(f"maps of {maps.shape[2]} x {maps.shape[1]} cells are too large; use a smaller network input")
    tops = (np.array(skeleton.paf_channels, np.float32) - skeleton.heatmaps) * fields.shape[1]  # rows in a tall image
    # So many coarse points may disagree: a gap as long as the share of agreeing samples allows can cover them.
    hidden = math.ceil((1 - thresholds.inter_min_above) / (LOOKS[1, 0] - LOOKS[0, 0]))
    found = []
    for starts in _starts(skeleton, peaks):
        pairs = _plausible_pairs(fields, tops, peaks, starts, len(LOOKS) - hidden, close)
        lines = _Lines.between(peaks, pairs, tops, stride / FINE)
        found.append(_score(fields, lines, close, thresholds))
    return Connections(*(np.concatenate(values) for values in zip(*found, strict=True)))


def _starts(skeleton: Skeleton, peaks: Peaks) -> list[Index]:
    """Blocks of (4, R): limb, start peak, first end peak and number of them; each block has about `BLOCK` pairs."""
    first, counts = peaks.first, np.diff(peaks.first)
    start_of, end_of = np.array(skeleton.limbs).T
    rows = np.where(counts[end_of] > 0, counts[start_of], 0)
    limb = np.repeat(np.arange(len(rows)), rows)
    end = end_of[limb]
    starts = np.stack([limb, _ranges(first[start_of], rows), first[end], counts[end]])
    pairs = np.cumsum(starts[3])
    blocks = int(pairs[-1]) // BLOCK + 1 if len(pairs) else 1
    return np.split(starts, np.searchsorted(pairs, np.arange(1, blocks) * BLOCK), axis=1)


def _ranges(first: Index, counts: Index) -> Index:
    """first[0], first[0] + 1, ..., as many as counts[0] says, then those from first[1] on, and so on."""
    return np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)


def _plausible_pairs(
    fields: Array, tops: Array, peaks: Peaks, starts: Index, needed: int, close: np.float32
) -> tuple[Index, ...]:
    """Limb, start and end of the pairs that pass the coarse check: the field between the peaks points the right way.

    Each point of the check reads the four cells round it. Enough points must agree, or the peaks must be close
    together.
    """
    limb, start, first, counts = starts
    row, end = np.repeat(np.arange(len(counts)), counts), _ranges(first, counts)  # from here on one entry per pair
    x, y = _bordered(peaks.xy.T)
    x0, y0 = np.repeat(x[start], counts), np.repeat(y[start], counts)
    dx, dy = x[end] - x0, y[end] - y0
    y0 += np.repeat(tops[limb], counts)
    near = np.maximum(abs(dx), abs(dy)) * FINE < close
    # The inner two points first: most pairs of a crowd already fail there.
    inner = _agreeing(fields, LOOKS[1:3], x0, y0, dx, dy)
    pair = np.flatnonzero((inner >= needed - 2) | near)
    x0, y0, dx, dy = (values[pair] for values in (x0, y0, dx, dy))
    agreeing = inner[pair] + _agreeing(fields, LOOKS[::3], x0, y0, dx, dy)
    pair = pair[(agreeing >= needed) | near[pair]]
    return limb[row[pair]], start[row[pair]], end[pair]


def _agreeing(fields: Array, looks: Array, x: Array, y: Array, dx: Array, dy: Array) -> Index:
    """At how many of these points of each pair's line the field points from its start to its end."""
    field_x, field_y = _read(fields, x + looks * dx, y + looks * dy, cv2.INTER_LINEAR)
    return np.count_nonzero(field_x * dx + field_y * dy > 0, axis=0)


class _Lines(NamedTuple):
    """P lines from a start peak to an end peak, in fine pixels.

    limb, start, end : (P,) indices
    top : (P,) row of the limb's field in the tall image
    x, y : (P,) position of the start
    dx, dy : (P,) from there to the end
    norm : (P,) length
    samples : (P,) number of samples, as floats
    """

    limb: Index
    start: Index
    end: Index
    top: Array
    x: Array
    y: Array
    dx: Array
    dy: Array
    norm: Array
    samples: Array

    @classmethod
    def between(cls, peaks: Peaks, pairs: tuple[Index, ...], tops: Array, size: float) -> _Lines:
        """The lines of pairs (limb, start, end); `size` is the size of a fine pixel in network pixels."""
        limb, start, end = pairs
        x, y = peaks.xy.T[:, start]
        dx, dy = peaks.xy.T[:, end] - (x, y)
        norm = np.maximum(np.sqrt(dx**2 + dy**2), SMALLEST_SCORE)
        longer = np.maximum(abs(dx), abs(dy))
        samples = np.clip(np.trunc(np.sqrt(np.float32(5 * size) * longer) + HALF), FEWEST, MOST)
        return cls(limb, start, end, tops[limb], x, y, dx, dy, norm, samples)

    def taken(self, kept: Index) -> _Lines:
        """Some of the lines."""
        limb, start, end, *rest = self
        return _Lines(limb[kept], start[kept], end[kept], *(values[kept] for values in rest))

    def along(self, fields: Array, sample: Array) -> Array:
        """(S, P) component along the lines of the fields at the samples of these numbers, (S, 1) or (S, P).

        The samples lie on whole fine pixels from the start towards the end, which is not included.
        """
        x = np.trunc(self.x + sample * (self.dx / self.samples) + HALF)
        y = np.trunc(self.y + sample * (self.dy / self.samples) + HALF)
        field_x, field_y = _read(fields, _bordered(x), _bordered(y) + self.top, cv2.INTER_CUBIC)
        return field_x * (self.dx / self.norm) + field_y * (self.dy / self.norm)


def _possible(fields: Array, lines: _Lines, close: np.float32, thresholds: Thresholds) -> _Lines:
    """The lines that a few of their samples do not rule out: too many disagree, and the peaks are not close together.

    Tenths of a line with fewer samples may be the same sample; such lines are kept.
    """
    share = np.float32(thresholds.inter_min_above)
    missed = np.zeros(len(lines.limb), np.float32)
    for tenths in EARLY:
        along = lines.along(fields, np.trunc(lines.samples * tenths / TENTHS))
        missed += np.count_nonzero((along <= thresholds.inter_threshold) & (lines.samples >= TENTHS), axis=0)
        kept = np.flatnonzero(((lines.samples - missed) / lines.samples > share) | (lines.norm < close))
        lines, missed = lines.taken(kept), missed[kept]
    return lines


def _score(fields: Array, lines: _Lines, close: np.float32, thresholds: Thresholds) -> Connections:
    """Score pairs of peaks and keep those that are limbs."""
    lines = lines if len(lines.limb) <= FEW_LINES else _possible(fields, lines, close, thresholds)
    share = np.float32(thresholds.inter_min_above)
    sample = np.arange(lines.samples.max(initial=FEWEST), dtype=np.float32)[:, None]
    along = lines.along(fields, sample)                                           # (at most MOST, P)
    agrees = (along > thresholds.inter_threshold) & (sample < lines.samples)
    agreeing = np.count_nonzero(agrees, axis=0).astype(np.float32)
    mean = np.where(agrees, along, 0).sum(axis=0) / np.maximum(agreeing, 1)
    without_field = np.where(lines.norm < close, np.float32(thresholds.nms_threshold + SMALLEST_SCORE), 0)
    scores = np.where(agreeing / lines.samples > share, mean, without_field).astype(np.float32)
    kept = (scores > SMALLEST_SCORE) & (lines.norm > SMALLEST_SCORE)
    return Connections(lines.limb[kept], lines.start[kept], lines.end[kept], scores[kept])


def _bordered(pixels: Array) -> Array:
    """Convert fine pixels to cells of the fields including their borders."""
    return pixels * np.float32(1 / FINE) + np.float32(0.5 / FINE - 0.5 + BORDER)


def _read(fields: Array, columns: Array, rows: Array, interpolation: int) -> tuple[Array, Array]:
    """The x and y components of the fields, stacked vertically in one tall image, each y below its x."""
    if not rows.size:
        return rows, rows
    height, width = fields.shape[1:]
    picture = fields.reshape(-1, width)
    return cv2.remap(picture, columns, rows, interpolation), cv2.remap(picture[height:], columns, rows, interpolation)
