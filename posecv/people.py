"""People: the result of an estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.errors import InputError, ModelError, UsageError
from posecv.skeletons import COCO_17, FACE, HAND, Skeleton, checked_skeleton

__all__ = ["People", "checked_people"]

OPENPOSE_VERSION = 1.3
OPENPOSE_FIELDS = (
    "pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d",
    "pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
)  # fmt: skip
BODY, FACES, LEFT_HAND, RIGHT_HAND = OPENPOSE_FIELDS[:4]


@dataclass(frozen=True, eq=False)
class People:
    """The people of one frame, best first.

    Indexing gives people too: `people[0]` is a People of one person, `people[:3]`, a mask or an array of indices one
    of several. Iteration yields a People of one person at a time.

    Attributes
    ----------
    keypoints : (N, K, 3) float32 array
        x, y, score of each keypoint of each person; 0, 0, 0 if missing. In pixels of the frame; results of
        `decode_person` and `decode_people` are in cells of the maps.
    scores : (N,) float32 array
        A score for each person, in descending order.
    skeleton : Skeleton
        The layout of the K keypoints.
    hands : (N, 2, 21, 3) float32 array or None
        Keypoints of each person's left and right hand; zeros if not found. None if hands were not searched for.
    faces : (N, 70, 3) float32 array or None
        Keypoints of each person's face, likewise.
    left : (N,) bool array or None
        For hands: which ones are left hands. None: all are right hands.
    ids : (N,) int array or None
        A number for each person that stays the same over the frames of a source; -1 for people who have none yet. None
        if people are not tracked (`posecv.steps.ids`).

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
    ids: NDArray[np.int64] | None = None

    @classmethod
    def empty(cls, skeleton: Skeleton) -> People:
        """Nobody."""
        return cls(np.zeros((0, len(skeleton.keypoints), 3), np.float32), np.zeros(0, np.float32), skeleton)

    @classmethod
    def from_openpose(cls, record: Mapping[str, Any], skeleton: Skeleton) -> People:
        """Read the people of one of OpenPose's JSON records.

        Parameters
        ----------
        record : mapping
            As `json.load` returns it.
        skeleton : Skeleton
            The layout of `pose_keypoints_2d`. For HAND and FACE the keypoints of hands and faces are read instead, one
            person for each.

        Returns
        -------
        People
            The records contain no scores of people, so a person's score is the mean score of its keypoints.

        Raises
        ------
        InputError
            If it is not such a record: a person has no keypoints, or the wrong number of them.
        UsageError
            If `skeleton` is something else, such as a name.
        """
        skeleton = checked_skeleton(skeleton)
        persons = record.get("people") if isinstance(record, Mapping) else None
        if not isinstance(persons, Sequence) or not all(isinstance(person, Mapping) for person in persons):
            raise InputError("this is not an OpenPose record: it has no list of 'people' with a mapping for each")
        if skeleton.name == HAND.name:
            return _hands_from(persons, skeleton)
        if skeleton.name == FACE.name:
            with_face = [person for person in persons if person.get(FACES)]
            faces_alone = _ranked([_read(person, FACES, skeleton) for person in with_face], skeleton)
            return replace(faces_alone, ids=_ids_of(with_face))
        if not all(BODY in person for person in persons):
            raise InputError(f"this is not an OpenPose record: a person has no {BODY}")
        people = _ranked([_read(person, BODY, skeleton) for person in persons], skeleton)
        hands = faces = None
        if any(person.get(LEFT_HAND) or person.get(RIGHT_HAND) for person in persons):
            sides = [[_read(person, side, HAND) for side in (LEFT_HAND, RIGHT_HAND)] for person in persons]
            hands = np.stack([np.stack(each) for each in sides])
        if any(person.get(FACES) for person in persons):
            faces = np.stack([_read(person, FACES, FACE) for person in persons])
        return replace(people, hands=hands, faces=faces, ids=_ids_of(persons))

    def __len__(self) -> int:
        return len(self.keypoints)

    def __iter__(self) -> Iterator[People]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, which: int | slice | Sequence[int] | NDArray[Any]) -> People:
        """Select people by an index, a slice, a mask or an array of indices; IndexError if out of range."""
        if isinstance(which, np.ndarray) and not which.ndim and which.dtype.kind in "iu":
            which = int(which)
        if isinstance(which, (int, np.integer)):
            if not -len(self) <= which < len(self):
                raise IndexError(f"index {which} is out of range for {len(self)} people")
            which = [int(which)]
        elif not isinstance(which, slice) and np.ndim(which) != 1:
            raise IndexError("people are selected by an index, a slice, a mask or a list of indices")
        parts = {name: getattr(self, name) for name in ("keypoints", "scores", "hands", "faces", "left", "ids")}
        return replace(self, **{name: part[which] for name, part in parts.items() if part is not None})

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
        """The same people without keypoints that score `threshold` or less, and without people who lose all of them."""
        kept = self.keypoints[..., 2] > threshold
        keypoints = np.where(kept[..., None], self.keypoints, 0).astype(np.float32)
        return replace(self, keypoints=keypoints)[np.asarray(kept.any(axis=1))]

    def certain(self, score: float = 0.0, keypoints: int = 0, height: float = 0.0) -> People:
        """The people who score more than `score` and have enough keypoints, in a box that is high enough, in pixels.

        >>> from posecv.skeletons import COCO
        >>> len(People.empty(COCO).certain(0.1))
        0
        """
        enough = (self.scores > score) & (self.found.sum(axis=1) >= keypoints) & (self.boxes[:, 3] >= height)
        return self if enough.all() else self[enough]

    def mapped(self, change: Callable[[Array], Array]) -> People:
        """The same people with the keypoints of their bodies, hands and faces each replaced by `change` of them.

        Parameters
        ----------
        change : callable
            From a (..., 3) float32 array of x, y, score to one of the same shape.
        """
        parts = {name: getattr(self, name) for name in ("keypoints", "hands", "faces")}
        changed: dict[str, Any] = {
            name: change(part).astype(np.float32) for name, part in parts.items() if part is not None
        }
        return replace(self, **changed)

    def only_hands(self) -> People:
        """The hands found with these people, best first; a hand's score is the mean score of its keypoints."""
        hands = np.zeros((0, 2, len(HAND.keypoints), 3), np.float32) if self.hands is None else self.hands
        person, side = np.nonzero(hands.any(axis=(2, 3)))
        scores = hands[person, side, :, 2].mean(axis=1)
        order = np.argsort(-scores, kind="stable")
        person, side = person[order], side[order]
        ids = None if self.ids is None else self.ids[person]
        return People(hands[person, side], scores[order], HAND, left=side == 0, ids=ids)

    def to_openpose(self) -> dict[str, Any]:
        """One of OpenPose's JSON records, version 1.3, as a dict for `json.dump`.

        >>> from posecv.skeletons import COCO
        >>> People.empty(COCO).to_openpose()
        {'version': 1.3, 'people': []}
        """
        return {"version": OPENPOSE_VERSION, "people": [self._openpose_person(index) for index in range(len(self))]}

    def _openpose_person(self, index: int) -> dict[str, list[float]]:
        side = LEFT_HAND if self.left is not None and self.left[index] else RIGHT_HAND
        own = {HAND.name: side, FACE.name: FACES}.get(self.skeleton.name, BODY)
        number = -1 if self.ids is None else int(self.ids[index])
        fields: dict[str, list[float]] = {"person_id": [number], **{name: [] for name in OPENPOSE_FIELDS}}
        fields[own] = _values(self.keypoints[index])
        if self.hands is not None:
            fields[LEFT_HAND], fields[RIGHT_HAND] = map(_values, self.hands[index])
        if self.faces is not None:
            fields[FACES] = _values(self.faces[index])
        return fields

    def to_coco(self) -> list[dict[str, Any]]:
        """COCO's results for this frame, without `image_id`: one dict per person with 51 numbers and a score.

        Keypoints are in the order of `posecv.skeletons.COCO_17`. As in OpenPose's files, missing ones are -1, -1, 0,
        and the third number of the others is 1.

        Raises
        ------
        ModelError
            If the skeleton lacks one of COCO's keypoints.
        """
        missing = [name for name in COCO_17 if name not in self.skeleton.keypoints]
        if missing:
            raise ModelError(f"COCO's results need 17 keypoints, but {self.skeleton.name} has no {missing[0]}")
        keypoints = self.keypoints[:, [self.skeleton.keypoints.index(name) for name in COCO_17]]
        found = keypoints[..., 2:] > 0
        values = np.concatenate([np.where(found, keypoints[..., :2], -1), found], axis=-1)
        return [
            {"category_id": 1, "keypoints": each.ravel().tolist(), "score": float(score)}
            for each, score in zip(values, self.scores, strict=True)
        ]


def _values(keypoints: Array) -> list[float]:
    """x, y, score one after the other; a keypoint with NaN is missing, since JSON has no NaN.

    Scores are at most 1, as OpenPose documents them: where maps are enlarged, a peak may be a little higher.
    """
    whole = np.isfinite(keypoints).all(axis=1, keepdims=True)
    limited = np.minimum(keypoints, np.array([np.inf, np.inf, 1], np.float32))
    values: list[float] = (np.where(whole, limited, 0) + 0.0).ravel().tolist()  # + 0.0 turns -0 into 0
    return values


def _read(person: Mapping[str, Any], field: str, skeleton: Skeleton) -> Array:
    """(K, 3) keypoints of a field; zeros if it is empty."""
    count = len(skeleton.keypoints)
    try:
        values = np.array(person.get(field) or [], np.float64)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not (np.abs(values) <= np.finfo(np.float32).max).all():  # also false for NaN
        raise InputError(f"{field} is not a list of numbers")
    if not len(values):
        return np.zeros((count, 3), np.float32)
    if len(values) != 3 * count:
        raise InputError(f"{field} holds {len(values)} numbers; {skeleton.name} has {count} keypoints, {3 * count}")
    return values.astype(np.float32).reshape(count, 3)


def _ranked(keypoints: Sequence[Array], skeleton: Skeleton) -> People:
    """People in the given order, each with the mean score of its keypoints."""
    if not keypoints:
        return People.empty(skeleton)
    array = np.stack(keypoints)
    return People(array, array[..., 2].mean(axis=1), skeleton)


def _hands_from(persons: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> People:
    """Each hand of a record as a separate person."""
    sides = [(side, person) for person in persons for side in (LEFT_HAND, RIGHT_HAND) if person.get(side)]
    people = _ranked([_read(person, side, skeleton) for side, person in sides], skeleton)
    left = np.array([side == LEFT_HAND for side, _ in sides], bool)
    return replace(people, left=left, ids=_ids_of([person for _, person in sides]))


def _ids_of(persons: Sequence[Mapping[str, Any]]) -> NDArray[np.int64] | None:
    """The ids of people by their `person_id`; None if nobody has one."""
    ids = []
    for person in persons:
        given = person.get("person_id", [-1])
        number = given[0] if isinstance(given, list) and len(given) == 1 else given
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not -1 <= number < 2**53 or number % 1:
            raise InputError(f"person_id is {given!r}; it should be a list with one whole number, [-1] for none")
        ids.append(int(number))
    return np.array(ids, np.int64) if any(number != -1 for number in ids) else None


def checked_people(people: object) -> People:
    """The people; UsageError if they are something else."""
    if not isinstance(people, People):
        raise UsageError(f"people is a {type(people).__name__}; give People, such as estimate_people returns")
    return people
