"""The coordinates that results are told in: OpenPose's formulas, with all the outputs that have them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from figures import result_of
from networks import black
from posecv.arrays import Frame
from posecv.errors import UsageError
from posecv.geometry import Fit, NetSize
from posecv.outputs.coordinates import converted
from posecv.outputs.growing import CocoResults, Csv, JsonLines
from posecv.outputs.openpose_json import OpenPoseJson, format_record
from posecv.people import People
from posecv.result import Result, View
from posecv.skeletons import COCO

Place = tuple[float, float]


def result_in(frame: Frame) -> Result:
    """The neck in the last pixel, the nose in the first, all else missing; a hand and a face."""
    height, width = frame.shape[:2]
    keypoints = np.zeros((1, 18, 3), np.float32)
    keypoints[0, 0] = (0, 0, 0.9)
    keypoints[0, 1] = (width - 1, height - 1, 0.8)
    hands, faces = np.zeros((1, 2, 21, 3), np.float32), np.zeros((1, 70, 3), np.float32)
    hands[0, 1] = faces[0] = ((width - 1) / 2, (height - 1) / 4, 0.5)
    view = View(np.zeros((57, 1, 1), np.float32), Fit.of_frame(frame, NetSize.parse("-1x368")))
    return result_of(People(keypoints, np.ones(1, np.float32), COCO, hands, faces), frame, "7.png", view=view)


@pytest.mark.parametrize(
    ("scale", "first", "last", "middle", "missing"),
    [
        ("image", (0, 0), (639, 479), (319.5, 119.75), (0, 0)),
        ("unit", (0, 0), (1, 1), (0.5, 0.25), (0, 0)),
        ("signed", (-1, -1), (1, 1), (0, -0.5), (-1, -1)),
    ],
)
def test_scales_go_from_the_first_pixel_s_centre_to_the_last_s(
    scale: str, first: Place, last: Place, middle: Place, missing: Place
) -> None:
    result = result_in(black(640, 480))
    people, told = result.people, converted(result, scale)
    assert told.hands is not None
    assert told.faces is not None
    for found, expected in (
        (told.keypoints[0, 0], first), (told.keypoints[0, 1], last), (told.keypoints[0, 2], missing),
        (told.hands[0, 1, 7], middle), (told.hands[0, 0, 7], missing), (told.faces[0, 7], middle),
    ):  # fmt: skip
        np.testing.assert_allclose(found[:2], expected, atol=1e-6)
    np.testing.assert_array_equal(told.keypoints[..., 2], people.keypoints[..., 2])
    assert people.keypoints[0, 1, 0] == 639


@pytest.mark.parametrize(("size", "factor"), [((1280, 720), 1.959128), ((640, 480), 1.305177), ((500, 500), 1.359673)])
def test_net_pixels_are_openpose_s(size: tuple[int, int], factor: float) -> None:
    """The three factors from network to picture that are known of OpenPose."""
    told = converted(result_in(black(*size)), "net")
    np.testing.assert_allclose(told.keypoints[0, 1, :2], (np.array(size) - 1) / factor, rtol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
@pytest.mark.parametrize("scale", ["net", "unit", "signed"])
def test_a_picture_of_one_pixel_or_one_line_has_finite_coordinates(size: tuple[int, int], scale: str) -> None:
    assert np.isfinite(converted(result_in(black(*size)), scale).keypoints).all()


def test_net_pixels_need_to_know_the_input() -> None:
    with pytest.raises(UsageError, match="keypoint_scale=net needs the result's view"):
        converted(replace(result_in(black(64, 48)), view=None), "net")


@pytest.mark.parametrize("scale", ["net", "unit", "signed"])
def test_scales_need_the_frame_and_pixels_do_not(scale: str) -> None:
    result = replace(result_in(black(64, 48)), frame=None)
    with pytest.raises(UsageError, match="needs the frame, which this result does not have"):
        converted(result, scale)
    assert converted(result, "image") is result.people


def test_records_lines_and_tables_have_the_scale_and_coco_s_results_stay_in_pixels(tmp_path: Path) -> None:
    result = result_in(black(640, 480))
    outputs = (
        OpenPoseJson(tmp_path / "a.json", "signed"), JsonLines(tmp_path / "a.jsonl", scale="signed"),
        Csv(tmp_path / "a.csv", scale="signed"), CocoResults(tmp_path / "coco.json"),
    )  # fmt: skip
    for output in outputs:
        output.write(result)
        output.close()
    record = format_record(converted(result, "signed"))
    assert (tmp_path / "a.json").read_text() == record
    (line,) = (tmp_path / "a.jsonl").read_text().splitlines()
    assert line.endswith(record[1:])
    assert json.loads(line)["people"][0]["pose_keypoints_2d"][:9] == [-1, -1, 0.9, 1, 1, 0.8, -1, -1, 0]
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert [row[f"{name}_x"] for name in ("nose", "neck", "right_wrist")] == ["-1", "1", "-1"]
    (person,) = json.loads((tmp_path / "coco.json").read_text())
    assert person["image_id"] == 7
    assert person["keypoints"][:6] == [0, 0, 1, -1, -1, 0]
