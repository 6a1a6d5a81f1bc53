"""Smooth motion: how still who is still becomes, how far who walks is behind, and what is bridged."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import posecv
from conftest import RunScript
from figures import result_of, someone
from networks import Pair
from posecv.errors import UsageError
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import COCO
from posecv.steps.smooth import BRIDGED, MARK, MakeSmooth, Smooth
from walking import film, words

Floats = NDArray[np.float64]
SIZE = 200.0


def body() -> Floats:
    """(18, 2) places of somebody 200 pixels tall."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 80, (18, 2))
    places[:, 1] = np.linspace(0, SIZE, 18)
    return places


def results(places: Iterable[Floats], rate: float, ids: int | None = 1, score: float = 0.8) -> list[Result]:
    made = []
    for number, xy in enumerate(places):
        keypoints = np.column_stack([xy, np.full(len(xy), score)]).astype(np.float32)[None]
        people = People(keypoints, np.ones(1, np.float32), COCO, ids=None if ids is None else np.array([ids]))
        made.append(replace(result_of(people), number=number, time=number / rate, rate=rate))
    return made


def smoothed(places: Iterable[Floats], rate: float, step: Smooth | None = None) -> Floats:
    step = step or Smooth()
    return np.array([step(result).people.keypoints[0, :, :2] for result in results(places, rate)], np.float64)


def jitter(places: Floats, rate: float) -> float:
    """RMS of second differences, in sizes a second squared."""
    return float(np.sqrt(np.mean(np.diff(places, 2, axis=0) ** 2))) * rate**2 / SIZE


@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0])
def test_who_is_still_jitters_at_least_five_times_less(rate: float) -> None:
    rng = np.random.default_rng(1)
    noisy = body() + rng.normal(scale=0.005 * SIZE, size=(300, 18, 2))
    before, after = noisy[50:], smoothed(noisy, rate)[50:]
    if rate >= 30:
        assert jitter(before, rate) > 5 * jitter(after, rate)
    assert after.std(axis=0).mean() < before.std(axis=0).mean() / 2


@pytest.mark.parametrize("rate", [30.0, 60.0])
@pytest.mark.parametrize("speed", [0.7, 1.5])  # sizes a second: a walk, a run
def test_who_walks_is_less_than_40_ms_behind(rate: float, speed: float) -> None:
    rng = np.random.default_rng(2)
    times = np.arange(int(4 * rate)) / rate
    truth = body() + np.array([speed * SIZE, 0]) * times[:, None, None]
    found = smoothed(truth + rng.normal(scale=0.003 * SIZE, size=truth.shape), rate)
    behind = (truth - found)[len(times) // 2 :, :, 0].mean() / (speed * SIZE)
    assert 0 <= behind < 0.04


def test_the_answer_does_not_depend_on_the_resolution() -> None:
    rng = np.random.default_rng(3)
    noisy = body() + rng.normal(scale=2, size=(60, 18, 2))
    np.testing.assert_allclose(smoothed(3 * noisy, 30), 3 * smoothed(noisy, 30), rtol=1e-4)


def test_a_keypoint_that_is_lost_for_a_moment_is_bridged_and_marked_and_then_missing() -> None:
    rate, lost = 30.0, 9
    step = Smooth()
    states = []
    for number, result in enumerate(results([body()] * 20, rate)):
        keypoints = result.people.keypoints.copy()
        if number >= 5:
            keypoints[0, lost] = 0
        out = step(replace(result, people=replace(result.people, keypoints=keypoints)))
        states.append(out.people.keypoints[0, lost])
    bridged = [state for state in states[5:] if state[2] > 0]
    assert len(bridged) == int(BRIDGED * rate + 1e-9)
    for state in bridged:
        assert state[2] == pytest.approx(MARK * 0.8)
        np.testing.assert_allclose(state[:2], body()[lost], atol=1e-4)
    assert all((state == 0).all() for state in states[5 + len(bridged) :])


def test_people_without_ids_and_newcomers_stay_as_they_are() -> None:
    step = Smooth()
    rng = np.random.default_rng(4)
    for result in results(body() + rng.normal(size=(5, 18, 2)), 30, ids=None):
        assert step(result) is result
    for result in results(body() + rng.normal(size=(5, 18, 2)), 30, ids=-1):
        np.testing.assert_array_equal(step(result).people.keypoints, result.people.keypoints)


def test_two_people_do_not_mix_and_somebody_who_returns_is_smoothed_anew() -> None:
    step = Smooth()
    both = replace(someone(count=2), ids=np.array([1, 2]))
    moved = both.mapped(lambda points: points + np.array([300, 0, 0], np.float32))
    step(replace(result_of(both), time=0.0))
    crossed = replace(moved, ids=np.array([3, 1]))
    out = step(replace(result_of(crossed), time=0.1)).people
    np.testing.assert_array_equal(out.keypoints[0], crossed.keypoints[0])  # 3 is new
    assert (out.keypoints[1, :, 0] < crossed.keypoints[1, :, 0]).all()  # 1 comes from the left
    again = step(replace(result_of(replace(both, ids=np.array([2, 9]))), time=5.0)).people
    np.testing.assert_array_equal(again.keypoints, both.keypoints)


def test_times_that_stand_still_or_are_missing_do_no_harm() -> None:
    step = Smooth()
    for result in results([body()] * 4, 30):
        out = step(replace(result, time=0.0, rate=0.0))
    np.testing.assert_allclose(out.people.keypoints[0, :, :2], body(), atol=1e-3)


@pytest.mark.parametrize("values", [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)])
def test_frequencies_that_cannot_be_are_refused(values: tuple[float, float]) -> None:
    with pytest.raises(UsageError):
        MakeSmooth(*values)


def test_it_pickles() -> None:
    assert pickle.loads(pickle.dumps(MakeSmooth(1.0, 2.0))) == MakeSmooth(1.0, 2.0)


def test_scripts_and_stream_smooth_people_with_ids(coco: Pair, tmp_path: Path, run_script: RunScript) -> None:
    video = film(tmp_path / "walk.avi", 12)
    network = posecv.load_network(*coco)
    raw, quiet = (list(posecv.stream(str(video), network, track=True, smooth=smooth)) for smooth in (False, True))
    assert [result.people.ids for result in quiet] == [result.people.ids for result in raw] == [[1]] * 12
    xs = [[float(result.people.keypoints[0, 1, 0]) for result in results] for results in (raw, quiet)]
    assert xs[0][0] == xs[1][0]
    assert all(later < now for now, later in zip(xs[0][1:], xs[1][1:], strict=True))  # it walks to the right
    for option in ("--track", "--smooth"):
        done = run_script("run_multi_pose.py", *words(coco, "-i", "walk.avi", "--json", f"{option[2:]}.jsonl", option))
        assert done.returncode == 0, done.stderr
    tracked, found = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("track.jsonl", "smooth.jsonl")
    )
    step = Smooth()
    for before, after in zip(tracked, found, strict=True):
        people = People.from_openpose(before, COCO)
        wanted = step(replace(result_of(people), time=before["time"], rate=10.0)).people
        np.testing.assert_allclose(People.from_openpose(after, COCO).keypoints, wanted.keypoints, atol=2e-3)
    wrong = run_script("run_multi_pose.py", *words(coco, "-i", "walk.avi", "--smooth-still", "1"))
    assert wrong.returncode == 2
    assert "--smooth-still 1 is for smooth motion; add --smooth" in wrong.stderr
