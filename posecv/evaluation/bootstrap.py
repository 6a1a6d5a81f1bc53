"""Intervals by the bootstrap: images are drawn with replacement, since the people in one are not independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from posecv.evaluation.coco import Matches

__all__ = ["DRAWS", "drawn", "interval", "precisions", "rates"]

DRAWS = 1000
SPAN = (2.5, 97.5)  # percentiles

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def drawn(images: int, draws: int = DRAWS, seed: int = 0) -> Counts:
    """(draws, images) array: how often each image is drawn; the same for every model, so that differences pair."""
    if not images:
        return np.zeros((draws, 0), np.int64)
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)


def precisions(matches: Matches, counts: Counts, of: Callable[[Floats], float] | None = None) -> Floats:
    """(draws,) average precision of each draw: the mean over thresholds, or what `of` makes of the (T,) values."""
    take = of or (lambda values: float(values.mean()))
    return np.array([take(matches.precision(row)) for row in counts])


def rates(numerators: Floats, denominators: Floats, counts: Counts) -> Floats:
    """(draws,) sums of the first over sums of the second, each an (images,) array; NaN where that is 0."""
    below = counts @ denominators
    return np.where(below > 0, counts @ numerators / np.where(below > 0, below, 1), np.nan)


def interval(values: Sequence[float] | Floats) -> tuple[float, float]:
    """The 95% interval of drawn values.

    >>> interval(np.arange(1001.0))
    (25.0, 975.0)
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, SPAN)
    return float(low), float(high)
