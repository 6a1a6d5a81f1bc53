"""Joint angles in the plane of the image, in the convention of sports science (Pose2Sim, Sports2D).

Joints: knee and elbow are 0 when straight and grow with flexion; hip is the thigh against the trunk, shoulder the upper
arm against the trunk, both 0 when the limb hangs down and positive forwards; ankle is the foot against the shank, 0 at
a right angle and positive when the toes come up. Segments against the vertical: trunk and head are 0 upright and
positive forwards; thigh and shank are 0 when they hang down and positive forwards.

Forwards is where the person faces (`sides_of`): to the right or to the left of the image. Of somebody who is seen from
the front or from behind, nobody can see what is forwards: joints have the size of the angle without a sign, trunk and
head are positive towards the right of the image, thigh and shank away from the middle of the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posecv.checks import known_arguments, short
from posecv.errors import UsageError
from posecv.people import People, checked_people

__all__ = ["ANGLES", "Angles", "continued", "joint_angles", "sides_of"]

Floats = NDArray[np.float64]

SIDES = "left", "right"
ANGLES = (
    *(f"{side}_{name}" for name in ("ankle", "knee", "hip", "shoulder", "elbow") for side in SIDES),
    "trunk", "head", *(f"{side}_{name}" for name in ("thigh", "shank") for side in SIDES),
)  # fmt: skip
SIDEWAYS = 0.5  # shoulders that are wider than this, relative to the trunk, are seen from the front or from behind
LOWEST = -90.0  # degrees; angles lie from here to 270, so that nothing jumps where a limb points up


@dataclass(frozen=True, eq=False)
class Angles:
    """The angles of the people of one frame.

    Attributes
    ----------
    degrees : (N, A) float64 array
        From -90 to 270, in the order of `names`; NaN if a keypoint is missing.
    sides : (N,) int array
        Where each person faces: 1 to the right of the image, -1 to the left, 0 to or from the camera, or unknown.
    names : tuple of str
        `ANGLES`.
    """

    degrees: Floats
    sides: NDArray[np.int_]
    names: tuple[str, ...] = ANGLES

    def of(self, name: str) -> Floats:
        """(N,) values of one angle; UsageError for an unknown name."""
        if name not in self.names:
            raise UsageError(f"angle {name!r} is unknown; choose one of {', '.join(self.names)}")
        return self.degrees[:, self.names.index(name)]


@known_arguments
def joint_angles(people: People, sides: Sequence[int] | NDArray[np.int_] | None = None) -> Angles:
    """The joint angles of people, in the plane of the image.

    Parameters
    ----------
    people : People
        Bodies.
    sides : (N,) integers
        Where each person faces, as in `Angles.sides`, if it is known better than from a single frame.

    Returns
    -------
    Angles

    Raises
    ------
    UsageError
        If `sides` has another length.

    Examples
    --------
    >>> from posecv.skeletons import COCO
    >>> joint_angles(People.empty(COCO)).degrees.shape
    (0, 16)
    """
    checked_people(people)
    try:
        chosen = sides_of(people) if sides is None else np.asarray(sides, np.int_)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"sides={short(sides)}: give one number for each person, 1, -1 or 0") from None
    if chosen.shape != (len(people),):
        raise UsageError(f"sides has the shape {chosen.shape}; ({len(people)},) is needed, one number for each person")
    points = _Points(people)
    columns = [_angle(points, name, chosen) for name in ANGLES]
    return Angles(_wrapped(np.stack(columns, axis=1)), chosen)


def sides_of(people: People) -> NDArray[np.int_]:
    """Where people face: (N,) 1 to the right of the image, -1 to the left, 0 to or from the camera, or unknown.

    Toes and heels tell it; without them the nose and the ears. Shoulders that are wide relative to the trunk are those
    of somebody who is seen from the front or from behind.
    """
    points = _Points(people)
    toes = points.mean("left_big_toe", "right_big_toe") - points.mean("left_heel", "right_heel")
    head = points["nose"] - points.mean("left_ear", "right_ear")
    forwards = np.where(np.isfinite(toes[:, 0]), toes[:, 0], head[:, 0])
    trunk = np.linalg.norm(points["neck"] - points["mid_hip"], axis=1)
    shoulders = np.abs(points["left_shoulder"] - points["right_shoulder"])[:, 0]
    frontal = shoulders > SIDEWAYS * trunk  # false if a shoulder is missing, as the far one often is
    known = np.isfinite(forwards) & ~frontal
    return np.where(known, np.sign(np.nan_to_num(forwards)), 0).astype(np.int_)


class _Points:
    """Keypoints by name: (N, 2) float64 positions, NaN where missing."""

    def __init__(self, people: People) -> None:
        self._names = people.skeleton.keypoints
        found = people.keypoints[..., 2:] > 0
        self._xy: Floats = np.where(found, people.keypoints[..., :2], np.nan).astype(np.float64)

    def __getitem__(self, name: str) -> Floats:
        if name in self._names:
            return self._xy[:, self._names.index(name)]
        if name == "mid_hip":
            return self._middle("left_hip", "right_hip")
        if name == "neck":
            return self._middle("left_shoulder", "right_shoulder")
        return np.full((len(self._xy), 2), np.nan)

    def _middle(self, one: str, other: str) -> Floats:
        return (self[one] + self[other]) / 2

    def mean(self, one: str, other: str) -> Floats:
        """The middle of two keypoints, or the one that was found."""
        a, b = self[one], self[other]
        return np.where(np.isnan(a), b, np.where(np.isnan(b), a, (a + b) / 2))


def _angle(points: _Points, name: str, sides: NDArray[np.int_]) -> Floats:
    """(N,) values of one angle in degrees, not wrapped yet."""
    side, _, joint = name.rpartition("_")
    trunk = points["mid_hip"] - points["neck"]                     # downwards
    if name == "trunk":
        return _lean(-trunk, sides)
    if name == "head":
        return _lean(points.mean("left_ear", "right_ear") - points["neck"], sides)
    thigh = points[f"{side}_knee"] - points[f"{side}_hip"]
    shank = points[f"{side}_ankle"] - points[f"{side}_knee"]
    if joint in ("thigh", "shank"):
        outwards = np.sign(points[f"{side}_hip"] - points["mid_hip"])[:, 0]
        return _swing(thigh if joint == "thigh" else shank, np.where(sides == 0, outwards, sides.astype(np.float64)))
    if joint == "knee":
        return _bend(thigh, shank, -sides)
    if joint == "hip":
        return _bend(trunk, thigh, sides)
    arm = points[f"{side}_elbow"] - points[f"{side}_shoulder"]
    if joint == "shoulder":
        return _bend(trunk, arm, sides)
    if joint == "elbow":
        return _bend(arm, points[f"{side}_wrist"] - points[f"{side}_elbow"], sides)
    foot = points[f"{side}_big_toe"] - points[f"{side}_heel"]
    return _bend(shank, foot, sides) - 90


def _bend(upper: Floats, lower: Floats, sides: NDArray[np.int_]) -> Floats:
    """Degrees from one segment to the next, positive where the second points forwards; without a sign for side 0."""
    across = upper[:, 0] * lower[:, 1] - upper[:, 1] * lower[:, 0]
    along = (upper * lower).sum(axis=1)
    turn = np.degrees(np.arctan2(across, along))                   # clockwise in the image
    return np.where(sides == 0, np.abs(turn), -turn * sides)


def _lean(upwards: Floats, sides: NDArray[np.int_]) -> Floats:
    """Degrees of a segment that points up from the vertical, positive forwards or, for side 0, to the right."""
    return np.degrees(np.arctan2(upwards[:, 0], -upwards[:, 1])) * np.where(sides == 0, 1, sides)


def _swing(downwards: Floats, forwards: Floats) -> Floats:
    """Degrees of a segment that points down from the vertical, positive forwards."""
    swing: Floats = np.degrees(np.arctan2(downwards[:, 0], downwards[:, 1]))
    return swing * forwards


def _wrapped(degrees: Floats) -> Floats:
    """The same angles from -90 to 270 degrees."""
    return (degrees - LOWEST) % 360 + LOWEST


def continued(before: Floats, now: Floats) -> Floats:
    """The angles now, plus or minus whole turns, so that they are nearest to those before."""
    turns: Floats = np.round((before - now) / 360)
    return now + 360 * np.nan_to_num(turns)
