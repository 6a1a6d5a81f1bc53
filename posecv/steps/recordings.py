"""Smooth motion of recordings, where what comes later is known: no delay, outliers out, short gaps filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from posecv.errors import UsageError
from posecv.people import People
from posecv.result import Result
from posecv.signals import CUTOFF, GAP, ORDER, smoothed
from posecv.steps.ids import MakeIds

__all__ = ["MARK", "smooth_recording"]

MARK = 0.5  # of the mean score of its person's keypoint, which a filled one has
FEWEST = 3  # frames of somebody who is smoothed

Floats = NDArray[np.float64]


def smooth_recording(
    results: Iterable[Result], *, cutoff: float = CUTOFF, order: int = ORDER, gap: float = GAP
) -> list[Result]:
    """The results of recordings with smoothed keypoints (`posecv.signals.smoothed`), each source by itself.

    Parameters
    ----------
    results : iterable of Result
        Those of a source in a row, in the order of their frames. People without ids get some.
    cutoff : float
        Hz of the low-pass filter: lower is smoother.
    order : int
        Of the filter: 2 or 4.
    gap : float
        Seconds; a keypoint that is missing for longer stays missing.

    Raises
    ------
    UsageError
        If a parameter cannot be used.
    """
    if order not in (2, 4) or not cutoff > 0 or not gap >= 0:
        given = f"cutoff={cutoff:g} order={order} gap={gap:g}"
        raise UsageError(f"{given}: give Hz above 0, an order of 2 or 4, and seconds")
    numbers = MakeIds()
    done: list[Result] = []
    for _, group in groupby(results, key=lambda result: result.source):
        done += _smoothed(_with_ids(list(group), numbers), cutoff, order, gap)
    return done


def _with_ids(results: list[Result], numbers: MakeIds) -> list[Result]:
    """The results of one source; if nobody has an id, people get some."""
    if any(result.people.ids is not None for result in results):
        return results
    step = numbers()
    return [step(result) for result in results]


def _smoothed(results: Sequence[Result], cutoff: float, order: int, gap: float) -> list[Result]:
    """The results of one source, each person over all frames."""
    keypoints = [result.people.keypoints.astype(np.float64) for result in results]
    for number in sorted({int(each) for result in results for each in _ids(result.people) if each >= 0}):
        places = [(at, np.flatnonzero(_ids(result.people) == number)) for at, result in enumerate(results)]
        seen = [(at, int(index[0])) for at, index in places if len(index)]
        if len(seen) < FEWEST:
            continue
        track = np.stack([keypoints[at][index] for at, index in seen])
        times = np.array([results[at].time for at, _ in seen])
        changed = _track(track, times, cutoff, order, gap)
        for (at, index), values in zip(seen, changed, strict=True):
            keypoints[at][index] = values
    return [
        replace(result, people=replace(result.people, keypoints=each.astype(np.float32)))
        for result, each in zip(results, keypoints, strict=True)
    ]


def _ids(people: People) -> NDArray[np.int64]:
    return np.full(len(people), -1) if people.ids is None else people.ids


def _track(track: Floats, times: Floats, cutoff: float, order: int, gap: float) -> Floats:
    """(T, K, 3) keypoints of one person, smoothed; filled ones have half of the usual score."""
    there = track[..., 2] > 0
    xy = smoothed(np.where(there[..., None], track[..., :2], np.nan), times, cutoff=cutoff, order=order, gap=gap)
    found = np.asarray(np.isfinite(xy).all(axis=-1))
    usual = np.where(there, track[..., 2], 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    scores = np.where(there, track[..., 2], MARK * usual)
    return np.where(found[..., None], np.concatenate([np.nan_to_num(xy), scores[..., None]], axis=-1), 0)
