"""Several scales: average the maps of one frame, or a part of it, at several sizes, on one grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.decoding.peaks import cubic_weights
from posecv.geometry import Fit

__all__ = ["averaged"]



def averaged(maps: Sequence[Array], fits: Sequence[Fit], onto: Fit) -> Array:
    """The mean of several maps of one frame on the grid of another Fit.

    Parameters
    ----------
    maps : sequence of (C, h, w) float32 arrays
        A network's outputs.
    fits : sequence of Fit
        Where the frame lies in each input.
    onto : Fit
        The grid of the mean.

    Returns
    -------
    (C, height / stride, width / stride) float32 array
        The mean, in each cell, of the maps that cover it; 0 where none does.

    Notes
    -----
    Bicubic interpolation with the kernel of `cv2.INTER_CUBIC`; the edges of the maps are repeated. Like OpenPose's CUDA
    build, this takes into account that padding has a different share of each scale; OpenPose's CPU build stretches all
    maps to one size.
    """
    height, width = onto.height // onto.stride, onto.width // onto.stride
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
    network = np.arange(count) * onto.stride + (onto.stride - 1) / 2
    direction = -1 if axis == 0 and fit.mirrored else 1
    begins = direction * ((onto.y - fit.y) if axis else (onto.x - fit.x))
    return ((network / onto.scale + begins) * fit.scale - (fit.stride - 1) / 2) / fit.stride


def _weights(places: NDArray[np.float64], cells: int) -> tuple[Array, NDArray[np.bool_]]:
    """(N, cells) weights that sample a map at N places along an axis, and which of the places it covers."""
    weights = np.zeros((len(places), cells), np.float32)
    for row, place in zip(weights, places, strict=True):
        base = int(np.floor(place))
        near = np.clip(np.arange(base - 1, base + 3), 0, cells - 1)
        np.add.at(row, near, cubic_weights(place - base))
    half = 0.5 + 1e-6
    return weights, (places >= -half) & (places <= cells - 1 + half)
