"""People: what an estimate gives back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posecv.geometry import Fit
from posecv.skeletons import HAND, Skeleton

__all__ = ["People", "View"]

Array = NDArray[np.float32]


class View(NamedTuple):
    """What a network made of the frame in which people were found.

    maps : (C, h, w) float32 array, before it was decoded
    fit : where the frame lies in it
    """

    maps: Array
    fit: Fit


@dataclass(frozen=True, eq=False)
class People:
    """The people of one frame, best first.

    Attributes
    ----------
    keypoints : (N, K, 3) float32 array
        x, y, score of each keypoint of each person; 0, 0, 0 where it was not found. Pixels of the frame, or cells of
        the maps where `decode_person` or `decode_people` made them.
    scores : (N,) float32 array
        A score a person, falling.
    skeleton : Skeleton
        What the K keypoints are.
    hands : (N, 2, 21, 3) float32 array or None
        Keypoints of each person's left and right hand, where hands were looked for; zeros where none was found.
    faces : (N, 70, 3) float32 array or None
        Keypoints of the faces, likewise.
    left : (N,) bool array or None
        Of people who are hands: which are left ones. None: all are right ones.
    view : View or None
        What they were found in, where that was kept.

    Examples
    --------
    >>> from posecv.skeletons import HAND
    >>> people = People.empty(HAND)
    >>> len(people), people.keypoints.shape
    (0, (0, 21, 3))
    """

    keypoints: Array
    scores: Array
    skeleton: Skeleton
    hands: Array | None = None
    faces: Array | None = None
    left: NDArray[np.bool_] | None = None
    view: View | None = None

    @classmethod
    def empty(cls, skeleton: Skeleton) -> People:
        """Nobody."""
        return cls(np.zeros((0, len(skeleton.keypoints), 3), np.float32), np.zeros(0, np.float32), skeleton)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __iter__(self) -> Iterator[Array]:
        """The (K, 3) keypoints of one person after the other."""
        return iter(self.keypoints)

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N, K) bool array: which keypoints were found."""
        return self.keypoints[..., 2] > 0

    @property
    def boxes(self) -> Array:
        """(N, 4) float32 array: x, y, width, height of the rectangle round each person's found keypoints."""
        found = self.found[..., None]
        xy = self.keypoints[..., :2]
        low = np.where(found, xy, np.inf).min(axis=1, initial=np.inf)
        high = np.where(found, xy, -np.inf).max(axis=1, initial=-np.inf)
        boxes = np.concatenate([low, high - low], axis=1)
        return np.where(np.isfinite(boxes), boxes, 0).astype(np.float32)

    def above(self, threshold: float) -> People:
        """The same people without keypoints that score `threshold` or less, and without people who have none left."""
        kept = self.keypoints[..., 2] > threshold
        keypoints = np.where(kept[..., None], self.keypoints, 0).astype(np.float32)
        return replace(self, keypoints=keypoints)[np.asarray(kept.any(axis=1))]

    def only_hands(self) -> People:
        """The hands that were found with people, each on its own, best first; a hand's score is its keypoints' mean."""
        hands = np.zeros((0, 2, len(HAND.keypoints), 3), np.float32) if self.hands is None else self.hands
        person, side = np.nonzero(hands.any(axis=(2, 3)))
        scores = hands[person, side, :, 2].mean(axis=1)
        order = np.argsort(-scores, kind="stable")
        person, side = person[order], side[order]
        return People(hands[person, side], scores[order], HAND, left=side == 0, view=self.view)

    def __getitem__(self, which: NDArray[Any] | slice) -> People:
        """Some of the people: a slice, a mask or an array of places."""
        parts = {name: getattr(self, name) for name in ("keypoints", "scores", "hands", "faces", "left")}
        return replace(self, **{name: part[which] for name, part in parts.items() if part is not None})
