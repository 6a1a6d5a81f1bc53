"""Figures of single people, hands and faces: PCK, PCKh, AUC, NME."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["area_under_pck", "nme", "pck", "size_of"]

Floats = NDArray[np.float64]


def size_of(labels: ArrayLike) -> float:
    """The longer side, in pixels, of the box round (K, 3) labels; 0 in the third column means not labelled."""
    points = np.asarray(labels, np.float64)
    there = points[points[:, 2] > 0, :2]
    return float(np.ptp(there, axis=0).max()) if len(there) else 0.0


def pck(away: ArrayLike, sizes: ArrayLike, share: float) -> Floats:
    """Which keypoints are right: within a share of a size from their labels.

    Parameters
    ----------
    away : (..., K) array
        Pixels; infinite for a missing keypoint, NaN without a label.
    sizes : array that broadcasts
        The head's length for PCKh, the box's longer side for hands, the torso for upright people.
    share : float
        0.5 for PCKh@0.5, 0.2 for hands.

    Returns
    -------
    (..., K) float64 array
        1, 0, or NaN without a label or a size. `np.nanmean` is the PCK.

    Examples
    --------
    >>> pck([4, 6, np.inf, np.nan], 10, 0.5)
    array([ 1.,  0.,  0., nan])
    """
    distance, size = np.asarray(away, np.float64), np.asarray(sizes, np.float64)
    return np.where(np.isnan(distance) | ~(size > 0), np.nan, distance <= share * size)


def area_under_pck(away: ArrayLike, sizes: ArrayLike, most: float = 0.5, steps: int = 100) -> float:
    """The mean PCK over shares from 0 to `most`, by trapezoids: 1 where every keypoint is on its label.

    >>> area_under_pck([[0.0, np.inf]], [[1.0]])
    0.5
    """
    shares = np.linspace(0, most, steps + 1)
    means = np.array([np.nanmean(pck(away, sizes, share)) for share in shares])
    return float(np.sum(means[1:] + means[:-1]) / 2 / steps)


def nme(found: Any, labels: Any, ends: tuple[int, int]) -> Floats:
    """(K,) errors of a face: distances divided by that of two labels, such as the outer corners of the eyes.

    Parameters
    ----------
    found, labels : (K, 2) arrays
        NaN where there is nothing.
    ends : (int, int)
        Indices of the two labels.

    Returns
    -------
    (K,) float64 array
        Infinite where nothing was found, NaN without a label; the mean is the NME.
    """
    one, other = ends
    away = np.linalg.norm(found - labels, axis=1) / np.linalg.norm(labels[one] - labels[other])
    return np.where(np.isnan(labels[:, 0]), np.nan, np.where(np.isnan(away), np.inf, away))
