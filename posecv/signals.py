"""Signals over time: outliers, gaps, low-pass filters, in NumPy.

Every signal is (T, ...) over times in seconds that rise and need not be regular; NaN is missing. All filters know the
true times, so they give the same answer for 30 and 60 frames a second.

Sources: Casiez et al., "1 Euro Filter", CHI 2012; Hampel, 1974; Stenum et al., PLOS Computational Biology 2021, for
gaps up to 120 ms and the low-pass filter of gait.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posecv.errors import UsageError

__all__ = ["GAP", "OneEuro", "butterworth", "filled", "hampel", "low_pass", "smoothed"]

Floats = NDArray[np.float64]

GAP = 0.12  # seconds; longer gaps are not filled
WINDOW = 7  # frames in which an outlier is looked for
DEVIATIONS = 3.0  # robust standard deviations from the median
ROBUST = 1.4826  # standard deviations of a normal distribution in its median absolute deviation
CUTOFF = 6.0  # Hz
ORDER = 4


def hampel(signal: ArrayLike, window: int = WINDOW, deviations: float = DEVIATIONS) -> NDArray[np.bool_]:
    """Which values are outliers: farther from the median of their window than so many robust standard deviations.

    Parameters
    ----------
    signal : (T, ...) array
    window : int
        Frames, odd.
    deviations : float

    Returns
    -------
    (T, ...) bool array
        False for missing values, and where fewer than three values of the window are there.

    Examples
    --------
    >>> hampel([0, 1, 2, 50, 4, 5, 6, 7]).nonzero()[0].tolist()
    [3]
    """
    values = np.asarray(signal, np.float64)
    half = window // 2
    nothing = np.full((half, *values.shape[1:]), np.nan)
    padded = np.concatenate([nothing, values, nothing])
    around = np.stack([padded[start : start + len(values)] for start in range(window)])
    there = np.isfinite(around).sum(axis=0)
    with np.errstate(all="ignore"):
        median = _median(around)
        spread = ROBUST * _median(np.abs(around - median))
        far = np.abs(values - median) > np.maximum(deviations * spread, 1e-9)
    return far & (there >= 3) & np.isfinite(values)


def _median(values: Floats) -> Floats:
    """The median over the first axis, without NaN; NaN where nothing is there."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = [np.take_along_axis(ordered, at[None], axis=0)[0] for at in (low, np.minimum(high, len(values) - 1))]
    return (middle[0] + middle[1]) / 2


def filled(signal: ArrayLike, times: ArrayLike, most: float = GAP) -> Floats:
    """The signal with linear interpolation in gaps that last up to `most` seconds, from value to value.

    >>> filled([0.0, np.nan, 2.0, np.nan, np.nan, np.nan, 6.0], np.arange(7) / 20).tolist()
    [0.0, 1.0, 2.0, nan, nan, nan, 6.0]
    """
    values = np.array(signal, np.float64)
    clock = np.asarray(times, np.float64)
    columns = values.reshape(len(values), -1)
    for column in columns.T:
        there = np.flatnonzero(np.isfinite(column))
        for before, after in pairwise(there):
            if after - before > 1 and clock[after] - clock[before] <= most + 1e-9:
                gap = slice(before + 1, after)
                column[gap] = np.interp(clock[gap], clock[[before, after]], column[[before, after]])
    return columns.reshape(values.shape)


def butterworth(order: int, cutoff: float, rate: float) -> tuple[Floats, Floats]:
    """The numerator and denominator of a digital Butterworth low-pass filter, by the bilinear transform.

    Parameters
    ----------
    order : int
        1 to 8.
    cutoff : float
        Hz at which half of the power is left; below half of the rate.
    rate : float
        Values a second.

    Examples
    --------
    The sum of the numerator is that of the denominator, since a constant passes:

    >>> b, a = butterworth(2, 6, 30)
    >>> bool(abs(b.sum() - a.sum()) < 1e-12)
    True
    """
    if not 1 <= order <= 8 or not 0 < cutoff < rate / 2:
        limits = f"an order of 1 to 8, and a frequency below half of {rate:g} values a second"
        raise UsageError(f"order={order} cutoff={cutoff:g}: give {limits}")
    warped = 2 * rate * math.tan(math.pi * cutoff / rate)
    angles = math.pi * (2 * np.arange(1, order + 1) + order - 1) / (2 * order)
    poles = warped * np.exp(1j * angles)
    digital = (2 * rate + poles) / (2 * rate - poles)
    denominator = np.real(np.poly(digital))
    numerator = np.poly(np.full(order, -1.0))
    return numerator * denominator.sum() / numerator.sum(), denominator


def low_pass(signal: ArrayLike, rate: float, cutoff: float = CUTOFF, order: int = ORDER) -> Floats:
    """A signal without missing values, low-pass filtered forwards and backwards, so that nothing is delayed.

    The filter's order is that of both passes together; at the cut-off frequency, half of the power is left after both.

    Parameters
    ----------
    signal : (T, ...) array
    rate : float
        Values a second.
    cutoff : float
        Hz. At half of the rate and above, the signal is returned as it is.
    order : int
        Even.
    """
    values = np.asarray(signal, np.float64)
    each = order // 2
    if len(values) < 2 or each < 1:
        return values.copy()
    warped = cutoff / (2 ** (1 / 2) - 1) ** (1 / (2 * each))
    if warped >= rate / 2:
        return values.copy()
    b, a = butterworth(each, warped, rate)
    reach = min(len(values) - 1, round(3 * rate / cutoff))
    before, after = 2 * values[0] - values[reach:0:-1], 2 * values[-1] - values[-2 : -2 - reach : -1]
    extended = np.concatenate([before, values, after])
    forwards = _run(b, a, extended)
    return _run(b, a, forwards[::-1])[::-1][reach : reach + len(values)]


def _run(b: Floats, a: Floats, values: Floats) -> Floats:
    """A recursive filter that has seen the first value for ever."""
    state = np.zeros((len(b) - 1, *values.shape[1:]))
    for index in range(len(state)):  # of a constant: what the later coefficients will add
        state[index] = (b[index + 1 :].sum() - a[index + 1 :].sum()) * values[0]
    result = np.empty_like(values)
    for at, value in enumerate(values):
        result[at] = b[0] * value + state[0]
        state[:-1] = state[1:]
        state[-1] = 0
        shape = (-1, *([1] * (values.ndim - 1)))
        state += b[1:].reshape(shape) * value - a[1:].reshape(shape) * result[at]
    return result


def smoothed(
    signal: ArrayLike, times: ArrayLike, *, cutoff: float = CUTOFF, order: int = ORDER, gap: float = GAP
) -> Floats:
    """The whole of it, for recordings: outliers out, short gaps filled, filtered without delay; long gaps stay.

    Parameters
    ----------
    signal : (T, ...) array
        NaN is missing.
    times : (T,) array
        Seconds.
    cutoff, order
        As `low_pass`.
    gap : float
        Seconds up to which a gap is filled.
    """
    values = np.array(signal, np.float64)
    clock = np.asarray(times, np.float64)
    values[hampel(values)] = np.nan
    values = filled(values, clock, gap)
    steps = np.diff(clock)
    if not len(steps) or not np.median(steps) > 0:
        return values
    rate = 1 / float(np.median(steps))
    columns = values.reshape(len(values), -1)
    for column in columns.T:
        there = np.flatnonzero(np.isfinite(column))
        for run in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
            if len(run) > 1:
                column[run] = _regular(column[run], clock[run], rate, cutoff, order)
    return columns.reshape(values.shape)


def _regular(values: Floats, times: Floats, rate: float, cutoff: float, order: int) -> Floats:
    """Filtered on regular times, and read at its own."""
    even = np.arange(times[0], times[-1] + 0.5 / rate, 1 / rate)
    steady = low_pass(np.interp(even, times, values), rate, cutoff, order)
    return np.interp(times, even, steady)


class OneEuro:
    """The One-Euro filter: much smoothing of what is still, little lag of what moves.

    Parameters
    ----------
    min_cutoff : float
        Hz for what is still: lower is smoother.
    beta : float
        How much the cut-off rises with speed: higher follows faster.
    d_cutoff : float
        Hz for the speed itself.

    Notes
    -----
    It keeps state: give it the values of one signal in order. `speed_unit` of a call is what speeds are measured in,
    such as the size of a person, so that the answer does not depend on the resolution. NaN begins anew.
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 1.0, d_cutoff: float = 1.0) -> None:
        self._min_cutoff, self._beta, self._d_cutoff = min_cutoff, beta, d_cutoff
        self._value: Floats | None = None
        self._speed: Floats | None = None
        self._time = 0.0

    def __call__(self, value: ArrayLike, time: float, speed_unit: float = 1.0) -> Floats:
        """The filtered value; the first one, and those after a gap, are as they are."""
        now = np.asarray(value, np.float64)
        if self._value is None or self._speed is None or time <= self._time:
            self._value, self._speed, self._time = now.copy(), np.zeros_like(now), time
            return now.copy()
        step = time - self._time
        before = np.where(np.isfinite(self._value), self._value, now)
        speed = np.where(np.isfinite(now), (now - before) / step, 0.0)
        self._speed = self._speed + _alpha(self._d_cutoff, step) * (speed - self._speed)
        cutoff = self._min_cutoff + self._beta * np.abs(self._speed) / speed_unit
        self._value = before + _alpha(cutoff, step) * (now - before)
        self._time = time
        return self._value.copy()


def _alpha(cutoff: ArrayLike, step: float) -> Floats:
    """The share of the new value."""
    return 1 / (1 + 1 / (2 * math.pi * np.asarray(cutoff, np.float64) * step))
