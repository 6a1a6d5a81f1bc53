"""Hands and faces of people whose bodies are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from posecv.arrays import Array, Frame, checked_frame
from posecv.engines.network import Network
from posecv.errors import ModelError
from posecv.estimators import Estimator, Setting, check_settings
from posecv.estimators.boxes import face_boxes, hand_boxes
from posecv.estimators.single_pass import HAND_RANGE, MERGES, OneHand, Size
from posecv.result import Result
from posecv.skeletons import FACE, HAND, Skeleton

__all__ = ["Faces", "Hands", "HandsOfBodies", "WithParts", "check_bodies", "check_part"]


@dataclass(frozen=True)
class Hands:
    """Finds the hands of people at the ends of their arms.

    Attributes
    ----------
    network : Network
        A hand network; otherwise ModelError.
    threshold : float
        Minimum mean score of a hand's keypoints, since hand networks find a hand in everything. By default the model's
        `gate`.
    net_size, scale_number, scale_range, merge
        As in `posecv.estimators.single_pass.OneHand`.
    """

    network: Network
    threshold: float | None = None
    net_size: Size | None = None
    scale_number: int = 1
    scale_range: float = HAND_RANGE
    merge: str = MERGES[0]

    def __post_init__(self) -> None:
        check_settings(self)
        check_part(self.network, "hand")
        _looking(self)

    def added(self, result: Result) -> Result:
        """The result with `hands` of its people; the time spent is added to its seconds."""
        boxes = hand_boxes(result.people)
        hands = np.zeros((len(boxes), 2, len(HAND.keypoints), 3), np.float32)
        seconds = dict(result.seconds)
        for person, side in np.argwhere(boxes[..., 2] > 0):
            hands[person, side] = _part(self, result.frame, boxes[person, side], side == 0, seconds)
        return replace(result, people=replace(result.people, hands=hands), seconds=seconds)


@dataclass(frozen=True)
class Faces:
    """Finds the faces of people at their heads; the attributes are those of `Hands`."""

    network: Network
    threshold: float | None = None
    net_size: Size | None = None
    scale_number: int = 1
    scale_range: float = HAND_RANGE
    merge: str = MERGES[0]

    def __post_init__(self) -> None:
        check_settings(self)
        check_part(self.network, "face")
        _looking(self)

    def added(self, result: Result) -> Result:
        """The result with `faces` of its people; the time spent is added to its seconds."""
        boxes = face_boxes(result.people)
        faces = np.zeros((len(boxes), len(FACE.keypoints), 3), np.float32)
        seconds = dict(result.seconds)
        for person in np.flatnonzero(boxes[:, 2] > 0):
            faces[person] = _part(self, result.frame, boxes[person], False, seconds)
        return replace(result, people=replace(result.people, faces=faces), seconds=seconds)


@dataclass(frozen=True)
class WithParts:
    """Finds bodies, then their hands and faces.

    Attributes
    ----------
    bodies : Estimator
    parts : tuple of Hands and Faces
    """

    bodies: Estimator
    parts: tuple[Hands | Faces, ...]

    def __post_init__(self) -> None:
        check_bodies(self.bodies.skeleton)

    @property
    def skeleton(self) -> Skeleton:
        """The bodies' skeleton."""
        return self.bodies.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The people with hands and faces; overrides are settings of `bodies`."""
        result = self.bodies(frame, before, **overrides)
        for part in self.parts:
            result = part.added(result)
        return result


@dataclass(frozen=True)
class HandsOfBodies:
    """Finds people, then their hands; the hands are the people of the result.

    Attributes
    ----------
    bodies : Estimator
    hands : Hands
    """

    bodies: Estimator
    hands: Hands

    def __post_init__(self) -> None:
        check_bodies(self.bodies.skeleton)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of hands."""
        return self.hands.network.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The hands, best first; overrides are settings of `bodies`."""
        result = self.hands.added(self.bodies(frame, before, **overrides))
        return replace(result, people=result.people.only_hands())


def check_bodies(skeleton: Skeleton) -> None:
    """Raise ModelError for people who are hands or faces: they have no arms and heads."""
    if skeleton.name in (HAND.name, FACE.name):
        raise ModelError(f"hands and faces are located by the keypoints of bodies, but the people are {skeleton.name}s")


def check_part(network: Network, part: str) -> None:
    """Raise ModelError if a network is not for hands, or not for faces: `part` is "hand" or "face"."""
    if network.skeleton.name != part:
        name = network.model.name
        raise ModelError(f"{name} is a network for {network.skeleton.name}, not for {part}s; try light_{part}")


def _looking(part: Hands | Faces) -> OneHand:
    """The estimator for one box, with the settings of a part."""
    shared = {each.name for each in fields(OneHand)} & {each.name for each in fields(part)}
    return OneHand(**{name: getattr(part, name) for name in sorted(shared)})


def _part(part: Hands | Faces, frame: Frame | None, square: Array, left: bool, seconds: dict[str, float]) -> Array:
    """(K, 3) keypoints found in a square of the frame; zeros if it lies outside, or nothing was found."""
    x, y, side = map(float, square)
    frame = checked_frame(frame)
    height, width = frame.shape[:2]
    nothing = np.zeros((len(part.network.skeleton.keypoints), 3), np.float32)
    if x >= width or y >= height or x + side <= 0 or y + side <= 0:
        return nothing
    result = replace(_looking(part), box=(x, y, side, side), left=bool(left))(frame)
    _add(seconds, result.seconds)
    gate = part.network.model.gate if part.threshold is None else part.threshold
    found = result.people.keypoints[0] if len(result.people) else nothing
    return found if found[:, 2].mean() >= gate else nothing


def _add(seconds: dict[str, float], more: Mapping[str, float]) -> None:
    for step, value in more.items():
        seconds[step] = seconds.get(step, 0.0) + value
