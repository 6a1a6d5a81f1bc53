"""Smooth motion while it comes: less jitter of who is still, little lag of who moves.

Each keypoint of each id has a One-Euro filter (`posecv.signals.OneEuro`) that knows the true times and measures speeds
in sizes of the person, so that the answer depends neither on the frame rate nor on the resolution. A keypoint that is
lost for a moment is bridged: it stays where it was, with half of its score, so that it can be told.

>>> import numpy as np
>>> from posecv.people import People
>>> from posecv.skeletons import COCO
>>> step = Smooth()
>>> for time, x in ((0.0, 10.0), (0.1, 11.0)):
...     keypoints = np.full((1, 18, 3), 0.9, np.float32)
...     keypoints[0, :, 0] += x
...     people = People(keypoints, np.ones(1, np.float32), COCO, ids=np.array([1]))
...     result = step(Result(people, time=time))
>>> bool(10.9 < result.people.keypoints[0, 0, 0] < 11.9)
True
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posecv.checks import check_number
from posecv.errors import UsageError
from posecv.result import Result
from posecv.signals import OneEuro

__all__ = ["BRIDGED", "FOLLOW", "STILL", "MakeSmooth", "Smooth"]

STILL = 0.5  # Hz: the cut-off frequency for who is still
FOLLOW = 6.0  # Hz more for each size of the person in a second
BRIDGED = 0.1  # seconds for which a lost keypoint stays
MARK = 0.5  # of its last score, which a bridged keypoint has
FORGOTTEN = 1.0  # seconds after which a person who returns is smoothed anew
RATE = 30.0  # frames a second of sources without times

Floats = NDArray[np.float64]


class Smooth:
    """Smooths the people of one source; those without an id stay as they are.

    Parameters
    ----------
    still : float
        Hz: the cut-off frequency for who is still. Lower is smoother.
    follow : float
        How much it rises for each size of the person in a second. Higher follows faster.
    """

    def __init__(self, still: float = STILL, follow: float = FOLLOW) -> None:
        self._still, self._follow = still, follow
        self._people: dict[int, _Motion] = {}
        self._frames, self._time = 0, 0.0

    def __call__(self, result: Result) -> Result:
        """The same result with smoothed keypoints."""
        people = result.people
        usual = 1 / (result.rate or RATE)
        self._time = result.time if not self._frames or result.time > self._time else self._time + usual
        self._frames += 1
        if people.ids is None:
            return result
        keypoints = people.keypoints.copy()
        for index, number in enumerate(people.ids.tolist()):
            if number >= 0:
                keypoints[index] = self._motion(number)(keypoints[index].astype(np.float64), self._time)
        return replace(result, people=replace(people, keypoints=keypoints))

    def _motion(self, number: int) -> _Motion:
        motion = self._people.get(number)
        if motion is None or self._time - motion.time > FORGOTTEN:
            motion = self._people[number] = _Motion(OneEuro(self._still, self._follow))
        return motion


@dataclass(eq=False)
class _Motion:
    """The filter of a person, and where and when each keypoint was last seen."""

    filter: OneEuro
    time: float = 0.0
    seen: Floats | None = None
    last: Floats | None = None

    def __call__(self, keypoints: Floats, time: float) -> Floats:
        """(K, 3) keypoints, smoothed."""
        there = keypoints[:, 2] > 0
        places = keypoints[there, :2]
        size = float(np.ptp(places, axis=0).max()) if len(places) else 0.0
        xy = self.filter(np.where(there[:, None], keypoints[:, :2], np.nan), time, max(size, 1.0))
        if self.seen is None or self.last is None:
            self.seen, self.last = np.full(len(keypoints), -np.inf), np.zeros_like(keypoints)
        result = np.where(there[:, None], np.column_stack([xy, keypoints[:, 2]]), 0)
        bridged = ~there & (time - self.seen <= BRIDGED + 1e-9)
        result[bridged] = self.last[bridged] * (1, 1, MARK)
        self.seen[there], self.last[there] = time, result[there]
        self.time = time
        return result


@dataclass(frozen=True)
class MakeSmooth:
    """Makes the step of each source.

    Raises
    ------
    UsageError
        If a parameter is not a number above 0 (`follow`: 0 or more).
    """

    still: float = STILL
    follow: float = FOLLOW

    def __post_init__(self) -> None:
        for name in ("still", "follow"):
            check_number(name, getattr(self, name))
        if self.still <= 0 or self.follow < 0:
            given = f"smooth_still={self.still:g} smooth_follow={self.follow:g}"
            raise UsageError(f"{given}: give a frequency above 0 Hz, and 0 or more, such as {STILL:g} and {FOLLOW:g}")

    def __call__(self) -> Smooth:
        """A new step."""
        return Smooth(self.still, self.follow)
