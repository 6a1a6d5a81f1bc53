"""People: an array with names."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

import posecv
from figures import someone
from posecv.errors import InputError, ModelError, UsageError
from posecv.people import People
from posecv.skeletons import BODY_25, COCO, COCO_17, FACE, HAND, MPI, SKELETONS, Skeleton


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


# --- some of the people -----------------------------------------------------------------------------------------------


def whole(count: int = 3) -> People:
    """People with hands, faces and sides, all of their numbers different; scores are at most 1, as in records."""
    rng = np.random.default_rng(count)
    keypoints, hands, faces = (
        rng.uniform(1, 100, (count, *shape, 3)).astype(np.float32) for shape in ((18,), (2, 21), (70,))
    )
    for part in (keypoints, hands, faces):
        part[..., 2] /= 100
    left = np.arange(count) % 2 == 0
    return People(keypoints, np.arange(count, 0, -1, dtype=np.float32), COCO, hands, faces, left)


def assert_are(some: People, people: People, which: list[int]) -> None:
    """Whether `some` are these of the people, with everything that belongs to them."""
    assert some.skeleton is people.skeleton
    for name in ("keypoints", "scores", "hands", "faces", "left"):
        expected = getattr(people, name)
        np.testing.assert_array_equal(getattr(some, name), expected[which])


@pytest.mark.parametrize(("index", "which"), [(0, 0), (2, 2), (-1, 2), (-3, 0), (np.int64(1), 1)])
def test_an_index_gives_people_of_one_with_all_that_is_theirs(index: int, which: int) -> None:
    people = whole()
    assert len(people[index]) == 1
    assert_are(people[index], people, [which])


@pytest.mark.parametrize("index", [3, -4, 100])
def test_an_index_of_nobody_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"index {index} is out of range for 3 people"):
        whole()[index]
    with pytest.raises(IndexError):
        People.empty(COCO)[0]


@pytest.mark.parametrize(
    ("chosen", "which"),
    [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (slice(5, 9), []),
        (np.array([True, False, True]), [0, 2]),
        (np.array([2, 0, 2]), [2, 0, 2]),
        ([1], [1]),
        (np.zeros(0, int), []),
    ],
    ids=str,
)
def test_a_slice_a_mask_and_indices_give_several(chosen: slice, which: list[int]) -> None:
    assert_are(whole()[chosen], whole(), which)


@pytest.mark.parametrize("index", [np.array(1), np.array(-2)], ids=str)
def test_an_array_of_no_dimension_is_an_index(index: Any) -> None:
    assert_are(whole()[index], whole(), [int(index)])


@pytest.mark.parametrize("index", [None, ..., "nose", 1.0, np.zeros((2, 2), int), np.array(1.0), {0}], ids=str)
def test_what_does_not_select_people_is_an_index_error(index: Any) -> None:
    with pytest.raises(IndexError, match="people are selected by an index, a slice, a mask or a list of indices"):
        whole()[index]


@pytest.mark.parametrize("skeleton", ["coco", None, type(COCO)], ids=str)
def test_something_else_than_a_skeleton_is_refused(skeleton: Any) -> None:
    with pytest.raises(UsageError, match=r"is not a Skeleton; give one such as posecv.skeletons.COCO$"):
        People.from_openpose({"people": []}, skeleton)


def test_a_mask_of_another_length_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        whole()[np.array([True, False])]


def test_a_loop_gives_each_person_alone() -> None:
    people = whole(4)
    for number, person in enumerate(people):
        assert_are(person, people, [number])
    assert sum(1 for _ in people) == 4


def test_what_was_not_looked_for_stays_unknown() -> None:
    person = someone()[0]
    assert (person.hands, person.faces, person.left) == (None, None, None)


# --- OpenPose's records and COCO's results ----------------------------------------------------------------------------


def read_again(people: People) -> People:
    """What is read of a record that went through a file."""
    return People.from_openpose(json.loads(json.dumps(people.to_openpose())), people.skeleton)


@pytest.mark.parametrize("skeleton", [COCO, BODY_25, MPI, FACE], ids=repr)
def test_an_openpose_record_brings_the_same_people_back(skeleton: Skeleton) -> None:
    people = someone(skeleton, score=0.3, count=2, missing=(1, 5))
    people.keypoints[1] += np.float32(0.1)
    again = read_again(people)
    np.testing.assert_array_equal(again.keypoints, people.keypoints)
    np.testing.assert_allclose(again.scores, people.keypoints[..., 2].mean(axis=1), rtol=1e-6)
    assert (again.hands, again.faces, again.left) == (None, None, None)
    assert again.skeleton is skeleton
    assert again.keypoints.dtype == again.scores.dtype == np.float32


def test_hands_in_a_record_keep_their_sides() -> None:
    hands = replace(someone(HAND, count=3), left=np.array([False, True, False]))
    hands.keypoints[:, :, 0] += np.arange(3, dtype=np.float32)[:, None]
    again = read_again(hands)
    np.testing.assert_array_equal(again.keypoints, hands.keypoints)
    assert again.left is not None
    assert again.left.tolist() == [False, True, False]
    right = read_again(replace(hands, left=None)).left
    assert right is not None
    assert not right.any()


def test_hands_and_faces_go_along_with_their_bodies() -> None:
    people = replace(whole(), left=None)
    assert people.hands is not None
    assert people.faces is not None
    people.hands[1, 0] = people.faces[2] = 0  # not found
    again = read_again(people)
    for name in ("keypoints", "hands", "faces"):
        np.testing.assert_array_equal(getattr(again, name), getattr(people, name))


def test_the_hands_of_bodies_in_a_record_are_read_as_hands_on_their_own() -> None:
    people = replace(whole(2), left=None)
    assert people.hands is not None
    alone = People.from_openpose(people.to_openpose(), HAND)
    np.testing.assert_array_equal(alone.keypoints, people.hands.reshape(4, 21, 3))
    assert alone.left is not None
    assert alone.left.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(People.from_openpose(people.to_openpose(), FACE).keypoints, people.faces)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_nobody_comes_back_as_nobody(skeleton: Skeleton) -> None:
    nobody = read_again(People.empty(skeleton))
    assert nobody.keypoints.shape == (0, len(skeleton.keypoints), 3)
    assert nobody.scores.shape == (0,)
    assert nobody.left is None or nobody.left.shape == (0,)


def test_keypoints_that_are_no_numbers_are_missing_in_a_record() -> None:
    people = someone()
    people.keypoints[0, 3, 1] = np.nan
    assert not read_again(people).keypoints[0, 3].any()


BODY = "pose_keypoints_2d"
WHOLE = [1.0] * 54


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "no list of 'people'"),
        ([], "no list of 'people'"),
        ({}, "no list of 'people'"),
        ({"people": None}, "no list of 'people'"),
        ({"people": {BODY: WHOLE}}, "no list of 'people'"),
        ({"people": "somebody"}, "no list of 'people'"),
        ({"people": [WHOLE]}, "no list of 'people'"),
        ({"people": [{}]}, f"a person has no {BODY}"),
        ({"people": [{BODY: WHOLE}, {"pose_keypoints": WHOLE}]}, f"a person has no {BODY}"),
        ({"people": [{BODY: [1.0] * 75}]}, f"{BODY} holds 75 numbers; coco has 18 keypoints, 54"),
        ({"people": [{BODY: 54}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: "words"}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: ["nose"] * 54}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: [None] * 54}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: [{}] * 54}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: [[1, 2, 3]] * 18}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: [[1, 2], [3]]}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: [*WHOLE[1:], float("nan")]}]}, f"{BODY} is not a list of numbers"),
        ({"people": [{BODY: [*WHOLE[1:], 1e39]}]}, f"{BODY} is not a list of numbers"),  # more than a float32
        ({"people": [{BODY: WHOLE, "hand_left_keypoints_2d": [1.0]}]}, "hand_left_keypoints_2d holds 1 numbers; hand"),
        ({"people": [{BODY: WHOLE, "face_keypoints_2d": [1.0]}]}, "face_keypoints_2d holds 1 numbers; face"),
    ],
)
def test_what_is_no_openpose_record_is_refused_in_one_line(record: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        People.from_openpose(record, COCO)
    assert "\n" not in str(caught.value)


def test_coco_s_results_hold_its_17_keypoints_in_its_order() -> None:
    people = someone(score=0.4, count=2, missing=[COCO.keypoints.index("left_knee")])
    results = people.to_coco()
    assert [sorted(each) for each in results] == [["category_id", "keypoints", "score"]] * 2
    for result in results:
        assert result["category_id"] == 1
        assert result["score"] == pytest.approx(0.4)
        keypoints = dict(zip(COCO_17, np.reshape(result["keypoints"], (17, 3)).tolist(), strict=True))
        for name, (x, y, found) in keypoints.items():
            at = people.keypoints[0, COCO.keypoints.index(name)]
            assert (x, y, found) == ((-1, -1, 0) if name == "left_knee" else (at[0], at[1], 1))
    assert People.empty(COCO).to_coco() == []


@pytest.mark.parametrize("skeleton", [MPI, HAND, FACE], ids=repr)
def test_without_coco_s_keypoints_there_are_none_of_its_results(skeleton: Skeleton) -> None:
    with pytest.raises(ModelError, match=f"need 17 keypoints, but {skeleton.name} has no "):
        People.empty(skeleton).to_coco()


def test_people_who_are_too_weak_too_small_or_have_too_few_keypoints_are_left_out() -> None:
    keypoints = np.zeros((4, 18, 3), np.float32)
    for person, (count, height) in enumerate([(18, 100), (3, 100), (18, 20), (18, 100)]):
        keypoints[person, :count, 1] = np.linspace(10, 10 + height, count)
        keypoints[person, :count, 2] = 0.5
    people = People(keypoints, np.array([0.9, 0.8, 0.7, 0.05], np.float32), COCO)
    assert people.certain().scores.tolist() == people.scores.tolist()
    assert people.certain(0.05).scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert people.certain(keypoints=4).scores.tolist() == pytest.approx([0.9, 0.7, 0.05])
    assert people.certain(height=21).scores.tolist() == pytest.approx([0.9, 0.8, 0.05])
    assert len(people.certain(0.06, 4, 30)) == 1
