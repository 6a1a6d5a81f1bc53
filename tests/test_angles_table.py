"""The table of joint angles: what a file of a few frames holds."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from conftest import RunScript
from figures import people_at, result_of
from networks import Pair
from posecv.angles import ANGLES
from posecv.outputs.angles import AnglesCsv
from posecv.people import People
from posecv.skeletons import COCO
from walking import film, words

# Somebody who faces right: the trunk upright, the right thigh 30 degrees forwards, the knee bent by 90.
NECK, HIP = (100.0, 100.0), (100.0, 200.0)
KNEE = (100 + 100 * np.sin(np.pi / 6), 200 + 100 * np.cos(np.pi / 6))
ANKLE = (KNEE[0] - 100 * np.cos(np.pi / 6), KNEE[1] + 100 * np.sin(np.pi / 6))
PLACES = {
    "nose": (110.0, 70.0), "right_ear": (98.0, 70.0), "neck": NECK, "right_shoulder": NECK, "left_shoulder": NECK,
    "right_hip": HIP, "left_hip": HIP, "right_knee": KNEE, "right_ankle": ANKLE,
}  # fmt: skip


def sitting() -> People:
    return people_at({COCO.keypoints.index(name): (*place, 0.9) for name, place in PLACES.items()})


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_a_figure_of_known_angles_has_them_in_its_row(tmp_path: Path) -> None:
    tracked = replace(sitting(), ids=np.array([7]))
    with AnglesCsv(tmp_path / "angles.csv") as table:
        table.write(replace(result_of(tracked), number=3, time=0.1))
        table.write(replace(result_of(People.empty(COCO)), number=4, time=0.2))
    (row,) = rows_of(tmp_path / "angles.csv")
    assert [row[name] for name in ("source", "frame", "time", "person", "id", "faces")] == [
        "a.jpg", "3", "0.1", "0", "7", "right",
    ]  # fmt: skip
    wanted = {"right_thigh": 30, "right_hip": 30, "right_knee": 90, "right_shank": -60, "trunk": 0}
    assert {name: round(float(row[name])) for name in wanted} == wanted
    assert set(row) >= set(ANGLES)
    assert row["left_knee"] == row["right_ankle"] == row["right_elbow"] == ""


def test_the_script_writes_a_row_for_each_person_and_frame(coco: Pair, tmp_path: Path, run_script: RunScript) -> None:
    film(tmp_path / "walk.avi", 5)
    done = run_script("run_multi_pose.py", *words(coco, "-i", "walk.avi", "--angles", "angles.csv", "--track"))
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "angles.csv")
    assert [(row["frame"], row["id"]) for row in rows] == [(str(number), "1") for number in range(5)]
    wrong = run_script("run_multi_pose.py", *words(coco, "-i", "walk.avi", "--angles", "angles.txt"))
    assert wrong.returncode == 2
    assert "--angles" in wrong.stderr
