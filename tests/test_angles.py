"""Joint angles: of stick figures whose angles are known, in every direction and in the mirror."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import posecv
from posecv.angles import ANGLES, continued, joint_angles, sides_of
from posecv.errors import UsageError
from posecv.people import People
from posecv.skeletons import BODY_25, COCO

Floats = NDArray[np.float64]

# A posture: what each angle is, of somebody who faces right.
POSTURE = {
    "trunk": 12.0, "head": 20.0,
    "left_hip": 35.0, "right_hip": -18.0, "left_knee": 50.0, "right_knee": 8.0,
    "left_ankle": 15.0, "right_ankle": -22.0,
    "left_shoulder": 70.0, "right_shoulder": -30.0, "left_elbow": 95.0, "right_elbow": 20.0,
}  # fmt: skip


def ahead(degrees: float) -> Floats:
    """The direction of a segment that hangs down, swung forwards, to the right, by some degrees; y points down."""
    angle = np.radians(degrees)
    return np.array([np.sin(angle), np.cos(angle)])


def figure(posture: dict[str, float]) -> People:
    """Somebody of BODY_25 who faces right, by forward kinematics: each segment is swung from the one before."""
    at: dict[str, Floats] = {"mid_hip": np.array([300.0, 300.0])}
    up = -ahead(-posture["trunk"])  # swung forwards by the trunk's angle, seen from the hip
    at["neck"] = at["mid_hip"] + 100 * up
    head = -ahead(-posture["head"])
    for ear in ("left_ear", "right_ear"):
        at[ear] = at["neck"] + 40 * head
    at["nose"] = at["left_ear"] + np.array([18.0, 4.0])
    hanging = -posture["trunk"]  # how far the trunk's lower end is swung forwards
    for side in ("left", "right"):
        thigh = hanging + posture[f"{side}_hip"]
        shank = thigh - posture[f"{side}_knee"]
        foot = shank + 90 + posture[f"{side}_ankle"]
        at[f"{side}_hip"] = at["mid_hip"]
        at[f"{side}_knee"] = at["mid_hip"] + 80 * ahead(thigh)
        at[f"{side}_ankle"] = at[f"{side}_knee"] + 75 * ahead(shank)
        at[f"{side}_heel"] = at[f"{side}_ankle"]
        at[f"{side}_big_toe"] = at[f"{side}_heel"] + 40 * ahead(foot)
        upper = hanging + posture[f"{side}_shoulder"]
        at[f"{side}_shoulder"] = at["neck"]
        at[f"{side}_elbow"] = at["neck"] + 50 * ahead(upper)
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + 45 * ahead(upper + posture[f"{side}_elbow"])
    keypoints = np.zeros((1, 25, 3), np.float32)
    for name, place in at.items():
        keypoints[0, BODY_25.keypoints.index(name)] = *place, 1
    return People(keypoints, np.ones(1, np.float32), BODY_25)


def mirrored(people: People) -> People:
    """The same posture of somebody who faces left."""
    keypoints = people.keypoints.copy()
    keypoints[..., 0] = 640 - keypoints[..., 0]
    return replace(people, keypoints=np.where(people.keypoints[..., 2:] > 0, keypoints, 0).astype(np.float32))


def turned(people: People, degrees: float) -> People:
    """The figure, turned clockwise in the image round its hips."""
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    keypoints = people.keypoints.copy()
    keypoints[..., :2] = (people.keypoints[..., :2] - 300) @ matrix.T + 300
    return replace(people, keypoints=keypoints)


def values(people: People, sides: list[int] | None = None) -> dict[str, float]:
    angles = joint_angles(people, sides)
    return dict(zip(angles.names, angles.degrees[0].tolist(), strict=True))


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_the_angles_of_a_figure_are_those_it_was_made_with(scale: float, left: bool) -> None:
    posture = {name: scale * value for name, value in POSTURE.items()}
    people = mirrored(figure(posture)) if left else figure(posture)
    assert sides_of(people).tolist() == [-1 if left else 1]
    found = values(people)
    assert {name: found[name] for name in posture} == pytest.approx(posture, abs=0.5)
    for side in ("left", "right"):
        thigh = posture[f"{side}_hip"] - posture["trunk"]
        assert found[f"{side}_thigh"] == pytest.approx(thigh, abs=0.5)
        assert found[f"{side}_shank"] == pytest.approx(thigh - posture[f"{side}_knee"], abs=0.5)


@pytest.mark.parametrize("direction", range(-165, 181, 15))
@pytest.mark.parametrize("left", [False, True])
def test_joints_have_the_same_angles_however_the_body_is_turned(direction: int, left: bool) -> None:
    people = mirrored(figure(POSTURE)) if left else figure(POSTURE)
    side = -1 if left else 1
    found = values(turned(people, side * direction), [side])
    joints = [name for name in POSTURE if name not in ("trunk", "head")]
    assert {name: found[name] for name in joints} == pytest.approx({name: POSTURE[name] for name in joints}, abs=0.5)
    lean = (POSTURE["trunk"] + direction + 90) % 360 - 90
    assert found["trunk"] == pytest.approx(lean, abs=0.5)


@pytest.mark.parametrize("joint", ["left_elbow", "left_shoulder", "right_knee", "right_hip"])
def test_nothing_jumps_where_a_limb_passes_180_degrees(joint: str) -> None:
    degrees = np.arange(150, 211, 5)
    found = [values(figure({**POSTURE, joint: float(each)}), [1])[joint] for each in degrees]
    np.testing.assert_allclose(found, degrees, atol=0.5)


def test_angles_are_continued_over_whole_turns() -> None:
    before, now = np.array([260.0, -80.0, np.nan, 700.0]), np.array([-85.0, 265.0, 30.0, -30.0])
    np.testing.assert_allclose(continued(before, now), [275, -95, 30, 690])


def test_from_the_front_joints_have_no_sign_and_legs_open_outwards() -> None:
    people = figure(dict.fromkeys(POSTURE, 0.0))
    keypoints = people.keypoints.copy()
    for side, x in (("left", 1), ("right", -1)):  # the camera sees the person's left at the right of the image
        for name, away in (("shoulder", 30), ("hip", 15), ("knee", 35), ("ankle", 35), ("elbow", 60), ("wrist", 60)):
            keypoints[0, BODY_25.keypoints.index(f"{side}_{name}"), 0] += x * away
    people = replace(people, keypoints=keypoints)
    assert sides_of(people).tolist() == [0]
    found = values(people)
    assert found["left_thigh"] == pytest.approx(np.degrees(np.arctan2(20, 80)), abs=0.5)
    assert found["right_thigh"] == pytest.approx(found["left_thigh"], abs=0.1)
    assert found["left_shoulder"] == pytest.approx(np.degrees(np.arctan2(30, 50)), abs=0.5)
    assert found["right_elbow"] == pytest.approx(found["left_elbow"], abs=0.1)
    assert found["right_elbow"] > 0


def test_an_angle_is_missing_where_a_keypoint_is() -> None:
    people = figure(POSTURE)
    people.keypoints[0, BODY_25.keypoints.index("left_knee")] = 0
    found = values(people)
    missing = {name for name, value in found.items() if np.isnan(value)}
    assert missing == {"left_knee", "left_hip", "left_thigh", "left_shank", "left_ankle"}


def test_coco_has_no_feet_and_computes_the_hips_middle() -> None:
    source = figure(POSTURE)
    keypoints = np.stack([source.keypoints[:, BODY_25.keypoints.index(name)] for name in COCO.keypoints], axis=1)
    people = People(keypoints.astype(np.float32), source.scores, COCO)
    assert sides_of(people).tolist() == [1]  # by the nose and the ears
    found = values(people)
    assert np.isnan(found["left_ankle"])
    assert found["trunk"] == pytest.approx(12, abs=0.5)
    assert found["left_knee"] == pytest.approx(50, abs=0.5)


def test_several_people_and_nobody() -> None:
    both = np.concatenate([figure(POSTURE).keypoints, mirrored(figure(POSTURE)).keypoints])
    people = People(both, np.ones(2, np.float32), BODY_25)
    angles = posecv.joint_angles(people)
    assert angles.sides.tolist() == [1, -1]
    np.testing.assert_allclose(angles.of("left_knee"), [50, 50], atol=0.5)
    assert posecv.joint_angles(People.empty(COCO)).degrees.shape == (0, len(ANGLES))


def test_unknown_angles_and_a_wrong_number_of_sides_are_refused() -> None:
    with pytest.raises(UsageError, match="angle 'nose' is unknown; choose one of left_ankle"):
        joint_angles(figure(POSTURE)).of("nose")
    with pytest.raises(UsageError, match=r"sides has the shape \(2,\); \(1,\) is needed"):
        joint_angles(figure(POSTURE), [1, 1])
