"""Ids: the same number for the same person, frame after frame.

Each person of a frame is compared with where the tracked people should be by now: the similarity of their keypoints
falls with the distance in sizes of the person, as in COCO's OKS, and faster for an eye than for a hip. People who were
found well are matched first, in the best assignment, and weak ones to the tracks that are left. There is no model of
how people look.

>>> import numpy as np
>>> from posecv.people import People
>>> from posecv.skeletons import COCO
>>> keypoints = np.full((1, 18, 3), 0.9, np.float32)
>>> keypoints[0, :, :2] = np.arange(36).reshape(18, 2)
>>> step = Ids()
>>> for time in (0.0, 0.1):
...     result = step(Result(People(keypoints, np.ones(1, np.float32), COCO), time=time))
...     print(result.people.ids)
[1]
[1]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posecv.errors import ModelError, UsageError
from posecv.oks import COMMON, sigmas_of
from posecv.result import Result
from posecv.skeletons import Skeleton

__all__ = ["MEMORY", "Ids", "MakeIds", "assigned"]

MEMORY = 2.0  # seconds that somebody may be hidden
SIGMA = 0.08  # of keypoints that COCO does not have, such as toes and the joints of fingers
SHARE = 0.5  # the root of the area of a person, as a share of the longer side of the box
ROOM = 1.5  # a person's keypoints move by themselves: times the spread of people's labels,
GROWTH = 2.0  # and this much more for each second since the person was seen
ALIKE = 0.3  # minimum similarity of a match
STRONG = 0.25  # mean confidence of all keypoints, 0 for missing ones, from which on a person is strong
SMOOTHING = 0.25  # seconds over which a speed is averaged
SLOWING = 1.0  # seconds after which a hidden person is expected to have slowed down
FASTEST = 4.0  # sizes of the person in a second
TRIAL = 2  # frames after its first one in which a newcomer must be seen again
RATE = 30.0  # frames a second of sources without times

Floats = NDArray[np.float64]


class Ids:
    """Gives people their `ids`.

    Parameters
    ----------
    memory : float
        Seconds that somebody may be hidden and keep the id.
    numbers : MakeIds or None
        Hands out the ids, 1, 2, 3, ...; by default this source has its own.

    Notes
    -----
    People of the first frame get ids at once. Later newcomers have -1 until they were seen in two frames of three.
    """

    def __init__(self, memory: float = MEMORY, numbers: MakeIds | None = None) -> None:
        self._memory = _checked(memory)
        self._numbers = numbers or MakeIds(memory)
        self._tracks: list[_Track] = []
        self._frame, self._time = -1, 0.0

    def __call__(self, result: Result) -> Result:
        """The same result; its people have ids."""
        people = result.people
        first, self._frame = self._frame < 0, self._frame + 1
        usual = 1 / (result.rate or RATE)
        now = result.time if first or result.time > self._time else self._time + usual
        step, self._time = max(now - self._time, 0.0), now
        self._tracks = [track for track in self._tracks if self._remembered(track, now - step)]
        ids = np.full(len(people), -1, np.int64)
        keypoints = np.where(np.isfinite(people.keypoints), people.keypoints, 0).astype(np.float64)
        sizes = _sizes(keypoints)
        partner = self._partners(keypoints, sizes, people.skeleton, now, step)
        places, moves = self._moved(keypoints, partner, now)
        for index in range(len(people)):
            if partner[index] < 0 and not sizes[index]:
                continue  # fewer than two keypoints: nobody to follow
            if partner[index] < 0:
                track = _Track(keypoints[index], sizes[index], now, self._frame)
                track.number = self._numbers.next() if first else -1
                self._tracks.append(track)
            else:
                track = self._tracks[partner[index]]
                track.see(places[index], sizes[index], moves[index].tolist(), now, self._frame)
                if track.number < 0:
                    track.number = self._numbers.next()
            ids[index] = track.number
        return replace(result, people=replace(people, ids=ids))

    def _remembered(self, track: _Track, now: float) -> bool:
        """Whether a track may still go on: a newcomer for some frames, others for some seconds."""
        if track.number < 0:
            return self._frame - track.frame <= TRIAL
        return now - track.time <= self._memory

    def _partners(self, keypoints: Floats, sizes: Floats, skeleton: Skeleton, now: float, step: float) -> list[int]:
        """The index of each person's track; -1 for none."""
        partner = [-1] * len(keypoints)
        if not self._tracks or not len(keypoints):
            return partner
        alike = _alike(self._tracks, keypoints, sizes, _sigmas(skeleton), now, step)  # (T, N)
        strong = keypoints[..., 2].mean(axis=1) >= STRONG
        free = np.ones(len(self._tracks), bool)
        for group in (strong, ~strong):
            rows, columns = np.flatnonzero(free), np.flatnonzero(group)
            for row, column in assigned(alike[np.ix_(rows, columns)], ALIKE):
                partner[int(columns[column])] = int(rows[row])
                free[rows[row]] = False
        return partner

    def _moved(self, keypoints: Floats, partner: list[int], now: float) -> tuple[Floats, Floats]:
        """Keypoints (N, K, 3), hidden ones where they should be, and x, y (N, 2) by which most of each person moved."""
        places, moves = keypoints.copy(), np.zeros((len(keypoints), 2))
        matched = [index for index, track in enumerate(partner) if track >= 0]
        if not matched:
            return places, moves
        tracks = [self._tracks[partner[index]] for index in matched]
        before, after = np.stack([track.keypoints for track in tracks]), keypoints[matched]
        both = (before[..., 2] > 0) & (after[..., 2] > 0)
        steps = np.sort(np.where(both[..., None], after[..., :2] - before[..., :2], np.inf), axis=1)
        count, rows = both.sum(axis=1), np.arange(len(matched))  # each has some, or it would not have been matched
        moves[matched] = (steps[rows, (count - 1) // 2] + steps[rows, count // 2]) / 2
        before[..., :2] += moves[matched][:, None]
        places[matched] = np.where(after[..., 2:] > 0, after, before)
        return places, moves


class MakeIds:
    """Makes the step of each source of a run, so that no two people of the run have the same id.

    Parameters
    ----------
    memory : float
        Seconds that somebody may be hidden and keep the id.
    """

    def __init__(self, memory: float = MEMORY) -> None:
        self._memory = _checked(memory)
        self._last = 0

    def __call__(self) -> Ids:
        """A new step."""
        return Ids(self._memory, self)

    def next(self) -> int:
        """An id that nobody had."""
        self._last += 1
        return self._last


@dataclass(eq=False)
class _Track:
    """Somebody who is followed: where and when last seen, with x, y speed in pixels a second."""

    keypoints: Floats
    size: float
    time: float
    frame: int
    speed: tuple[float, float] = (0.0, 0.0)
    number: int = -1
    seen: int = 1

    def ahead(self, now: float) -> tuple[float, float]:
        """x, y by which the person should have moved by now."""
        seconds = SLOWING * (1 - math.exp(-(now - self.time) / SLOWING))
        return self.speed[0] * seconds, self.speed[1] * seconds

    def see(self, keypoints: Floats, size: float, moved: Sequence[float], now: float, frame: int) -> None:
        """The person is here now, `moved` by x, y; hidden keypoints are where they should be."""
        seconds = max(now - self.time, 1e-3)
        share = max(1 - math.exp(-seconds / SMOOTHING), 1 / (self.seen + 1))
        x, y = (old + share * (step / seconds - old) for old, step in zip(self.speed, moved, strict=True))
        slower = min(1.0, FASTEST * max(self.size, size) / max(math.hypot(x, y), 1e-6))
        self.speed = x * slower, y * slower
        self.keypoints = keypoints
        self.size = max(size, self.size * math.exp(-seconds))  # somebody who is half hidden is not smaller
        self.time, self.frame, self.seen = now, frame, self.seen + 1


def assigned(alike: Floats, least: float) -> list[tuple[int, int]]:
    """Pairs of rows and columns with the highest sum of similarities, of those that are at least `least`.

    Parameters
    ----------
    alike : (T, N) array
        Similarities, 0 to 1.
    least : float
        Pairs that are less alike are not used.

    Examples
    --------
    The best pair first, 0.9, would leave the other row nothing:

    >>> assigned(np.array([[0.9, 0.8], [0.7, 0.1]]), 0.3)
    [(0, 1), (1, 0)]
    """
    edges = alike >= least
    alone = edges & (edges.sum(axis=1, keepdims=True) == 1) & (edges.sum(axis=0) == 1)
    pairs = [(int(row), int(column)) for row, column in np.argwhere(alone)]
    left = set(np.flatnonzero(edges.any(axis=1) & ~alone.any(axis=1)).tolist())
    while left:
        rows, columns = _connected(edges, left.pop())
        left -= set(rows)
        if len(rows) == 1 or len(columns) == 1:
            part = alike[np.ix_(rows, columns)]
            row, column = np.unravel_index(int(part.argmax()), part.shape)
            pairs.append((rows[int(row)], columns[int(column)]))
        else:
            value = np.where(edges, alike, 0)[np.ix_(rows, columns)]
            pairs += [(rows[row], columns[column]) for row, column in _hungarian(value) if value[row, column] > 0]
    return sorted(pairs)


def _connected(edges: NDArray[np.bool_], row: int) -> tuple[list[int], list[int]]:
    """The rows and columns that a row is connected with."""
    rows = np.zeros(len(edges), bool)
    rows[row] = True
    while True:
        columns = edges[rows].any(axis=0)
        more = edges[:, columns].any(axis=1) | rows
        if (more == rows).all():
            return np.flatnonzero(rows).tolist(), np.flatnonzero(columns).tolist()
        rows = more


def _hungarian(value: Floats) -> list[tuple[int, int]]:
    """The assignment of rows to columns with the highest sum; each row of the smaller side has a partner.

    Shortest augmenting paths with potentials, one row at a time (Jonker and Volgenant 1987).
    """
    if value.shape[0] > value.shape[1]:
        return [(row, column) for column, row in _hungarian(value.T)]
    cost = value.max() - value
    count, width = cost.shape
    own, other = np.zeros(count), np.zeros(width + 1)
    taken = np.full(width + 1, -1)  # the row of each column; the last column is where a path begins
    for row in range(count):
        column, taken[width] = width, row
        least, before, used = np.full(width, np.inf), np.full(width, width), np.zeros(width + 1, bool)
        while taken[column] >= 0:
            used[column] = True
            this = taken[column]
            slack = np.where(used[:width], np.inf, cost[this] - own[this] - other[:width])
            before = np.where(slack < least, column, before)
            least = np.minimum(least, slack)
            nearest = int(np.where(used[:width], np.inf, least).argmin())
            delta = least[nearest]
            own[taken[used]] += delta
            other[used] -= delta
            least = np.where(used[:width], least, least - delta)
            column = nearest
        while column != width:
            taken[column] = taken[before[column]]
            column = int(before[column])
    return [(int(taken[column]), column) for column in range(width) if taken[column] >= 0]


def _alike(
    tracks: list[_Track], keypoints: Floats, sizes: Floats, sigmas: Floats, now: float, step: float
) -> Floats:
    """(T, N) similarities of tracks, where they should be now, and people."""
    places = np.stack([track.keypoints for track in tracks])  # (T, K, 3)
    places[..., :2] += np.array([track.ahead(now) for track in tracks])[:, None]
    hidden = np.array([max(now - track.time - step, 0.0) for track in tracks])
    own = np.array([track.size for track in tracks])
    size = np.maximum(own[:, None], sizes[None])  # (T, N)
    room = ROOM + GROWTH * hidden
    spread = 2 * SHARE * size * room[:, None]
    x, y = (places[:, None, :, axis] - keypoints[None, :, :, axis] for axis in (0, 1))  # (T, N, K) each
    terms = np.exp((x * x + y * y) * (-0.5 / np.maximum(spread, 1e-6) ** 2)[..., None] / sigmas**2)
    of_track, of_person = ((each[..., 2] > 0).astype(np.float64) for each in (places, keypoints))
    common = of_track @ of_person.T
    alike: Floats = ((terms * of_person) @ of_track[..., None])[..., 0] / np.maximum(common, 1)
    # Of two tracks, the one that was seen just now is preferred: the other one's place is a guess.
    return np.where(common >= COMMON, alike * (ROOM / room)[:, None] ** 0.25, 0)


def _sizes(keypoints: Floats) -> Floats:
    """(N,) longer side of the box round each person's keypoints."""
    there = keypoints[..., 2:] > 0
    low = np.where(there, keypoints[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(there, keypoints[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    known = np.isfinite(low)
    return np.where(known, np.where(known, high, 0) - np.where(known, low, 0), 0).max(axis=1)


def _sigmas(skeleton: Skeleton) -> Floats:
    """(K,) sigmas of the keypoints; those that COCO does not have get `SIGMA`."""
    return np.array([_sigma(name) for name in skeleton.keypoints])


def _sigma(name: str) -> float:
    try:
        return float(sigmas_of([name])[0])
    except ModelError:
        return SIGMA


def _checked(memory: float) -> float:
    if isinstance(memory, bool) or not isinstance(memory, (int, float)) or not 0 <= memory < math.inf:
        raise UsageError(f"track_memory={memory}: give the seconds that somebody may be hidden, such as {MEMORY:g}")
    return float(memory)
