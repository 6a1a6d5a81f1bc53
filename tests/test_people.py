"""People: an array with names."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import posecv
from posecv.people import People
from posecv.skeletons import COCO, HAND, SKELETONS, Skeleton


def three() -> People:
    """One with four keypoints, one with a single one, one with none."""
    keypoints = np.zeros((3, 18, 3), np.float32)
    keypoints[0, [0, 1, 4, 7]] = (10, 20, 0.9), (12, 30, 0.8), (4, 44, 0.3), (20, 41, 0.1)
    keypoints[1, 3] = (100, 50, 0.2)
    return People(keypoints, np.array([0.7, 0.2, 0], np.float32), COCO)


def test_people_are_counted_and_walked_over() -> None:
    people = three()
    assert len(people) == 3
    for person, keypoints, score in zip(people, people.keypoints, people.scores, strict=True):
        assert len(person) == 1
        np.testing.assert_array_equal(person.keypoints[0], keypoints)
        np.testing.assert_array_equal(person.scores, score)
    x, y, confidence = people.keypoints[0, 4]
    assert (x, y, confidence) == (4, 44, np.float32(0.3))


def test_a_keypoint_is_found_where_it_has_a_score() -> None:
    np.testing.assert_array_equal(three().found.sum(axis=1), [4, 1, 0])
    assert three().found[0, 4]


def test_a_box_holds_the_found_keypoints_and_no_more() -> None:
    boxes = three().boxes
    np.testing.assert_array_equal(boxes, [[4, 20, 16, 24], [100, 50, 0, 0], [0, 0, 0, 0]])
    assert boxes.dtype == np.float32


def test_missing_keypoints_do_not_pull_a_box_to_the_corner() -> None:
    keypoints = np.zeros((1, 18, 3), np.float32)
    keypoints[0, 5] = (-3, 7, 0.5)
    keypoints[0, 6] = (-1, 9, 0.5)
    np.testing.assert_array_equal(People(keypoints, np.ones(1, np.float32), COCO).boxes, [[-3, 7, 2, 2]])


def test_above_drops_keypoints_at_or_below_the_threshold_and_people_without_any() -> None:
    above = three().above(float(np.float32(0.3)))
    assert len(above) == 1
    np.testing.assert_array_equal(np.flatnonzero(above.found[0]), [0, 1])
    assert not above.keypoints[0, [4, 7]].any()
    np.testing.assert_array_equal(above.scores, np.array([0.7], np.float32))
    assert above.skeleton is COCO
    assert above.keypoints.dtype == np.float32


def test_above_zero_keeps_all_found_keypoints_and_above_one_nobody() -> None:
    people = three()
    np.testing.assert_array_equal(people.above(0).keypoints, people.keypoints[:2])
    assert len(people.above(1)) == 0
    assert people.above(1).keypoints.shape == (0, 18, 3)


def test_above_keeps_the_order() -> None:
    keypoints = np.full((5, 18, 3), 0.5, np.float32)
    keypoints[[1, 3], :, 2] = 0.1
    people = People(keypoints, np.arange(5, 0, -1, dtype=np.float32), COCO)
    np.testing.assert_array_equal(people.above(0.2).scores, [5, 3, 1])


def test_above_leaves_the_people_as_they_are() -> None:
    people = three()
    before = people.keypoints.copy()
    people.above(0.25).keypoints[:] = 9
    people.boxes[:] = 9
    np.testing.assert_array_equal(people.keypoints, before)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_nobody_has_the_right_shape(skeleton: Skeleton) -> None:
    nobody = People.empty(skeleton)
    assert len(nobody) == 0
    assert list(nobody) == []
    assert nobody.keypoints.shape == (0, len(skeleton.keypoints), 3)
    assert nobody.boxes.shape == (0, 4)
    assert nobody.found.shape == (0, len(skeleton.keypoints))
    assert len(nobody.above(0)) == 0
    assert nobody.keypoints.dtype == nobody.scores.dtype == nobody.boxes.dtype == np.float32


def test_the_fields_of_people_stay_what_they_are() -> None:
    with pytest.raises(FrozenInstanceError):
        three().scores = np.zeros(3, np.float32)  # type: ignore[misc]


def test_people_is_a_public_name() -> None:
    assert posecv.People is People


def test_some_of_the_people_keep_their_hands_and_faces() -> None:
    keypoints = np.zeros((3, 18, 3), np.float32)
    keypoints[:, 0, 2] = 0.1, 0.9, 0.5
    hands = np.arange(3 * 2 * 21 * 3, dtype=np.float32).reshape(3, 2, 21, 3)
    people = People(keypoints, np.array([3, 2, 1], np.float32), COCO, hands, hands[:, :1, :1].repeat(70, 1)[..., 0, :])
    some = people.above(0.4)
    assert some.hands is not None
    assert some.faces is not None
    np.testing.assert_array_equal(some.hands, hands[1:])
    np.testing.assert_array_equal(some.faces[:, 0], hands[1:, 0, 0])
    assert people[:1].scores.tolist() == [3]


def test_hands_on_their_own_come_best_first_and_know_their_sides() -> None:
    hands = np.zeros((3, 2, 21, 3), np.float32)
    hands[0, 1], hands[2, 0], hands[2, 1] = 0.3, 0.9, 0.6
    alone = replace(three(), hands=hands).only_hands()
    assert alone.skeleton is HAND
    assert alone.left is not None
    np.testing.assert_array_equal(alone.left, [True, False, False])
    np.testing.assert_allclose(alone.scores, [0.9, 0.6, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(alone.keypoints, hands[[2, 2, 0], [0, 1, 1]])
    some = alone[np.array([False, True, True])]
    assert some.left is not None
    assert some.left.tolist() == [False, False]
    assert len(three().only_hands()) == 0
