"""A frame in, People out, with networks whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import posecv
from networks import RADIUS, black, pack_maps, packed_network, paint_person, painted_network, standing_person
from posecv.decoding import decode_people, decode_person
from posecv.engines.network import Network, load_network
from posecv.errors import InputError, ModelError, UsageError
from posecv.estimators import Estimator
from posecv.estimators.boxes import hand_boxes
from posecv.estimators.functions import (
    estimate_faces,
    estimate_hand,
    estimate_hands,
    estimate_people,
    estimate_person,
)
from posecv.estimators.single_pass import Everybody, OneHand, OnePerson
from posecv.people import People
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI, Skeleton
from scenes import paint_maps, scene

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]

PAINTED = 0.6  # network pixels that a painted keypoint's peak may lie beside it


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Reads maps that a picture carries."""
    return load_network(*packed_network(tmp_path_factory.mktemp("packed"), COCO), device="cpu")


# ----------------------------------------------------------------------------------------------------- many people


def test_keypoints_are_cells_turned_to_pixels_and_half_a_pixel_on(packed: Network) -> None:
    """In a frame as large as the input; a frame's pixel 0 is the input's."""
    maps = scene("5 people").maps
    in_cells = decode_people(maps, COCO)
    people = estimate_people(packed, pack_maps(maps), net_size="656x368")
    expected = np.where(in_cells.found[..., None], in_cells.keypoints[..., :2] * 8 + 3.5 + 0.5, 0)
    np.testing.assert_allclose(people.keypoints[..., :2], expected, atol=0.02)
    np.testing.assert_allclose(people.keypoints[..., 2], in_cells.keypoints[..., 2], atol=1e-3)
    np.testing.assert_allclose(people.scores, in_cells.scores, atol=1e-3)
    assert people.keypoints.dtype == people.scores.dtype == np.float32


def test_no_keypoint_lies_outside_the_picture(packed: Network) -> None:
    people = np.zeros((1, 18, 3), np.float32)
    people[0, 0] = (81, 20, 0.9)  # a nose in the last column, at pixel 651.5
    frame = np.ascontiguousarray(pack_maps(paint_maps(people, COCO))[:, :652])
    (whole,) = decode_person(paint_maps(people, COCO), COCO).keypoints
    assert whole[0, 0] * 8 + 3.5 + 0.5 > 651
    (cut,) = estimate_person(packed, frame, net_size="656x368").keypoints
    assert cut[0, 0] == 651
    assert cut[0, 1] == pytest.approx(20 * 8 + 3.5 + 0.5, abs=0.6)


def test_what_is_missing_is_zero_and_what_is_found_lies_inside(packed: Network) -> None:
    people = estimate_people(packed, pack_maps(scene("cut by the border").maps), net_size="656x368")
    assert not people.found.all()
    assert not people.keypoints[~people.found].any()
    found = people.keypoints[people.found]
    assert found.min() >= 0
    assert (found[:, :2].max(axis=0) <= (655, 367)).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.2])
@pytest.mark.parametrize("skeleton", [COCO, BODY_25, MPI], ids=repr)
def test_painted_people_are_found_where_they_were_painted(tmp_path: Path, skeleton: Skeleton, scale: float) -> None:
    network = load_network(*painted_network(tmp_path, skeleton), device="cpu")
    frame = black(round(500 * scale), round(368 * scale))
    people = [standing_person(skeleton, x * scale, 42 * scale, scale) for x in (150, 340)]
    for person in people:
        paint_person(frame, person, skeleton, radius=RADIUS * scale)
    found = estimate_people(network, frame)
    assert len(found) == 2
    order = np.argsort(found.keypoints[:, 1, 0])
    for person, expected in zip(found.keypoints[order], people, strict=True):
        np.testing.assert_allclose(person[:, :2] - 0.5, expected[:, :2], atol=(PAINTED + 0.1) * max(scale, 1))


def test_a_missing_keypoint_is_nothing_at_all(painted: Network) -> None:
    person = standing_person(COCO, 180, 44)
    person[4] = 0
    people = estimate_people(painted, paint_person(black(368, 368), person, COCO))
    assert len(people) == 1
    assert not people.keypoints[0, 4].any()
    assert people.found[0].sum() == 17


def test_people_come_in_order_of_falling_score(painted: Network) -> None:
    frame = black(656, 368)
    for x, strength in ((120, 0.7), (320, 1.0), (520, 0.85)):
        paint_person(frame, standing_person(COCO, x, 44) * np.array([1, 1, strength], np.float32), COCO)
    people = estimate_people(painted, frame)
    assert len(people) == 3
    assert people.scores[0] > people.scores[1] > people.scores[2]
    np.testing.assert_allclose(people.keypoints[:, 0, 0], [320, 520, 120], atol=2)


def test_in_a_black_picture_there_is_nobody(painted: Network) -> None:
    for people in (estimate_people(painted, black(300, 200)), estimate_person(painted, black(300, 200))):
        assert len(people) == 0
        assert people.skeleton is COCO


def test_thresholds_reach_the_decoder(painted: Network) -> None:
    frame = paint_person(black(368, 368), standing_person(COCO, 180, 44) * np.array([1, 1, 0.6], np.float32), COCO)
    assert len(estimate_people(painted, frame)) == 1
    assert len(estimate_people(painted, frame, nms_threshold=0.7)) == 0
    assert len(estimate_people(painted, frame, min_subset_cnt=19)) == 0
    with pytest.raises(UsageError, match=r"unknown setting nonsense; choose one of net_size, .*nms_threshold"):
        estimate_people(painted, frame, nonsense=1)


def test_the_net_size_is_the_inputs(painted: Network) -> None:
    """Half the size: dots of twice the radius."""
    frame = paint_person(black(736, 736), standing_person(COCO, 360, 90, 2), COCO, radius=2 * RADIUS)
    for net_size in ("-1x368", "368x368", 368, (368, 368)):
        people = estimate_people(painted, frame, net_size=net_size)
        np.testing.assert_allclose(people.keypoints[0, 0, :2], (360.5, 90.5), atol=2 * PAINTED + 0.2)
    with pytest.raises(UsageError):
        estimate_people(painted, frame, net_size="370")


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (10, 1000)])
def test_pictures_of_a_pixel_and_of_a_line_have_nobody(painted: Network, size: tuple[int, int]) -> None:
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    assert len(estimate_people(painted, frame, net_size="-1x160")) == 0


# ------------------------------------------------------------------------------------------------------- one person


def test_the_only_person_is_found_where_it_was_painted(painted: Network) -> None:
    expected = standing_person(COCO, 180, 44)
    people = estimate_person(painted, paint_person(black(368, 368), expected, COCO))
    assert len(people) == 1
    np.testing.assert_allclose(people.keypoints[0, :, :2] - 0.5, expected[:, :2], atol=PAINTED + 0.1)
    np.testing.assert_allclose(people.keypoints[0, :, 2], 1, atol=0.03)


def test_the_only_person_has_the_same_keypoints_as_the_one_found_among_many(painted: Network) -> None:
    frame = paint_person(black(500, 400), standing_person(COCO, 180, 44), COCO)
    one, many = estimate_person(painted, frame), estimate_people(painted, frame)
    np.testing.assert_allclose(one.keypoints, many.keypoints, atol=0.01)


def test_the_threshold_of_one_person_is_a_tenth_unless_it_is_given(painted: Network) -> None:
    person = standing_person(COCO, 180, 44)
    person[4, 2], person[7, 2] = 0.08, 0.2
    frame = paint_person(black(368, 368), person, COCO)
    assert np.flatnonzero(~estimate_person(painted, frame).found[0]).tolist() == [4]
    assert estimate_person(painted, frame, threshold=0.05).found.all()
    assert np.flatnonzero(~estimate_person(painted, frame, threshold=0.5).found[0]).tolist() == [4, 7]


# ------------------------------------------------------------------------------------------------------------ hands


def assert_hand(people: People, expected: Array, tolerance: float) -> None:
    assert len(people) == 1
    assert people.keypoints.shape == (1, 21, 3)
    np.testing.assert_allclose(people.keypoints[0, :, :2], expected[:, :2], atol=tolerance)


def test_a_hand_in_a_picture_is_found_where_it_was_painted(hand: Network) -> None:
    expected = standing_person(HAND, 130.2, 88.6)
    assert_hand(estimate_hand(hand, paint_person(black(400, 368), expected, HAND)), expected, PAINTED + 0.1)


@pytest.mark.parametrize("side", [184, 368, 736])
@pytest.mark.parametrize("shape", [(1, 1), (1, 0.6), (0.5, 1)])
def test_a_hand_in_a_box_of_any_shape_is_found_where_it_was_painted(
    hand: Network, side: int, shape: tuple[float, float]
) -> None:
    """The box grows to the square round its centre, which becomes 368 x 368 network pixels."""
    scale = side / 368
    box = (60.0, 40.0, side * shape[0], side * shape[1])
    centre = (box[0] + box[2] / 2, box[1] + box[3] / 2)
    expected = standing_person(HAND, centre[0] - 50 * scale, centre[1] - 48 * scale, scale)
    frame = paint_person(black(900, 860), expected, HAND, radius=RADIUS * scale)
    assert_hand(estimate_hand(hand, frame, box), expected, (PAINTED + 0.2) * max(scale, 1))


@pytest.mark.parametrize("box", [None, (90.0, 60.0, 184.0, 100.0)])
def test_a_left_hand_is_the_right_hand_of_the_mirrored_picture(
    hand: Network, box: tuple[float, float, float, float] | None
) -> None:
    scale = 0.5 if box else 1.0
    frame = paint_person(black(401, 368), standing_person(HAND, 130, 70, scale), HAND, radius=RADIUS * scale)
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    right = estimate_hand(hand, frame, box)
    other = None if box is None else (400 - box[0] - box[2], *box[1:])  # pixel x becomes pixel 400 - x
    left = estimate_hand(hand, mirrored, other, left=True)
    assert right.keypoints[0, :, 2].min() > 0.5
    np.testing.assert_allclose(left.keypoints[0, :, 0], 400 - right.keypoints[0, :, 0], atol=0.02)
    np.testing.assert_allclose(left.keypoints[0, :, 1:], right.keypoints[0, :, 1:], atol=0.02)


def test_a_model_s_own_side_is_the_default_size_of_its_input(hand: Network, painted: Network) -> None:
    frame = paint_person(black(400, 368), standing_person(HAND, 130, 90), HAND, radius=2 * RADIUS)
    small = replace(hand, model=replace(hand.model, net_side=192))
    for box, size in ((None, "-1x192"), ((60, 20, 300, 300), "192x192")):
        expected = estimate_hand(hand, frame, box, net_size=size)
        np.testing.assert_array_equal(estimate_hand(small, frame, box).keypoints, expected.keypoints)
        assert (estimate_hand(hand, frame, box).keypoints != expected.keypoints).any()
    frame = paint_person(black(400, 368), standing_person(COCO, 130, 44), COCO)
    small = replace(painted, model=replace(painted.model, net_side=256))
    for estimate in (estimate_people, estimate_person):
        expected = estimate(painted, frame, net_size="-1x256")
        np.testing.assert_array_equal(estimate(small, frame).keypoints, expected.keypoints)


def test_a_box_may_stick_out_of_the_picture(hand: Network) -> None:
    expected = standing_person(HAND, 40, 30)
    frame = paint_person(black(300, 280), expected, HAND)
    assert_hand(estimate_hand(hand, frame, (-60, -70, 368, 368)), expected, PAINTED + 0.2)


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 10), (0, 0, 10, -1), (200, 0, 10, 10), (0, 100, 10, 10), (-10, 0, 10, 10), (0, -30, 10, 20)]
)
def test_a_box_without_a_pixel_of_the_picture_is_refused(hand: Network, box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="200 x 100") as caught:
        estimate_hand(hand, black(200, 100), box)  # type: ignore[arg-type]
    assert ",".join(f"{value:g}" for value in box) in str(caught.value)


def test_a_hand_has_all_its_keypoints_however_weak(hand: Network) -> None:
    weak = standing_person(HAND, 60, 50) * np.array([1, 1, 0.06], np.float32)
    people = estimate_hand(hand, paint_person(black(240, 240), weak, HAND), net_size="240x240")
    assert len(people) == 1
    assert people.found.all()
    assert people.keypoints[..., 2].max() < 0.1


# --------------------------------------------------------------------------------------------------- what is common


def somebody_reaching(mirrored: bool = False) -> People:
    """A right arm whose hand's square is 240 wide round 352.8, 200; or, mirrored in 600 pixels, a left one."""
    body = np.zeros((1, 18, 3), np.float32)
    for name, x in (("shoulder", 90), ("elbow", 140), ("wrist", 300)):
        side = "left" if mirrored else "right"
        body[0, COCO.keypoints.index(f"{side}_{name}")] = (600 - 1 - x if mirrored else x, 200, 0.9)
    return People(body, np.ones(1, np.float32), COCO)


@pytest.mark.parametrize("left", [False, True])
def test_the_hand_of_an_arm_is_found_where_it_was_painted(hand: Network, left: bool) -> None:
    expected = standing_person(HAND, 305, 150)
    frame = paint_person(black(600, 400), expected, HAND)
    if left:
        frame = np.ascontiguousarray(frame[:, ::-1])
        expected[:, 0] = 600 - 1 - expected[:, 0]
    people = estimate_hands(hand, frame, somebody_reaching(left), net_size="240x240")
    assert people.hands is not None
    found, none = people.hands[0] if left else people.hands[0, ::-1]
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=PAINTED + 0.6)
    assert not none.any()
    assert people.faces is None


def test_a_crop_without_a_hand_gives_none(hand: Network) -> None:
    for strength in (0, 0.1):
        weak = standing_person(HAND, 305, 150) * np.array([1, 1, strength], np.float32)
        frame = paint_person(black(600, 400), weak, HAND)
        people = estimate_hands(hand, frame, somebody_reaching(), net_size="240x240")
        assert people.hands is not None
        assert not people.hands.any()
        found = estimate_hands(hand, frame, somebody_reaching(), net_size="240x240", threshold=0.05).hands
        assert found is not None
        assert found.any() == (strength > 0)


def test_the_gate_is_the_model_s_own_unless_another_is_given(hand: Network) -> None:
    """Of a hand that is painted with half the strength."""
    half = standing_person(HAND, 305, 150) * np.array([1, 1, 0.5], np.float32)
    frame = paint_person(black(600, 400), half, HAND)
    assert hand.model.gate == 0.2
    for gate, threshold, found in ((0.45, None, True), (0.55, None, False), (0.55, 0.45, True), (0.45, 0.55, False)):
        network = replace(hand, model=replace(hand.model, gate=gate))
        hands = estimate_hands(network, frame, somebody_reaching(), threshold=threshold, net_size="240x240").hands
        assert hands is not None
        assert hands.any() == found


def test_a_hand_of_a_body_is_looked_for_in_several_boxes(hand: Network) -> None:
    frame = paint_person(black(600, 400), standing_person(HAND, 305, 150), HAND)
    body = somebody_reaching()
    x, y, side = map(float, hand_boxes(body)[0, 1])
    options: dict[str, Any] = {"net_size": "240x240", "scale_number": 3, "scale_range": 0.3}
    for merge in ("best", "mean"):
        hands = estimate_hands(hand, frame, body, merge=merge, **options).hands
        alone = estimate_hand(hand, frame, (x, y, side, side), merge=merge, **options)
        assert hands is not None
        np.testing.assert_array_equal(hands[0, 1], alone.keypoints[0])


def test_hands_beyond_the_picture_and_of_nobody_are_none(hand: Network) -> None:
    people = estimate_hands(hand, black(200, 100), somebody_reaching(), net_size="240x240")
    assert people.hands is not None
    assert not people.hands.any()
    nobody = estimate_hands(hand, black(200, 100), People.empty(COCO))
    assert nobody.hands is not None
    assert nobody.hands.shape == (0, 2, 21, 3)


def test_the_face_of_a_body_is_found_where_it_was_painted(tmp_path: Path) -> None:
    network = load_network(*painted_network(tmp_path, FACE), device="cpu")
    body = np.zeros((1, 18, 3), np.float32)
    body[0, 0], body[0, 1] = (300, 90, 0.9), (300, 310, 0.9)  # nose and neck: a square of 440 round 300, 200
    expected = standing_person(FACE, 200, 110)
    frame = paint_person(black(600, 440), expected, FACE)
    people = estimate_faces(network, frame, People(body, np.ones(1, np.float32), COCO), net_size="448x448")
    assert people.faces is not None
    np.testing.assert_allclose(people.faces[0, :, :2], expected[:, :2], atol=PAINTED + 0.6)


@pytest.mark.parametrize("made", [Everybody, OnePerson, OneHand])
def test_the_seconds_of_network_and_decoding_are_told(
    painted: Network, hand: Network, made: Callable[..., Estimator]
) -> None:
    estimator = made(hand if made is OneHand else painted, net_size=160)
    seconds = estimator(black(160, 160)).seconds
    assert set(seconds) == {"network", "decoding"}
    assert all(value >= 0 for value in seconds.values())


@pytest.mark.parametrize(
    "frame",
    [
        None,
        "team.jpg",
        [[[0, 0, 0]]],
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 1), np.uint8),
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((20, 30, 3), np.float32),
        np.zeros((20, 30, 3), np.uint16),
        np.zeros((0, 30, 3), np.uint8),
        np.zeros((20, 0, 3), np.uint8),
        np.zeros((1, 20, 30, 3), np.uint8),
    ],
    ids=["None", "name", "list", "grey", "one colour", "alpha", "float", "16 bits", "no rows", "no columns", "batch"],
)
def test_what_is_no_frame_is_refused_with_what_it_is(painted: Network, hand: Network, frame: object) -> None:
    estimates: list[tuple[Callable[..., People], Network]] = [
        (estimate_people, painted),
        (estimate_person, painted),
        (estimate_hand, hand),
    ]
    for estimate, network in estimates:
        with pytest.raises(InputError, match="frame") as caught:
            estimate(network, frame)
        assert "\n" not in str(caught.value)
        found = str(frame.shape) if isinstance(frame, np.ndarray) else type(frame).__name__
        assert found in str(caught.value)


def test_the_frame_is_left_as_it_is(painted: Network) -> None:
    frame = paint_person(black(368, 368), standing_person(COCO, 180, 44), COCO)
    before = frame.copy()
    estimate_people(painted, frame)
    estimate_person(painted, frame)
    np.testing.assert_array_equal(frame, before)


def test_a_frame_that_is_a_view_gives_the_same_people(painted: Network) -> None:
    frame = paint_person(black(368, 368), standing_person(COCO, 180, 44), COCO)
    wide = np.concatenate([frame, frame], axis=1)
    for view in (wide[:, :368], np.ascontiguousarray(frame[..., ::-1])[..., ::-1], np.asfortranarray(frame)):
        np.testing.assert_array_equal(
            estimate_people(painted, view).keypoints, estimate_people(painted, frame).keypoints
        )


def test_maps_that_are_not_finite_are_an_error_and_no_people(tmp_path: Path) -> None:
    network = load_network(*packed_network(tmp_path, COCO), device="cpu", scale=1e38)
    with pytest.raises((InputError, ModelError), match="finite"):
        estimate_people(network, np.full((32, 32, 3), 255, np.uint8), net_size="32x32")


def test_one_person_and_many_are_public_names() -> None:
    assert posecv.estimate_people is estimate_people
    assert posecv.estimate_person is estimate_person
    assert posecv.estimate_hand is estimate_hand
    assert posecv.decode_person is decode_person
