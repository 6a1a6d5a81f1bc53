"""Whether scores mean what they say: calibration and sparsification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Calibration", "Sparsification", "calibration", "sparsification"]

BINS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Scores against how often what they are about is right.

    Attributes
    ----------
    error : float
        The expected calibration error: the mean over bins of |mean score - share right|, by their numbers.
    scores, right : (B,) arrays
        Mean score and share right of each bin.
    counts : (B,) array
    """

    error: float
    scores: Floats
    right: Floats
    counts: NDArray[np.int64]


def calibration(scores: ArrayLike, right: ArrayLike, bins: int = BINS) -> Calibration:
    """Calibration in bins of equal mass.

    Parameters
    ----------
    scores : (N,) array
    right : (N,) bool array

    Examples
    --------
    Half of what scores 0.9 is right, and nothing of what scores 0.1:

    >>> round(calibration([0.9, 0.9, 0.1, 0.1], [True, False, False, False], bins=2).error, 3)
    0.25
    """
    values, hits = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if not values.size:
        empty = np.zeros(0)
        return Calibration(float("nan"), empty, empty, np.zeros(0, np.int64))
    order = np.argsort(values, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    means = np.array([values[part].mean() for part in parts])
    shares = np.array([hits[part].mean() for part in parts])
    counts = np.array([part.size for part in parts])
    return Calibration(float(np.abs(means - shares) @ counts / counts.sum()), means, shares, counts)


@dataclass(frozen=True)
class Sparsification:
    """The mean error of what is left when the most uncertain part is left out.

    Attributes
    ----------
    left_out : (S,) array
        Shares from 0.
    errors, oracle : (S,) arrays
        Mean error of the rest, divided by that of all; and if the largest errors were left out first.
    ause : float
        The area between both curves.
    """

    left_out: Floats
    errors: Floats
    oracle: Floats
    ause: float


def sparsification(uncertainty: ArrayLike, errors: ArrayLike, steps: int = 20) -> Sparsification:
    """Leave out the most uncertain share, and see what error remains.

    Uncertainty that orders as the error does costs nothing:

    >>> sparsification([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], steps=4).ause
    0.0
    """
    unsure, wrong = np.asarray(uncertainty, np.float64), np.asarray(errors, np.float64)
    shares = np.arange(steps) / steps
    if not wrong.size or not wrong.mean() > 0:
        level = np.full(steps, np.nan)
        return Sparsification(shares, level, level, float("nan"))
    curves = [_remaining(wrong[np.argsort(-key, kind="stable")], shares) for key in (unsure, wrong)]
    area = float(np.sum((curves[0] - curves[1])[1:] + (curves[0] - curves[1])[:-1]) / 2 / steps)
    return Sparsification(shares, curves[0], curves[1], area)


def _remaining(ordered: Floats, shares: Floats) -> Floats:
    """The mean of what is left of values when the first shares of them are left out, over the mean of all."""
    firsts = np.minimum((shares * len(ordered)).astype(int), len(ordered) - 1)
    sums = np.cumsum(ordered[::-1])[::-1]
    return sums[firsts] / (len(ordered) - firsts) / ordered.mean()
