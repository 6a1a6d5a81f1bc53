"""Estimators: what they check when they are made, what they tell, settings for one frame, and configuration."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import RADIUS, black, paint_person, painted_network, standing_person
from posecv.arrays import Frame
from posecv.engines.network import Network, load_network
from posecv.errors import InputError, ModelError, PoseError, UsageError
from posecv.estimators import Estimator
from posecv.estimators.build import Bodies, Either, Hand, HandsAlong, NetworkChoice, Part, Person
from posecv.estimators.functions import (
    estimate_faces,
    estimate_hand,
    estimate_hands,
    estimate_people,
    estimate_person,
)
from posecv.estimators.parts import Faces, Hands, HandsOfBodies, WithParts
from posecv.estimators.several import Several
from posecv.estimators.single_pass import Everybody, OneHand, OnePerson
from posecv.geometry import Fit, NetSize
from posecv.people import People
from posecv.skeletons import COCO, FACE, HAND, Skeleton

WIDTH, HEIGHT = 400, 368
Asked = Callable[..., object]


@pytest.fixture(scope="module")
def heatmaps_only(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network of bodies that has no fields."""
    return load_network(*painted_network(tmp_path_factory.mktemp("heatmaps"), COCO, outputs="heatmaps"), device="cpu")


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load_network(*painted_network(tmp_path_factory.mktemp("face"), FACE), device="cpu")


def one_and_half() -> Frame:
    """Somebody, and beside him somebody who is painted with less strength."""
    frame = black(WIDTH, HEIGHT)
    for x, strength in ((110, 1.0), (290, 0.7)):
        paint_person(frame, standing_person(COCO, x, 44) * np.array([1, 1, strength], np.float32), COCO)
    return frame


def assert_same(one: People, other: People) -> None:
    assert one.skeleton is other.skeleton
    for name in ("keypoints", "scores", "hands", "faces", "left"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- networks that will not do ----------------------------------------------------------------------------------------


def test_a_network_that_cannot_do_it_is_refused_when_the_estimator_is_made(
    painted: Network, hand: Network, face: Network, heatmaps_only: Network
) -> None:
    refused: list[tuple[Asked, str]] = [
        (lambda: Everybody(heatmaps_only), "no part affinity fields to tell people apart; use estimate_person"),
        (lambda: Everybody(hand), "no part affinity fields to tell people apart; use estimate_hand"),
        (lambda: OneHand(painted), "is a network for coco, not for hands; try light_hand"),
        (lambda: Hands(painted), "is a network for coco, not for hands; try light_hand"),
        (lambda: Hands(face), "is a network for face, not for hands; try light_hand"),
        (lambda: Faces(painted), "is a network for coco, not for faces; try light_face"),
        (lambda: Faces(hand), "is a network for hand, not for faces; try light_face"),
    ]
    for make, words in refused:
        with pytest.raises(ModelError, match=words) as caught:
            make()
        assert isinstance(caught.value, PoseError)
        assert "\n" not in str(caught.value)


def test_one_person_is_found_by_any_network(painted: Network, hand: Network, heatmaps_only: Network) -> None:
    for network in (painted, hand, heatmaps_only):
        assert len(OnePerson(network)(black(160, 160), net_size=160).people) == 0
    without, with_fields = (OnePerson(network)(one_and_half()).people for network in (heatmaps_only, painted))
    np.testing.assert_allclose(without.keypoints, with_fields.keypoints, atol=0.03)  # engines round as they like
    assert len(without) == 1


def test_a_way_to_merge_that_nobody_knows_is_refused_when_the_estimator_is_made(hand: Network, face: Network) -> None:
    makes: list[Asked] = [
        lambda: OneHand(hand, merge="median"), lambda: Hands(hand, merge="median"), lambda: Faces(face, merge="median"),
    ]  # fmt: skip
    for make in makes:
        with pytest.raises(UsageError, match=r"^merge=median is unknown; choose one of best, mean$"):
            make()


def test_estimators_have_the_skeleton_of_what_they_find(painted: Network, hand: Network) -> None:
    hands, everybody = Hands(hand), Everybody(painted)
    found: list[tuple[Estimator, object]] = [
        (everybody, COCO),
        (OnePerson(painted), COCO),
        (OneHand(hand), HAND),
        (WithParts(everybody, (hands,)), COCO),
        (HandsOfBodies(everybody, hands), HAND),
    ]
    for estimator, skeleton in found:
        assert estimator.skeleton is skeleton
        assert estimator(black(160, 160), net_size=160).people.skeleton is skeleton
        with pytest.raises(FrozenInstanceError):
            estimator.network = painted  # type: ignore[attr-defined]


# --- what a result tells ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [Everybody, OnePerson, OneHand])
def test_a_result_has_its_frame_the_maps_and_the_seconds(
    made: Callable[..., Estimator], painted: Network, hand: Network
) -> None:
    network, frame = (hand if made is OneHand else painted), one_and_half()
    result = made(network)(frame)
    assert result.frame is frame
    fit = Fit.of_frame(frame, NetSize.parse("-1x368"))
    assert result.view
    assert result.view.fit == fit
    expected = network.maps(fit.blob(frame, network.model.preprocessing))
    np.testing.assert_array_equal(result.view.maps, expected)
    assert set(result.seconds) == {"network", "decoding"}
    assert (result.number, result.time, result.source) == (None, 0.0, Path())


def test_the_seconds_of_hands_are_added_to_those_of_their_bodies(painted: Network, hand: Network) -> None:
    frame = paint_person(black(WIDTH, HEIGHT), standing_person(COCO, 200, 44), COCO)
    everybody, hands = Everybody(painted), Hands(hand)
    bodies = everybody(frame)
    both = hands.added(bodies)
    assert set(both.seconds) == {"network", "decoding"}
    assert all(both.seconds[step] > bodies.seconds[step] for step in both.seconds)
    assert both.view is bodies.view
    assert both.people.hands is not None
    assert bodies.people.hands is None


def test_most_keeps_the_best(painted: Network) -> None:
    frame = one_and_half()
    both, best = Everybody(painted)(frame).people, Everybody(painted, most=1)(frame).people
    assert len(both) == 2
    assert_same(best, both[:1])
    np.testing.assert_allclose(best.keypoints[0, 0, 0], 110.5, atol=1)


# --- settings for one frame -------------------------------------------------------------------------------------------


def test_an_override_holds_for_one_frame_alone(painted: Network) -> None:
    frame, everybody = one_and_half(), Everybody(painted)
    before = everybody(frame).people
    assert len(before) == 2
    small = everybody(frame, net_size="-1x192", most=1)
    assert small.view
    assert small.view.fit.height == 192
    assert_same(small.people, Everybody(painted, net_size="-1x192", most=1)(frame).people)
    assert_same(everybody(frame).people, before)
    assert everybody == Everybody(painted)


def test_an_override_of_a_hand_says_where_it_is(hand: Network) -> None:
    expected = standing_person(HAND, 140, 90)
    frame = paint_person(black(WIDTH, HEIGHT), expected, HAND)
    result = OneHand(hand)(frame, box=(90.0, 40.0, 184.0, 184.0), left=True)
    assert_same(result.people, estimate_hand(hand, frame, (90.0, 40.0, 184.0, 184.0), True))
    assert result.people.left is not None
    assert result.people.left.tolist() == [True]


def test_several_boxes_give_the_hand_of_each_in_their_order(hand: Network) -> None:
    frame = paint_person(black(WIDTH, HEIGHT), standing_person(HAND, 140, 90), HAND)
    paint_person(frame, standing_person(HAND, 330, 90), HAND)
    right, left = OneHand(hand, (280.0, 40.0, 184.0, 184.0)), OneHand(hand, (90.0, 40.0, 184.0, 184.0), left=True)
    both = Several((right, left))(frame)
    assert both.people.left is not None
    assert both.people.left.tolist() == [False, True]
    assert_same(both.people[0], right(frame).people)
    assert_same(both.people[1], left(frame).people)
    assert both.view is None
    assert both.seconds.keys() == right(frame).seconds.keys()


def test_estimators_of_different_keypoints_are_not_joined(hand: Network, painted: Network) -> None:
    with pytest.raises(UsageError, match="one skeleton, not coco, hand"):
        Several((OneHand(hand), OnePerson(painted)))


def test_overrides_of_bodies_with_parts_are_those_of_the_bodies(painted: Network, hand: Network) -> None:
    frame = paint_person(black(WIDTH, HEIGHT), standing_person(COCO, 200, 44), COCO)
    along = WithParts(Everybody(painted), (Hands(hand),))
    assert_same(
        replace(along(frame, net_size="-1x320").people, hands=None), estimate_people(painted, frame, net_size="-1x320")
    )


@pytest.mark.parametrize(
    ("made", "name", "nearest"),
    [
        (Everybody, "net_sise", "net_size"),
        (Everybody, "scale_numbers", "scale_number"),
        (OnePerson, "treshold", "threshold"),
        (OneHand, "lefft", "left"),
    ],
)
def test_an_override_that_is_none_is_told_the_nearest(
    made: Callable[..., Estimator], name: str, nearest: str, painted: Network, hand: Network
) -> None:
    estimator = made(hand if made is OneHand else painted)
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(UsageError, match=f"^unknown setting {name}; did you mean {nearest}\\?$"):
        estimator(black(64, 64), **settings)


def test_an_override_like_none_is_told_which_there_are(painted: Network) -> None:
    with pytest.raises(UsageError, match="unknown setting xyz; choose one of network, net_size, scale_number"):
        Everybody(painted)(black(64, 64), xyz=1)


def test_an_override_that_will_not_do_is_refused_like_a_setting(painted: Network, hand: Network) -> None:
    with pytest.raises(UsageError, match="net_size=370"):
        Everybody(painted)(black(64, 64), net_size=370)
    with pytest.raises(UsageError, match="merge=median"):
        OneHand(hand)(black(64, 64), merge="median")
    with pytest.raises(InputError, match="a frame must be an array"):
        Everybody(painted)(None, net_size=160)  # type: ignore[arg-type]


# --- the functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimate", "name", "nearest"),
    [
        (estimate_people, "nms_treshold", "nms_threshold"),
        (estimate_people, "inter_treshold", "inter_threshold"),
        (estimate_people, "netsize", "net_size"),
        (estimate_person, "scale_numer", "scale_number"),
        (estimate_hand, "scale_ranges", "scale_range"),
        (estimate_hands, "threshhold", "threshold"),
        (estimate_faces, "merges", "merge"),
    ],
)
def test_a_misspelt_parameter_is_told_the_nearest(
    estimate: Callable[..., People], name: str, nearest: str, painted: Network
) -> None:
    people = [People.empty(COCO)] if estimate in (estimate_hands, estimate_faces) else []
    with pytest.raises(UsageError, match=f"^unknown setting {name}; did you mean {nearest}\\?$"):
        estimate(painted, black(64, 64), *people, **{name: 0.1})


@pytest.mark.parametrize(
    ("estimate", "settings", "words"),
    [
        (estimate_people, {"scale_number": "2"}, "scale_number='2' is not a whole number"),
        (estimate_people, {"scale_number": 2.5}, "scale_number=2.5 is not a whole number"),
        (estimate_people, {"scale_number": True}, "scale_number=True is not a whole number"),
        (estimate_people, {"scale_gap": "a"}, "scale_gap='a' is not a number"),
        (estimate_people, {"nms_threshold": "a"}, "nms_threshold='a' is not a number"),
        (estimate_people, {"inter_threshold": float("nan")}, "inter_threshold=nan is not a number"),
        (estimate_people, {"min_subset_cnt": [3]}, r"min_subset_cnt=\[3\] is not a number"),
        (estimate_people, {"person_threshold": "a"}, "person_threshold='a' is not a number"),
        (estimate_people, {"person_keypoints": 2.5}, "person_keypoints=2.5 is not a whole number"),
        (estimate_people, {"net_size": 0}, "net_size=0: 0 is not a multiple of 16"),
        (estimate_people, {"net_size": ""}, "net_size= is not a size"),
        (estimate_person, {"scale_number": None}, "scale_number=None is not a whole number"),
        (estimate_person, {"threshold": "a"}, "threshold='a' is not a number"),
        (estimate_person, {"threshold": None}, "threshold=None is not a number"),
        (estimate_person, {"net_size": 0}, "net_size=0: 0 is not a multiple of 16"),
        (estimate_hand, {"scale_range": "a"}, "scale_range='a' is not a number"),
        (estimate_hand, {"net_size": 0}, "net_size=0: 0 is not a multiple of 16"),
        (estimate_hand, {"box": (1, 2)}, r"box=\(1, 2\): give four numbers \(x, y, width, height\)"),
        (estimate_hand, {"box": "abcd"}, "box='abcd': give four numbers"),
        (estimate_hand, {"box": 5}, "box=5: give four numbers"),
        (estimate_hand, {"box": (0, 0, "5", 5)}, "box=.*: give four numbers"),
        (estimate_hand, {"box": (0, 0, float("nan"), 5)}, "box=.*: give four numbers"),
        (estimate_hands, {"threshold": "a"}, "threshold='a' is not a number"),
    ],
)
def test_a_setting_of_the_wrong_type_is_one_line(
    estimate: Callable[..., People], settings: dict[str, Any], words: str, painted: Network, hand: Network
) -> None:
    network = hand if estimate in (estimate_hand, estimate_hands) else painted
    people = [People.empty(COCO)] if estimate is estimate_hands else []
    with pytest.raises(UsageError, match=f"^{words}"):
        estimate(network, black(64, 64), *people, **settings)


@pytest.mark.parametrize("network", [None, "light_body", Network], ids=str)
@pytest.mark.parametrize("estimate", [estimate_people, estimate_person, estimate_hand])
def test_something_else_than_a_network_is_refused(estimate: Callable[..., People], network: Any) -> None:
    with pytest.raises(UsageError, match=r"^network is a .*; load one with posecv.load_network$"):
        estimate(network, black(64, 64))
    with pytest.raises(UsageError, match=r"^network is a "):
        Everybody(network)


@pytest.mark.parametrize("people", [None, [], "somebody", np.zeros((1, 18, 3))], ids=lambda each: type(each).__name__)
def test_hands_and_faces_of_something_else_than_people_are_refused(people: Any, hand: Network, face: Network) -> None:
    for estimate, network in ((estimate_hands, hand), (estimate_faces, face)):
        with pytest.raises(UsageError, match=r"^people is a .*; give People, such as estimate_people returns$"):
            estimate(network, black(64, 64), people)


@pytest.mark.parametrize("skeleton", [HAND, FACE], ids=lambda each: each.name)
def test_hands_and_faces_have_no_hands_and_faces(skeleton: Skeleton, hand: Network, face: Network) -> None:
    words = f"^hands and faces are located by the keypoints of bodies, but the people are {skeleton.name}s$"
    for estimate, network in ((estimate_hands, hand), (estimate_faces, face)):
        with pytest.raises(ModelError, match=words):
            estimate(network, black(64, 64), People.empty(skeleton))
    parts = OneHand(hand if skeleton is HAND else face)
    with pytest.raises(ModelError, match=words):
        WithParts(parts, (Hands(hand),))
    with pytest.raises(ModelError, match=words):
        HandsOfBodies(parts, Hands(hand))


def test_a_face_s_network_finds_no_hands(face: Network) -> None:
    with pytest.raises(ModelError, match=r"is a network for face, not for hands; try light_hand$"):
        estimate_hand(face, black(64, 64))


def test_functions_and_estimators_find_the_same(painted: Network, hand: Network) -> None:
    frame = one_and_half()
    settings: dict[str, Any] = {"net_size": "-1x320", "scale_number": 2, "scale_gap": 0.1}
    assert_same(estimate_people(painted, frame, **settings), Everybody(painted, **settings)(frame).people)
    assert_same(estimate_person(painted, frame, **settings), OnePerson(painted, **settings)(frame).people)
    settings = {"net_size": "-1x320", "scale_number": 3, "merge": "mean"}
    assert_same(estimate_hand(hand, frame, **settings), OneHand(hand, **settings)(frame).people)


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def choices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NetworkChoice]:
    """Networks for bodies, hands and faces."""
    folder = tmp_path_factory.mktemp("choices")
    pairs = {skeleton.name: painted_network(folder / skeleton.name, skeleton) for skeleton in (COCO, HAND, FACE)}
    return {name: NetworkChoice(str(pair[0]), str(pair[1]), device="cpu") for name, pair in pairs.items()}


def quiet(_network: Network) -> None:
    """Say nothing of a network that is loaded."""


@pytest.mark.parametrize("kind", ["person", "bodies", "parts", "hand", "hands along", "either"])
def test_configuration_survives_pickling_and_builds_what_finds_the_same(
    choices: dict[str, NetworkChoice], kind: str
) -> None:
    body, hand, face = (choices[name] for name in ("coco", "hand", "face"))
    parts = Part("hand", hand, net_size="240x240"), Part("face", face, net_size="240x240")
    configurations: dict[str, Any] = {
        "person": Person(body, net_size="-1x320", threshold=0.5, scale_number=2),
        "bodies": Bodies(body, scale_number=2, scale_gap=0.1, most=1),
        "parts": Bodies(body, parts=parts),
        "hand": Hand(hand, box=(50, 20, 300, 300), left=True, scale_number=3, merge="mean"),
        "hands along": HandsAlong(Bodies(body), parts[0]),
        "either": Either(Bodies(body, parts=parts), threshold=0.5),
    }
    configuration, loaded = configurations[kind], list[str]()
    again = pickle.loads(pickle.dumps(configuration))
    assert again == configuration
    frame = black(600, 500)
    paint_person(frame, standing_person(COCO, 150, 60), COCO)
    paint_person(frame, standing_person(HAND, 300, 200), HAND, radius=RADIUS)
    first = configuration.build(lambda network: loaded.append(network.skeleton.name))
    wanted = {"parts": ["coco", "hand", "face"], "hand": ["hand"], "either": ["coco", "hand", "face"]}
    assert sorted(loaded) == sorted(wanted.get(kind, ["hand", "coco"] if kind == "hands along" else ["coco"]))
    second = again.build(quiet)
    assert_same(first(frame).people, second(frame).people)
    assert first.skeleton is second.skeleton
    assert type(first) is type(second)


def test_configuration_builds_what_its_settings_say(choices: dict[str, NetworkChoice], painted: Network) -> None:
    frame = one_and_half()
    body = choices["coco"]
    assert_same(Bodies(body, most=1).build(quiet)(frame).people, Everybody(painted, most=1)(frame).people)
    assert_same(
        Person(body, threshold=0.5).build(quiet)(frame).people, OnePerson(painted, threshold=0.5)(frame).people
    )
    either = Either(Bodies(body)).build(quiet)
    assert_same(either(frame).people, Everybody(painted)(frame).people)
    assert_same(either(frame, single=True).people, OnePerson(painted)(frame).people)
    strict = Either(Bodies(body), threshold=0.85).build(quiet)
    assert_same(strict(frame).people, Everybody(painted)(frame).people.above(0.85))
    assert len(strict(frame).people) == 1
