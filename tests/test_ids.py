"""Ids over frames: who is who."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from figures import Finds, result_of
from networks import standing_person
from posecv.app.config import many_config
from posecv.app.options import multi_parser, parse
from posecv.errors import InputError, UsageError
from posecv.estimators import Estimator
from posecv.outputs.growing import Csv, JsonLines
from posecv.people import People
from posecv.run.stream import stream
from posecv.skeletons import COCO, HAND
from posecv.steps import MakeStep
from posecv.steps.ids import Ids, MakeIds, assigned
from walking import film


def standing(*places: float) -> People:
    """People who stand at these x, each 150 pixels or so tall."""
    body = standing_person(COCO, 0, 0).astype(np.float32)
    keypoints = np.repeat(body[None], len(places), axis=0).reshape(len(places), len(COCO.keypoints), 3)
    keypoints[..., 0] += np.array(places, np.float32).reshape(-1, 1)
    return People(keypoints, np.ones(len(places), np.float32), COCO)


def ids_over(frames: Iterable[People], rate: float = 10, step: Ids | None = None) -> list[list[int]]:
    step = step or Ids()
    found = []
    for number, people in enumerate(frames):
        ids = step(result_of(people, number=number, time=number / rate, rate=rate)).people.ids
        assert ids is not None
        found.append(ids.tolist())
    return found


def test_people_of_the_first_frame_have_ids_at_once_and_keep_them_in_any_order() -> None:
    assert ids_over([standing(100, 400), standing(405, 104)]) == [[1, 2], [2, 1]]


def test_a_newcomer_has_an_id_when_seen_in_two_frames_of_three() -> None:
    frames = [standing(100), standing(100, 500), standing(100), standing(100, 500)]
    assert ids_over(frames) == [[1], [1, -1], [1], [1, 2]]


def test_somebody_seen_once_never_gets_an_id() -> None:
    frames = [standing(100), standing(100, 500), standing(100), standing(100), standing(100, 500)]
    assert ids_over(frames)[4] == [1, -1]


def test_a_hidden_person_keeps_the_id_for_the_memory_and_no_longer() -> None:
    def after(hidden: int) -> list[int]:
        return ids_over([standing(100), *[standing()] * hidden, standing(100), standing(100)])[-1]

    assert after(18) == [1]
    assert after(22) == [2]


@pytest.mark.parametrize("rate", [10, 30, 60])
def test_people_who_pass_each_other_keep_their_ids(rate: float) -> None:
    """One walks 100 pixels a second to the right, the other to the left; hidden where they are in one place."""
    frames = []
    for number in range(int(4 * rate)):
        there = 100 + 100 * number / rate, 500 - 100 * number / rate
        if abs(there[0] - there[1]) < 20:
            frames.append(standing(there[0]))
        else:
            frames.append(standing(*there))
    found = ids_over(frames, rate)
    assert all(ids == [1, 2] for ids in found if len(ids) == 2)
    assert [1] in found
    assert found[-1] == [1, 2]


def test_no_id_is_used_twice_in_a_run() -> None:
    make = MakeIds()
    assert ids_over([standing(100, 300)], step=make()) == [[1, 2]]
    assert ids_over([standing(100)], step=make()) == [[3]]


def test_the_assignment_is_the_best_of_all() -> None:
    random = np.random.default_rng(0)
    for rows, columns in ((3, 3), (4, 5), (6, 4)):
        alike = random.random((rows, columns))
        small, large = sorted((rows, columns))
        table = alike if rows <= columns else alike.T
        best = max(sum(table[i, j] for i, j in enumerate(order)) for order in permutations(range(large), small))
        assert sum(alike[pair] for pair in assigned(alike, 0)) == pytest.approx(best)


def test_nobody_is_matched_to_nothing() -> None:
    assert ids_over([standing(), standing(), standing(100), standing(100)]) == [[], [], [-1], [1]]


def test_a_person_without_keypoints_has_no_id() -> None:
    people = standing(100)
    assert ids_over([replace(people, keypoints=np.zeros_like(people.keypoints))]) == [[-1]]


@pytest.mark.parametrize("memory", [-1, float("nan"), float("inf"), "2", True])
def test_a_memory_that_is_no_time_gets_a_line(memory: float) -> None:
    with pytest.raises(UsageError, match="track_memory="):
        Ids(memory)


def test_people_keep_their_ids_in_every_selection() -> None:
    people = replace(standing(100, 300, 500), ids=np.array([4, -1, 9]))
    found = [people[2].ids, people[:2].ids, people[np.array([True, False, True])].ids, people.above(0).ids]
    assert [None if ids is None else ids.tolist() for ids in found] == [[9], [4, -1], [4, 9], [4, -1, 9]]


def test_a_hand_has_the_id_of_its_person() -> None:
    hands = np.zeros((2, 2, 21, 3), np.float32)
    hands[1, 0] = 0.5
    alone = replace(standing(100, 300), hands=hands, ids=np.array([4, 9])).only_hands()
    assert alone.ids is not None
    assert alone.ids.tolist() == [9]


def test_records_hold_ids_and_are_read_back(tmp_path: Path) -> None:
    people = replace(standing(100, 300), ids=np.array([7, -1]))
    with JsonLines(tmp_path / "a.jsonl") as output:
        output.write(result_of(people))
    record = json.loads((tmp_path / "a.jsonl").read_text())
    assert [person["person_id"] for person in record["people"]] == [[7], [-1]]
    again = People.from_openpose(record, COCO).ids
    assert again is not None
    assert again.tolist() == [7, -1]
    assert People.from_openpose(standing(100).to_openpose(), COCO).ids is None
    assert People.from_openpose({"people": []}, HAND).ids is None


@pytest.mark.parametrize("given", ["7", [1, 2], [1.5], [-2], None, [True]])
def test_a_person_id_that_is_no_id_is_refused(given: object) -> None:
    record = standing(100).to_openpose()
    record["people"][0]["person_id"] = given
    with pytest.raises(InputError, match="person_id"):
        People.from_openpose(record, COCO)


def test_a_table_has_ids_only_if_people_are_tracked(tmp_path: Path) -> None:
    for name, people in (("with", replace(standing(100, 300), ids=np.array([7, -1]))), ("without", standing(100))):
        with Csv(tmp_path / name) as output:
            output.write(result_of(people))
    header, *rows = csv.reader((tmp_path / "with").read_text().splitlines())
    assert header[3:6] == ["person", "id", "score"]
    assert [row[4] for row in rows] == ["7", "-1"]
    assert "id" not in next(csv.reader((tmp_path / "without").read_text().splitlines()))


def test_the_options_make_the_step() -> None:
    def steps(*words: str) -> tuple[MakeStep, ...]:
        return many_config(parse(multi_parser(), ["-i", "a.png", "-m", "light_body", *words])).steps

    assert steps() == ()
    (make,) = steps("--track", "--track-memory", "0.5")
    step = make()
    assert isinstance(step, Ids)
    assert ids_over([standing(100), *[standing()] * 7, standing(100), standing(100)], step=step)[-1] == [2]
    with pytest.raises(UsageError, match="add --track"):
        steps("--track-memory", "0.5")
    with pytest.raises(UsageError, match="below 0"):
        steps("--track", "--track-memory=-1")


def test_a_program_gets_ids_from_the_stream(tmp_path: Path) -> None:
    path = str(film(tmp_path / "walk.avi", 3))
    found = [result.people.ids for result in stream(path, cast(Estimator, Finds(standing(30))), track=True)]
    assert [None if ids is None else ids.tolist() for ids in found] == [[1], [1], [1]]
