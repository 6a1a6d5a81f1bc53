"""People: what an estimate gives back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.skeletons import Skeleton

__all__ = ["People"]

Array = NDArray[np.float32]


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

    def __getitem__(self, which: NDArray[Any] | slice) -> People:
        """Some of the people: a slice, a mask or an array of places."""
        hands = None if self.hands is None else self.hands[which]
        faces = None if self.faces is None else self.faces[which]
        return People(self.keypoints[which], self.scores[which], self.skeleton, hands, faces)
