"""Several scales: a frame, or a part of it, seen at several sizes, and their maps averaged on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posecv.decoding.peaks import Array, cubic_weights
from posecv.errors import UsageError
from posecv.geometry import MULTIPLE, STRIDE, Box, Fit

__all__ = ["averaged", "common_fit", "hand_factors", "smaller_fits", "zoomed"]

LARGEST_RANGE = 1.8  # of the factors of a hand's box: from 0.1 to 1.9


def smaller_fits(fit: Fit, size: tuple[int, int], number: int, gap: float) -> list[Fit]:
    """A frame's Fit and those of `number` - 1 smaller inputs, each by `gap` of the first smaller than the one before.

    Parameters
    ----------
    fit : Fit
        Of the whole frame.
    size : (int, int)
        Width and height of the frame in pixels.
    number, gap
        OpenPose's scale_number and scale_gap.

    Raises
    ------
    UsageError
        Where a scale would be nothing, or larger than the first.
    """
    factors = [1 - index * gap for index in range(number)]
    if number < 1 or not all(0 < factor <= 1 for factor in factors):
        said = f"--scale-number {number} --scale-gap {gap:g}"
        raise UsageError(f"{said}: the scales 1, 1 - gap, 1 - 2 gap, ... must all lie above 0 and not above 1")
    fits = [fit]
    for factor in factors[1:]:
        sides = [max(MULTIPLE, int(side * factor + 0.5) // MULTIPLE * MULTIPLE) for side in (fit.width, fit.height)]
        scales = [(net - 1) / (side - 1) for net, side in zip(sides, size, strict=True) if side > 1]
        fits.append(replace(fit, width=sides[0], height=sides[1], scale=min(scales, default=1.0)))
    return fits


def hand_factors(number: int, spread: float) -> list[float]:
    """By what the sides of a hand's boxes differ from the box that was given: `number` factors round 1, even steps.

    >>> hand_factors(3, 1.0)
    [0.5, 1.0, 1.5]
    """
    if number < 1 or not 0 <= spread <= LARGEST_RANGE:
        said = f"--hand-scales {number} --hand-range {spread:g}"
        raise UsageError(f"{said}: the scales are 1 or more, and their range lies from 0 to {LARGEST_RANGE:g}")
    if number == 1:
        return [1.0]
    return [1 - spread / 2 + spread * index / (number - 1) for index in range(number)]


def zoomed(box: Box, factor: float) -> Box:
    """A square box round the same centre with a side that is `factor` times as long, an even number of pixels."""
    x, y, side, _ = box
    longer = max(2, int(side * factor + 0.5) // 2 * 2)
    return x + (side - longer) / 2, y + (side - longer) / 2, longer, longer


def common_fit(fits: Sequence[Fit]) -> Fit:
    """What the widest of several Fits round one centre shows, as finely as the finest of them shows it."""
    widest, finest = min(fits, key=lambda fit: fit.scale), max(fits, key=lambda fit: fit.scale)
    width, height = (
        int(np.ceil(side * finest.scale / widest.scale / STRIDE)) * STRIDE for side in (widest.width, widest.height)
    )
    return replace(widest, width=width, height=height, scale=finest.scale)


def averaged(maps: Sequence[Array], fits: Sequence[Fit], onto: Fit) -> Array:
    """The mean of several maps of one frame on the grid of another Fit.

    Parameters
    ----------
    maps : sequence of (C, h, w) float32 arrays
        A network's answers.
    fits : sequence of Fit
        Where the frame lay in each one's input.
    onto : Fit
        Whose cells the mean has.

    Returns
    -------
    (C, height / 8, width / 8) float32 array
        In each cell the mean of those maps that show its place; 0 where none does.

    Notes
    -----
    Bicubic interpolation with the kernel of `cv2.INTER_CUBIC`, each map's edge repeated. As OpenPose's CUDA build does,
    it heeds that padding has another share of each scale; its CPU build stretches all maps to one size.
    """
    height, width = onto.height // STRIDE, onto.width // STRIDE
    total = np.zeros((len(maps[0]), height, width), np.float32)
    seen = np.zeros((height, width), np.float32)
    for one, fit in zip(maps, fits, strict=True):
        across, sees_x = _weights(_places(onto, fit, 0, width), one.shape[2])
        down, sees_y = _weights(_places(onto, fit, 1, height), one.shape[1])
        covered = sees_y[:, None] & sees_x
        total += (down @ (one @ across.T)) * covered
        seen += covered
    return np.divide(total, np.maximum(seen, 1), dtype=np.float32)


def _places(onto: Fit, fit: Fit, axis: int, count: int) -> NDArray[np.float64]:
    """Where the first `count` cells of a Fit lie on the grid of another, along x (axis 0) or y."""
    network = np.arange(count) * STRIDE + (STRIDE - 1) / 2
    direction = -1 if axis == 0 and fit.mirrored else 1
    begins = direction * ((onto.y - fit.y) if axis else (onto.x - fit.x))
    return ((network / onto.scale + begins) * fit.scale - (STRIDE - 1) / 2) / STRIDE


def _weights(places: NDArray[np.float64], cells: int) -> tuple[Array, NDArray[np.bool_]]:
    """(N, cells) weights that read a map at N places along an axis, and which of the places it shows."""
    weights = np.zeros((len(places), cells), np.float32)
    for row, place in zip(weights, places, strict=True):
        base = int(np.floor(place))
        near = np.clip(np.arange(base - 1, base + 3), 0, cells - 1)
        np.add.at(row, near, cubic_weights(place - base))
    half = 0.5 + 1e-6
    return weights, (places >= -half) & (places <= cells - 1 + half)
