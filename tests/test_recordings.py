"""Recordings: what smoothing without delay does, and what is read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from figures import result_of, someone
from posecv.app import smooth
from posecv.errors import InputError, UsageError
from posecv.outputs.growing import JsonLines
from posecv.outputs.reading import read_json_lines
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import BODY_25, COCO, Skeleton
from posecv.steps.recordings import MARK, smooth_recording

RATE = 30.0


def recording(frames: int = 90, noise: float = 1.0, source: str = "a.mp4", skeleton: Skeleton = COCO) -> list[Result]:
    """Somebody who goes to the right at 60 pixels a second, in noise."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(frames):
        one = replace(someone(skeleton), ids=np.array([1]))
        shift = np.array([2 * number, 0, 0], np.float32)
        moved = one.mapped(lambda points, shift=shift: points + shift)  # type: ignore[misc]
        keypoints = moved.keypoints.copy()
        keypoints[..., :2] += rng.normal(scale=noise, size=keypoints[..., :2].shape)
        people = replace(moved, keypoints=keypoints)
        made.append(replace(result_of(people, source=source), frame=None, number=number, time=number / RATE))
    return made


def xs(results: list[Result]) -> np.ndarray:
    return np.array([result.people.keypoints[0, :, 0] for result in results], np.float64)


def test_noise_falls_and_nothing_is_behind() -> None:
    clean, noisy = recording(noise=0), recording()
    before, after = xs(noisy) - xs(clean), xs(smooth_recording(noisy, cutoff=3)) - xs(clean)
    inner = slice(10, -10)
    assert after[inner].std() < before[inner].std() / 1.5
    assert abs(after[inner].mean()) < 0.1  # half a frame would be a pixel
    np.testing.assert_allclose(xs(smooth_recording(clean)), xs(clean), atol=1e-3)


def test_short_gaps_are_filled_and_marked_and_long_ones_stay() -> None:
    results = recording(noise=0)
    for number in (20, 21, *range(50, 70)):
        keypoints = results[number].people.keypoints.copy()
        keypoints[0, 4] = 0
        results[number] = replace(results[number], people=replace(results[number].people, keypoints=keypoints))
    done = smooth_recording(results)
    clean = recording(noise=0)
    for number in (20, 21):
        filled, wanted = done[number].people.keypoints[0, 4], clean[number].people.keypoints[0, 4]
        np.testing.assert_allclose(filled[:2], wanted[:2], atol=0.01)
        assert filled[2] == pytest.approx(MARK * wanted[2])
    assert all((done[number].people.keypoints[0, 4] == 0).all() for number in range(50, 70))


def test_an_outlier_is_put_where_its_neighbours_say() -> None:
    results = recording(noise=0.2)
    keypoints = results[30].people.keypoints.copy()
    keypoints[0, 7, :2] += 150
    results[30] = replace(results[30], people=replace(results[30].people, keypoints=keypoints))
    done, clean = smooth_recording(results), recording(noise=0)
    np.testing.assert_allclose(done[30].people.keypoints[0, 7, :2], clean[30].people.keypoints[0, 7, :2], atol=1)


def test_sources_and_ids_are_smoothed_by_themselves_and_people_without_ids_get_some() -> None:
    first, second = recording(source="a.mp4"), recording(source="b.mp4")
    both = smooth_recording([*first, *second])
    np.testing.assert_array_equal(xs(both[:90]), xs(smooth_recording(first)))
    plain = [replace(result, people=replace(result.people, ids=None)) for result in first]
    done = smooth_recording(plain)
    assert all(result.people.ids is not None and result.people.ids.tolist() == [1] for result in done)
    np.testing.assert_allclose(xs(done), xs(both[:90]))
    assert smooth_recording([]) == []


@pytest.mark.parametrize("options", [{"cutoff": 0.0}, {"order": 3}, {"gap": -1.0}, {"cutoff": float("nan")}])
def test_parameters_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give Hz above 0"):
        smooth_recording([], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("skeleton", [COCO, BODY_25])
def test_what_is_written_is_read_back(skeleton: Skeleton, tmp_path: Path) -> None:
    results = [replace(result_of(People.empty(skeleton), source="a.mp4"), number=0, time=0.0)]
    results += [replace(each, number=at + 1) for at, each in enumerate(recording(3, skeleton=skeleton))]
    with JsonLines(tmp_path / "poses.jsonl") as out:
        for result in results:
            out.write(result)
    back = list(read_json_lines(tmp_path / "poses.jsonl"))
    assert [(each.source.name, each.number) for each in back] == [("a.mp4", number) for number in range(4)]
    for result, each in zip(results[1:], back[1:], strict=True):
        assert each.people.skeleton == skeleton
        np.testing.assert_allclose(each.people.keypoints, result.people.keypoints, atol=1e-3)
        assert each.time == pytest.approx(result.time, abs=1e-6)


def test_the_command_smooths_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with JsonLines(tmp_path / "poses.jsonl") as out:
        for result in recording():
            out.write(result)
    words = [str(tmp_path / "poses.jsonl"), "-o", str(tmp_path / "smooth.jsonl"), "--cutoff", "3"]
    assert smooth.main(words) == 0
    wanted = smooth_recording(read_json_lines(tmp_path / "poses.jsonl"), cutoff=3)
    np.testing.assert_allclose(xs(list(read_json_lines(tmp_path / "smooth.jsonl"))), xs(wanted), atol=1e-2)
    capsys.readouterr()
    (tmp_path / "odd.jsonl").write_text(json.dumps({"people": []}) + "\n{]\n")
    (tmp_path / "strange.jsonl").write_text(json.dumps({"people": [{"pose_keypoints_2d": [1, 2, 3]}]}) + "\n")
    (tmp_path / "empty.jsonl").write_text("")
    for name, said in (
        ("odd.jsonl", "line 2: this is not a record"), ("strange.jsonl", "3 numbers of keypoints fit no skeleton"),
        ("none.jsonl", "no such file"), ("empty.jsonl", "is empty"),
    ):  # fmt: skip
        assert smooth.main([str(tmp_path / name), "-o", str(tmp_path / "out.jsonl")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert smooth.main([str(tmp_path / "poses.jsonl"), "-o", str(tmp_path / "poses.jsonl")]) == 2
    assert smooth.main([str(tmp_path / "poses.jsonl"), "-o", str(tmp_path / "out.csv")]) == 2
    assert not (tmp_path / "out.jsonl").exists()


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"people": [], "time": "now"}\n')
    with pytest.raises(InputError, match="line 1: time is 'now'"):
        list(read_json_lines(tmp_path / "a.jsonl"))
