"""`posecv.stream`: images, folders and videos in, one result a frame, in a loop that may be left at any time."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import posecv
import walking
from figures import Finds
from networks import black, painted_network
from posecv.arrays import Frame
from posecv.engines.network import Network, load_network
from posecv.errors import InputError, ModelError, UsageError
from posecv.estimators import Setting
from posecv.estimators.build import OneOrAll
from posecv.estimators.single_pass import Everybody, OneHand, OnePerson
from posecv.geometry import Fit, NetSize
from posecv.people import People
from posecv.result import Result
from posecv.run.ahead import Ahead
from posecv.skeletons import COCO, Skeleton

PATIENCE = 20.0  # seconds after which a test fails that waits for what has to come


@pytest.fixture(scope="module")
def everybody(painted: Network) -> Everybody:
    return Everybody(painted, net_size="-1x192")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images, p0.png to p11.png, of somebody who walks."""
    place = tmp_path_factory.mktemp("images")
    walking.pictures(place, 12)
    return place


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of the same, ten a second, without loss."""
    return walking.film(tmp_path_factory.mktemp("film") / "walk.avi", 12)


def steps_walked(result: Result) -> int:
    """The frame's number, by where the nose is: two pixels a frame on from where it was in the first."""
    (person,) = result.people
    walked = (float(person.keypoints[0, 0, 0]) - 0.5 - walking.walker(0)[0, 0]) / 2
    assert walked == pytest.approx(round(walked), abs=0.3)
    return round(walked)


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_an_image_gives_one_result(folder: Path, everybody: Everybody) -> None:
    for given in (folder / "p3.png", str(folder / "p3.png"), [folder / "p3.png"]):
        (result,) = posecv.stream(given, everybody)
        assert (result.source, result.number, result.time) == (folder / "p3.png", None, 0.0)
        assert result.frame is not None
        np.testing.assert_array_equal(result.frame, walking.walk(3))
        np.testing.assert_array_equal(result.people.keypoints, everybody(walking.walk(3)).people.keypoints)
        assert set(result.seconds) == {"network", "decoding"}


def test_a_folder_gives_its_images_in_natural_order(folder: Path, everybody: Everybody) -> None:
    results = list(posecv.stream(folder, everybody))
    assert [result.source.name for result in results] == [f"p{number}.png" for number in range(12)]
    assert [steps_walked(result) for result in results] == list(range(12))
    assert {result.number for result in results} == {None}


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({}, range(12)),
        ({"first": 5}, range(5, 12)),
        ({"last": 3}, range(4)),
        ({"first": 2, "last": 9, "step": 3}, (2, 5, 8)),
        ({"step": 5}, (0, 5, 10)),
        ({"first": 4, "last": 4}, (4,)),
    ],
    ids=str,
)
def test_a_video_gives_the_frames_that_are_asked_for(
    film: Path, everybody: Everybody, which: dict[str, Any], numbers: Sequence[int]
) -> None:
    results = list(posecv.stream(film, everybody, **which))
    assert [result.number for result in results] == list(numbers)
    assert [steps_walked(result) for result in results] == list(numbers)
    assert [result.time for result in results] == pytest.approx([number / 10 for number in numbers], abs=1e-3)
    assert {result.rate for result in results} == {10 / which.get("step", 1)}
    for result, number in zip(results, numbers, strict=True):
        assert result.frame is not None
        np.testing.assert_array_equal(result.frame, walking.walk(number))


def test_several_inputs_come_one_after_the_other(folder: Path, film: Path, everybody: Everybody) -> None:
    inputs: list[str | Path] = [film, str(folder / "p7.png"), folder / "p2.png", film]  # what is named twice comes once
    results = list(posecv.stream(inputs, everybody, first=10))
    assert [(result.source.name, result.number) for result in results] == [
        ("walk.avi", 10), ("walk.avi", 11), ("p7.png", None), ("p2.png", None),
    ]  # fmt: skip
    assert [steps_walked(result) for result in results] == [10, 11, 7, 2]


def test_a_quoted_pattern_stands_for_what_matches_it(folder: Path, everybody: Everybody) -> None:
    results = posecv.stream(str(folder / "p1*.png"), everybody)
    assert [steps_walked(result) for result in results] == [1, 10, 11]


# --- what finds people ------------------------------------------------------------------------------------------------


def test_what_a_network_can_do_is_found(painted: Network, hand: Network, folder: Path, tmp_path: Path) -> None:
    without_fields = load_network(*painted_network(tmp_path, COCO, outputs="heatmaps"), device="cpu")
    frame = walking.walk(0)
    for network, estimator in (
        (painted, Everybody(painted)),
        (without_fields, OnePerson(without_fields)),
        (hand, OneHand(hand)),
    ):
        (result,) = posecv.stream(folder / "p0.png", network)
        expected = estimator(frame).people
        np.testing.assert_array_equal(result.people.keypoints, expected.keypoints)
        assert result.people.skeleton is network.skeleton
        assert (result.people.left is None) == (network is not hand)


def test_a_model_s_name_will_do(folder: Path) -> None:
    (named,) = posecv.stream(folder / "p0.png", "light_body", keep_maps=True)
    (usual,) = posecv.stream(folder / "p0.png", keep_maps=True)
    assert named.view
    assert usual.view
    np.testing.assert_array_equal(named.view.maps, usual.view.maps)


def test_an_unknown_model_is_told_before_anything_is_read() -> None:
    with pytest.raises(ModelError, match="light_bodi"):
        posecv.stream("none.png", "light_bodi")


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_a_missing_file_raises_when_its_turn_comes(folder: Path, everybody: Everybody) -> None:
    results = posecv.stream([folder / "p1.png", folder / "none.png", folder / "p2.png"], everybody)
    assert steps_walked(next(results)) == 1
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        next(results)


def test_a_damaged_file_raises(tmp_path: Path, everybody: Everybody) -> None:
    for name, words in (("a.png", "not an image"), ("a.avi", "damaged")):
        (tmp_path / name).write_bytes(b"words that are none of these")
        with pytest.raises(InputError, match=words):
            list(posecv.stream(tmp_path / name, everybody))


@pytest.mark.parametrize(
    ("given", "settings", "words"),
    [
        ([], {}, "inputs is empty"),
        ("", {}, "inputs is empty"),
        (["a.png", ""], {}, "inputs is empty"),
        (None, {}, "inputs is a NoneType; give an image, a video, a folder or a camera's number"),
        (1.5, {}, "inputs is a float"),
        (b"a.png", {}, "inputs is a bytes"),
        (np.zeros((4, 4, 3), np.uint8), {}, "inputs is a ndarray; .*; for an array, call an estimator"),
        (["a.png", np.zeros((4, 4, 3), np.uint8)], {}, "inputs has a ndarray"),
        ([None], {}, "inputs has a NoneType"),
        ("a.avi", {"first": "2"}, "first='2' is not a whole number"),
        ("a.avi", {"step": 1.5}, "step=1.5 is not a whole number"),
        ("a.avi", {"last": 2.0}, "last=2.0 is not a whole number"),
        ("a.avi", {"last": 10**20}, "last is beyond the numbers"),
        ("a.avi", {"step": 10**5000}, "step is beyond the numbers"),
        ("a.avi", {"first": -1}, "first=-1 step=1: frames are counted from 0"),
        ("a.avi", {"step": 0}, "first=0 step=0: frames are counted from 0, and a step is 1 or more"),
        ("a.avi", {"first": 5, "last": 4}, "last=4 is before first=5"),
    ],
)
def test_a_mistake_is_told_by_the_call_and_not_in_the_loop(given: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        posecv.stream(given, Finds(), **settings)


@pytest.mark.parametrize("network", [5, People, [Finds()]], ids=str)
def test_what_is_no_network_and_no_estimator_is_refused_by_the_call(network: Any) -> None:
    with pytest.raises(UsageError, match=r"^network must be a Network, an estimator, or the name of a model"):
        posecv.stream("a.avi", network)


def test_the_path_of_an_onnx_file_will_do_for_a_network(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"pose.onnx is missing"):
        posecv.stream("a.avi", tmp_path / "pose.onnx")


def test_what_breaks_in_an_estimator_reaches_the_loop_and_ends_the_reading(film: Path) -> None:
    def break_down(_frame: Frame) -> None:
        raise MemoryError("of the network")

    threads = set(threading.enumerate())
    with pytest.raises(MemoryError, match="of the network"):
        list(posecv.stream(film, Finds(before=break_down)))
    assert_end(threads)


# --- steps, and what comes before -------------------------------------------------------------------------------------


class Numbering:
    """A step that counts the results it has seen, and notes what steps before it have noted."""

    made = 0

    def __init__(self) -> None:
        Numbering.made += 1
        self.seen = 0

    def __call__(self, result: Result) -> Result:
        self.seen += 1
        return replace(result, seconds={**result.seconds, f"step {len(result.seconds)}": float(self.seen)})


def test_each_source_gets_fresh_steps_which_run_in_order(film: Path, folder: Path) -> None:
    Numbering.made = 0
    results = list(posecv.stream([film, folder / "p0.png"], Finds(), last=2, steps=[Numbering, Numbering]))
    assert Numbering.made == 4
    noted = [{name: value for name, value in each.seconds.items() if name != "steps"} for each in results]
    assert noted == [
        {"step 0": 1.0, "step 1": 1.0},
        {"step 0": 2.0, "step 1": 2.0},
        {"step 0": 3.0, "step 1": 3.0},
        {"step 0": 1.0, "step 1": 1.0},
    ]
    assert all(result.seconds["steps"] >= 0 for result in results)


def nobody_left(result: Result) -> Result:
    """A step that leaves out everybody."""
    return replace(result, people=result.people[:0])


def test_a_step_changes_what_the_loop_gets(folder: Path, everybody: Everybody) -> None:
    (result,) = posecv.stream(folder / "p0.png", everybody, steps=[lambda: nobody_left])
    assert len(result.people) == 0


@dataclass
class Remembering:
    """An estimator that finds nobody and keeps the results before that it is given."""

    before: list[Result | None] = field(default_factory=list)
    skeleton: Skeleton = COCO

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        assert not overrides
        self.before.append(before)
        return Result(People.empty(COCO), frame, seconds={"network": float(len(self.before))})


def test_an_estimator_gets_the_result_before_of_the_same_source(film: Path, folder: Path) -> None:
    """As it left the steps, without the frame, which is large."""
    estimator = Remembering()
    inputs = [film, folder / "p0.png", shutil.copy(film, folder.parent / "other.avi")]
    results = list(posecv.stream(inputs, estimator, last=2, steps=[Numbering]))
    assert [each and (each.source, each.number) for each in estimator.before] == [
        None, (film, 0), (film, 1), None, None, (Path(inputs[2]), 0), (Path(inputs[2]), 1),
    ]  # fmt: skip
    for before, result in zip(estimator.before[1:3], results[:2], strict=True):
        assert before is not None
        assert before.people is result.people
        assert before.seconds == result.seconds
        assert "step 1" in before.seconds
        assert (before.frame, before.view) == (None, None)


# --- maps -------------------------------------------------------------------------------------------------------------


def test_maps_are_kept_where_they_are_asked_for_and_each_result_has_its_own(film: Path, everybody: Everybody) -> None:
    network = everybody.network
    fit = Fit.of_frame(walking.walk(0), NetSize.parse("-1x192"))
    results = list(posecv.stream(film, everybody, keep_maps=True, last=3))
    for number, result in enumerate(results):
        assert result.view
        assert result.view.fit == fit
        expected = network.maps(fit.blob(walking.walk(number), network.model.preprocessing))
        np.testing.assert_array_equal(result.view.maps, expected)
    assert {result.view for result in posecv.stream(film, everybody, last=3)} == {None}


# --- leaving the loop -------------------------------------------------------------------------------------------------


def assert_end(before: set[threading.Thread]) -> None:
    """Whether no thread is left but those before."""
    deadline = time.monotonic() + PATIENCE
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_leaving_the_loop_ends_the_reading(long_film: Path) -> None:
    threads = set(threading.enumerate())
    for result in posecv.stream(long_film, Finds()):
        assert set(threading.enumerate()) - threads
        if result.number == 3:
            break
    assert not set(threading.enumerate()) - threads


def test_nothing_is_read_before_the_loop_begins(long_film: Path) -> None:
    threads = set(threading.enumerate())
    results = posecv.stream(long_film, Finds())
    assert set(threading.enumerate()) == threads
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) == threads


def test_a_source_that_is_left_early_is_closed_in_its_own_thread() -> None:
    closed_in: list[threading.Thread] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(10**6)
        finally:
            closed_in.append(threading.current_thread())

    items = numbers()
    ahead = Ahead(items, 2)
    assert next(iter(ahead)) == 0
    assert not closed_in
    ahead.close()
    assert len(closed_in) == 1
    assert closed_in[0] is not threading.current_thread()
    assert not closed_in[0].is_alive()


def test_results_may_be_changed_and_kept(film: Path, everybody: Everybody) -> None:
    """Drawing on a frame, as everybody does, changes no other one."""
    frames = []
    for result in posecv.stream(film, everybody, last=4):
        assert result.frame is not None
        frames.append(result.frame)
        cv2.rectangle(result.frame, (0, 0), (walking.WIDTH, walking.HEIGHT), (255, 255, 255), -1)
        assert steps_walked(result) == result.number
    assert all((frame == 255).all() for frame in frames)


def test_overrides_are_for_those_who_call_the_estimator(painted: Network, folder: Path) -> None:
    """The loop itself passes none, so that one person or everybody is found as the estimator was made."""
    either = OneOrAll(painted, OnePerson(painted), Everybody(painted))
    (result,) = posecv.stream(folder / "p0.png", either)
    np.testing.assert_array_equal(result.people.keypoints, either(walking.walk(0)).people.keypoints)


def test_an_image_without_anybody_has_a_result_too(tmp_path: Path, everybody: Everybody) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), black(64, 48))
    (result,) = posecv.stream(tmp_path / "a.png", everybody)
    assert len(result.people) == 0
    assert result.people.skeleton is COCO
