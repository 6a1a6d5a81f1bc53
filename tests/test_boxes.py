"""Squares for hands and faces, against OpenPose's rules put into numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from posecv.estimators.boxes import face_boxes, hand_boxes
from posecv.people import People
from posecv.skeletons import BODY_25, COCO, HAND, MPI, Skeleton


def person(skeleton: Skeleton, places: dict[str, tuple[float, float]], score: float = 0.9) -> People:
    keypoints = np.zeros((1, len(skeleton.keypoints), 3), np.float32)
    for name, place in places.items():
        keypoints[0, skeleton.keypoints.index(name)] = (*place, score)
    return People(keypoints, np.ones(1, np.float32), skeleton)


PROFILE: dict[str, tuple[float, float]] = {
    "neck": (100, 200), "nose": (130, 160), "right_eye": (120, 150), "right_ear": (100, 150),
}  # fmt: skip
ARM = {"left_shoulder": (100.0, 100.0), "left_elbow": (100.0, 160.0), "left_wrist": (140.0, 160.0)}


@pytest.mark.parametrize("skeleton", [COCO, BODY_25, MPI])
def test_a_hand_lies_a_third_of_the_forearm_beyond_the_wrist(skeleton: Skeleton) -> None:
    left, right = hand_boxes(person(skeleton, ARM))[0]
    side = 1.5 * max(40, 0.9 * 60)
    np.testing.assert_allclose(left, [140 + 0.33 * 40 - side / 2, 160 - side / 2, side], rtol=1e-6)
    np.testing.assert_array_equal(right, 0)


def test_a_long_forearm_sets_the_side() -> None:
    arm = ARM | {"left_wrist": (190.0, 160.0)}
    assert hand_boxes(person(COCO, arm, 0.04))[0, 0, 2] == pytest.approx(1.5 * 90)


def test_no_hand_without_a_whole_arm_or_of_no_size() -> None:
    assert not hand_boxes(person(COCO, ARM, 0.03)).any()
    assert not hand_boxes(person(COCO, {"left_wrist": (1, 1), "left_elbow": (9, 9)})).any()
    point = dict.fromkeys(ARM, (100.0, 100.0))
    assert not hand_boxes(person(COCO, point)).any()
    assert hand_boxes(People.empty(HAND)).shape == (0, 2, 3)


def square(middle: tuple[float, float], side: float) -> list[float]:
    return [middle[0] - side / 2, middle[1] - side / 2, side]


def test_a_face_from_the_front_is_the_mean_of_three_guesses() -> None:
    ears: dict[str, tuple[float, float]] = {"left_ear": (125, 145), "right_ear": (75, 145)}
    eyes: dict[str, tuple[float, float]] = {"left_eye": (110, 140), "right_eye": (90, 140)}
    people = person(COCO, {"neck": (100, 200), "nose": (100, 150), **eyes, **ears})
    y = ((200 + 150) / 2 + 140 + 145) / 3
    side = (2 * 50 + 3 * 20 + 2 * 50) / 3
    np.testing.assert_allclose(face_boxes(people)[0], square((100, y), side), rtol=1e-6)


def test_a_profile_is_guessed_from_the_side_that_is_seen() -> None:
    people = person(BODY_25, PROFILE)
    side = 0.85 * (np.hypot(10, 10) + np.hypot(30, 10) + np.hypot(30, 40))
    np.testing.assert_allclose(face_boxes(people)[0], square((350 / 3, 460 / 3), side), rtol=1e-6)


def test_a_profile_with_something_of_the_other_side_is_none() -> None:
    people = person(COCO, PROFILE | {"left_ear": (0, 0)})
    neck_and_nose = (115, 180), 2 * 50.0
    ears = (50, 75), 2 * np.hypot(100, 150)
    middle = np.mean([neck_and_nose[0], ears[0]], axis=0)
    side = (neck_and_nose[1] + ears[1]) / 2
    np.testing.assert_allclose(face_boxes(people)[0], square((middle[0], middle[1]), side), rtol=1e-6)


def test_a_face_of_mpi_lies_on_the_head() -> None:
    people = person(MPI, {"neck": (100, 200), "head": (100, 140)})
    np.testing.assert_allclose(face_boxes(people)[0], square((100, 140), 1.33 * 60), rtol=1e-6)


def test_faces_of_forty_pixels_or_less_and_unsure_keypoints_give_none() -> None:
    assert not face_boxes(person(COCO, {"neck": (100, 200), "nose": (100, 180)})).any()
    assert face_boxes(person(COCO, {"neck": (100, 200), "nose": (100, 179)})).any()
    assert not face_boxes(person(COCO, {"neck": (100, 200), "nose": (100, 100)}, 0.25)).any()
    assert face_boxes(People.empty(COCO)).shape == (0, 3)
