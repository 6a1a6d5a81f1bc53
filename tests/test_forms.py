"""Records and tables in the forms that other programs read."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import posecv
from conftest import RunScript
from figures import someone
from posecv.app.options import CSV_FORMS as CSV_WORDS
from posecv.app.options import JSON_FORMS
from posecv.errors import UsageError
from posecv.outputs.forms import FORMS, as_body_25, as_controlnet
from posecv.outputs.growing import CSV_FORMS, CocoResults, Csv, JsonLines, check_ids, id_of, image_ids
from posecv.outputs.openpose_json import OpenPoseJson
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI


def bodies() -> People:
    """Two people whose keypoint k is at 10 k, 5 k with score 0.5; the second has no left hip and no nose."""
    keypoints = np.zeros((2, 18, 3), np.float32)
    keypoints[..., 0], keypoints[..., 1], keypoints[..., 2] = 10 * np.arange(18), 5 * np.arange(18), 0.5
    keypoints[1, [0, COCO.keypoints.index("left_hip")]] = 0
    return People(keypoints, np.array([0.9, 0.4], np.float32), COCO)


def at(people: People, name: str) -> list[float]:
    values: list[float] = people.keypoints[0, people.skeleton.keypoints.index(name)].tolist()
    return values


def test_the_options_and_the_writers_know_the_same_forms() -> None:
    assert tuple(FORMS) == JSON_FORMS
    assert CSV_FORMS == CSV_WORDS


class TestBody25:
    def test_keypoints_keep_their_names_the_hips_middle_is_computed_and_feet_are_missing(self) -> None:
        people = as_body_25(bodies())
        assert people.skeleton is BODY_25
        assert people.keypoints.shape == (2, 25, 3)
        for name in COCO.keypoints:
            assert at(people, name) == at(bodies(), name)
        hips = np.array([at(bodies(), f"{side}_hip") for side in ("left", "right")])
        assert at(people, "mid_hip") == [*hips[:, :2].mean(axis=0), 0.5]
        assert all(at(people, name) == [0, 0, 0] for name in BODY_25.keypoints if name.endswith(("toe", "heel")))
        assert people.keypoints[1, BODY_25.keypoints.index("mid_hip")].tolist() == [0, 0, 0]

    @pytest.mark.parametrize("skeleton", [BODY_25, HAND, FACE])
    def test_others_stay_as_they_are(self, skeleton: posecv.Skeleton) -> None:
        people = someone(skeleton)
        assert as_body_25(people) is people

    def test_of_mpi_those_that_both_have_are_kept(self) -> None:
        people = someone(MPI)
        assert at(as_body_25(people), "left_wrist") == at(people, "left_wrist")
        assert at(as_body_25(people), "nose") == [0, 0, 0]


def test_scores_in_records_are_at_most_1() -> None:
    people = bodies()
    people.keypoints[0, 2, 2] = 1.04
    (first, _) = people.to_openpose()["people"]
    assert first["pose_keypoints_2d"][3 * 2 + 2] == 1
    assert first["pose_keypoints_2d"][3 * 3 + 2] == 0.5


class TestControlNet:
    def test_found_keypoints_score_1_and_the_canvas_has_the_frame_s_size(self) -> None:
        record = as_controlnet(bodies(), 640, 480)
        assert (record["canvas_width"], record["canvas_height"]) == (640, 480)
        first, second = record["people"]
        assert first["pose_keypoints_2d"] == [number for k in range(18) for number in (10.0 * k, 5.0 * k, 1.0)]
        assert second["pose_keypoints_2d"][:6] == [0, 0, 0, 10, 5, 1]
        assert first["face_keypoints_2d"] is first["hand_left_keypoints_2d"] is None

    def test_body_25_loses_what_coco_does_not_have_and_hands_are_kept(self) -> None:
        hands = np.zeros((2, 2, 21, 3), np.float32)
        hands[0, 1] = 7, 8, 0.3
        people = replace(as_body_25(bodies()), hands=hands)
        first = as_controlnet(people, 640, 480)["people"][0]
        assert first["pose_keypoints_2d"] == as_controlnet(bodies(), 640, 480)["people"][0]["pose_keypoints_2d"]
        assert first["hand_right_keypoints_2d"] == [7, 8, 1] * 21
        assert first["hand_left_keypoints_2d"] is None

    def test_it_needs_a_frame(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="json_form=controlnet needs the size of the frame"):
            OpenPoseJson(tmp_path / "a.json", form="controlnet").write(Result(bodies()))


def test_writers_write_the_form_and_refuse_an_unknown_one(tmp_path: Path) -> None:
    result = Result(bodies(), np.zeros((480, 640, 3), np.uint8))
    OpenPoseJson(tmp_path / "a.json", form="body_25").write(result)
    with JsonLines(tmp_path / "a.jsonl", form="controlnet") as lines:
        lines.write(result)
    record = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [len(person["pose_keypoints_2d"]) for person in record["people"]] == [75, 75]
    line = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))
    assert line["canvas_width"] == 640
    assert line["people"] == as_controlnet(bodies(), 640, 480)["people"]
    with pytest.raises(UsageError, match="json_form=coco is unknown; choose one of openpose, body_25, controlnet"):
        OpenPoseJson(tmp_path / "b.json", form="coco")
    with pytest.raises(UsageError, match="csv_form=tsv is unknown; choose one of plain, excel"):
        Csv(tmp_path / "b.csv", form="tsv")


def test_a_table_for_excel_has_a_mark_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    people = bodies()
    people.keypoints[0, 3, 0] = 12.25
    path = tmp_path / "a.csv"
    with Csv(path, form="excel") as table:
        table.write(Result(people, source=Path("2.5.png"), number=3, time=0.125))
    assert path.read_bytes().startswith(b"\xef\xbb\xbfsource;frame;time;person;score;nose_x")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["source"] for row in rows] == ["2.5.png"] * 2
    assert rows[0]["time"] == "0,125"
    assert rows[0]["right_elbow_x"] == "12,25"
    assert rows[0]["neck_x"] == "10"


class TestScripts:
    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        path = tmp_path / "clip.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        for value in (0, 100, 200):
            writer.write(np.full((48, 64, 3), value, np.uint8))
        writer.release()
        return path

    def test_openpose_s_write_images_gives_an_image_of_each_frame(
        self, film: Path, tmp_path: Path, run_script: RunScript
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
        words = "--video", film, "a.png", "--write_images", "drawn", "--display", "0"
        result = run_script("run_multi_pose.py", *words)
        assert result.returncode == 0, result.stderr
        names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
        assert names == ["a_pose.png", *(f"clip_{number:012d}_pose.png" for number in range(3))]
        frame = cv2.imread(str(tmp_path / "drawn" / names[2]))
        assert frame is not None
        assert abs(float(frame.mean()) - 100) < 3

    def test_each_video_s_records_go_into_a_folder_of_their_own_on_request(
        self, film: Path, tmp_path: Path, run_script: RunScript
    ) -> None:
        words = "-i", film, "--json", "out", "--json-layout", "folders", "--json-form", "body_25"
        result = run_script("run_multi_pose.py", *words)
        assert result.returncode == 0, result.stderr
        assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json")) == [
            f"clip/clip_{number:012d}_keypoints.json" for number in range(3)
        ]

    def test_images_need_a_folder(self, film: Path, run_script: RunScript) -> None:
        result = run_script("run_multi_pose.py", "-i", film, "--images", "a.png")
        assert result.returncode == 2
        assert "--images 'a.png' is not the name of a folder" in result.stderr

    @pytest.mark.parametrize(
        ("words", "seconds"), [((), 3 / 25), (("--rate", "2"), 1.5), (("--write_video_fps", "5"), 0.6)]
    )
    def test_a_video_of_images_shows_as_many_a_second_as_asked(
        self, tmp_path: Path, run_script: RunScript, words: tuple[str, ...], seconds: float
    ) -> None:
        for number in range(3):
            cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64, 3), 80 * number, np.uint8))
        result = run_script("run_multi_pose.py", "-i", "0.png", "1.png", "2.png", "-o", "a.avi", *words)
        assert result.returncode == 0, result.stderr
        film = cv2.VideoCapture(str(tmp_path / "a.avi"))
        assert film.get(cv2.CAP_PROP_FRAME_COUNT) / film.get(cv2.CAP_PROP_FPS) == pytest.approx(seconds, rel=0.01)

    def test_a_drawn_video_keeps_its_source_s_rate(self, film: Path, tmp_path: Path, run_script: RunScript) -> None:
        result = run_script("run_multi_pose.py", "-i", film, "-o", "a.avi", "--rate", "3")
        assert result.returncode == 0
        assert "--rate 3 is ignored: a drawn video keeps the frame rate of its source" in result.stderr
        assert cv2.VideoCapture(str(tmp_path / "a.avi")).get(cv2.CAP_PROP_FPS) == pytest.approx(10, rel=0.01)


class TestCocoIds:
    def images(self, folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            cv2.imwrite(str(folder / name), np.zeros((48, 64, 3), np.uint8))

    @pytest.mark.parametrize(
        "names", [("cam1_0001.png", "cam2_0001.png"), ("a.png", "b.png"), ("x/1.png", "y/1.png")]
    )
    def test_two_images_with_one_id_are_refused_before_the_run(
        self, tmp_path: Path, run_script: RunScript, names: tuple[str, ...]
    ) -> None:
        self.images(tmp_path, *names)
        result = run_script("run_multi_pose.py", "-i", *names, "--coco-json", "c.json")
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert f"{names[0]} and {names[1]} would both have the id" in line
        assert "--coco-annotations FILE" in line
        assert not (tmp_path / "c.json").exists()

    def test_ids_come_from_annotations(self, tmp_path: Path, run_script: RunScript) -> None:
        self.images(tmp_path, "cam1_0001.png", "cam2_0001.png")
        images = [{"id": 17, "file_name": "cam1_0001.png"}, {"id": 4, "file_name": "val/cam2_0001.png"}]
        (tmp_path / "truth.json").write_text(json.dumps({"images": images}))
        ids = image_ids(tmp_path / "truth.json")
        with CocoResults(tmp_path / "c.json", ids=ids) as out:
            for name in ("cam1_0001.png", "cam2_0001.png"):
                out.write(Result(someone(), source=tmp_path / name))
        assert [row["image_id"] for row in json.loads((tmp_path / "c.json").read_text())] == [17, 4]
        words = "-i", "cam1_0001.png", "cam2_0001.png", "--coco-json", "d.json", "--coco-annotations", "truth.json"
        result = run_script("run_multi_pose.py", *words)
        assert result.returncode == 0, result.stderr
        self.images(tmp_path, "other.png")
        result = run_script("run_multi_pose.py", *words, "-i", "other.png")
        assert result.returncode == 2
        assert "other.png: the annotations have no image of this name" in result.stderr

    def test_images_of_one_name_are_told_apart_by_their_folders(self, tmp_path: Path) -> None:
        names = {"a/1.jpg": 7, "b/1.jpg": 8, "b/2.jpg": 9}
        images = [{"id": number, "file_name": name} for name, number in names.items()]
        (tmp_path / "truth.json").write_text(json.dumps({"images": images}))
        ids = image_ids(tmp_path / "truth.json")
        found = [id_of(Path(name), ids) for name in ("x/a/1.jpg", "x/b/1.jpg", "elsewhere/2.jpg", "x/c/1.jpg")]
        assert found == [7, 8, 9, None]
        with pytest.raises(UsageError, match="no image of this name, or several in other folders"):
            check_ids([(Path("c/1.jpg"), False)], ids)

    def test_what_are_no_annotations_is_one_line(self, tmp_path: Path) -> None:
        for content in ("[]", "{}", '{"images": [1]}', "no", '{"images": [{"id": 1.5, "file_name": "a"}]}'):
            (tmp_path / "a.json").write_text(content)
            with pytest.raises(UsageError, match="is not a file of COCO annotations: it needs 'images'"):
                image_ids(tmp_path / "a.json")
        with pytest.raises(UsageError, match=r"cannot be read \(no such file"):
            image_ids(tmp_path / "b.json")

    def test_videos_have_their_frames_numbers_so_each_needs_a_run_of_its_own(self) -> None:
        check_ids([(Path("a.avi"), True)], None)
        check_ids([(Path("1.png"), False), (Path("2.png"), False)], None)
        with pytest.raises(UsageError, match=r"the ids of a\.avi are its frames' numbers, which others would have too"):
            check_ids([(Path("a.avi"), True), (Path("9.png"), False)], None)
