"""Outputs: names, files that are whole or not there, OpenPose's JSON, drawn pictures, the window."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import REPOSITORY
from figures import Screen, raising, result_of, someone
from networks import black
from posecv.drawing import skeletons as drawing
from posecv.drawing.rate import Rate
from posecv.drawing.style import Style
from posecv.errors import OutputError, UsageError
from posecv.files import Owner, unfinished_file
from posecv.outputs import openpose_json, pictures
from posecv.outputs.files import plan_files, prepare_files, result_names, write_whole
from posecv.outputs.films import DrawnFilm
from posecv.outputs.growing import CocoResults, Csv, JsonLines, part_of
from posecv.outputs.openpose_json import OpenPoseJson, format_record
from posecv.outputs.pictures import DrawnPicture
from posecv.outputs.window import Window, WindowClosed
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import BODY_25, COCO, FACE, HAND, SKELETONS, Skeleton
from posecv.sources.pictures import read_picture

# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a.jpg", "b.jpg"], ["a", "b"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg", "a.png", "b"]),
        (["a.jpg", "A.png"], ["a.jpg", "A.png"]),
        (["x/a.jpg", "y/a.jpg"], ["x_a.jpg", "y_a.jpg"]),
        (["1/x/a.jpg", "2/x/a.jpg"], ["1_x_a.jpg", "2_x_a.jpg"]),
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg.png"]),
        (["two.dots.jpg"], ["two.dots"]),
        (["x/a.jpg", "x/A.jpg"], ["a", "A-2"]),
        (["x/a.jpg", "x/A.JPG", "x/a.png"], ["a.jpg", "A.JPG-2", "a.png"]),
        (["a.jpg", "A.jpg", "a-2.jpg", "x/b.jpg"], ["a", "A-2", "a-2-2", "b"]),
        ([], []),
    ],
)
def test_names_are_stems_and_as_much_more_as_tells_them_apart(sources: list[str], names: list[str]) -> None:
    assert result_names([Path(source) for source in sources]) == names


def test_no_two_of_many_sources_share_a_name() -> None:
    stems, suffixes, folders = ("a", "a.jpg", "b_a"), (".jpg", ".png"), ("", "b", "c/b", "d/b")
    sources = [Path(folder, stem + suffix) for folder in folders for stem in stems for suffix in suffixes]
    sources += [Path(str(source).upper()) for source in sources]
    assert len({name.casefold() for name in result_names(sources)}) == len(sources)


@pytest.mark.parametrize("where", ["out.png", "deep/out.JPG", "out.webp"])
def test_a_known_suffix_names_a_file(where: str) -> None:
    assert plan_files([Path("a.jpg")], where, pictures.KIND) == [Path(where)]


@pytest.mark.parametrize("where", ["out", "out.v2", "out/", "out.png/", "."])
def test_anything_else_names_a_folder_also_for_one_picture(where: str) -> None:
    assert plan_files([Path("x/a.jpg")], where, pictures.KIND) == [Path(where) / "a_pose.png"]
    assert plan_files([Path("x/a.jpg")], where, openpose_json.KIND) == [Path(where) / "a_keypoints.json"]


def test_a_folder_that_is_there_is_one_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "out.png"
    folder.mkdir()
    assert plan_files([Path("a.jpg")], str(folder), pictures.KIND) == [folder / "a_pose.png"]


def test_one_file_for_several_inputs_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"out\.png is one file, but there are 2 inputs"):
        plan_files([Path("a.jpg"), Path("b.jpg")], "out.png", pictures.KIND)


def test_standard_output_and_an_empty_name_are_mistakes() -> None:
    with pytest.raises(UsageError, match="json='-': results do not go to standard output"):
        plan_files([Path("a.jpg")], "-", openpose_json.KIND)
    with pytest.raises(UsageError, match="json='' is an empty name"):
        plan_files([Path("a.jpg")], "", openpose_json.KIND)


@pytest.mark.parametrize("where", ["out.json", "out.mp4", "out.csv"])
def test_a_file_of_another_kind_is_a_mistake(where: str) -> None:
    with pytest.raises(UsageError, match=r"^output=out\.\w+: \.\w+ is not supported; use one of"):
        plan_files([Path("a.jpg")], where, pictures.KIND)


# --- before the work ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["", "symbolic", "hard"])
def test_an_input_is_never_a_target(tmp_path: Path, link: str) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    target = tmp_path / "b.png" if link else source
    if link == "symbolic":
        target.symlink_to(source)
    elif link == "hard":
        os.link(source, target)
    with pytest.raises(UsageError, match="would be overwritten"):
        prepare_files([target], [source])
    assert source.read_bytes() == b"picture"


def test_folders_are_made_with_the_first_file_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "a.png"
    prepare_files([target], [])
    assert list(tmp_path.iterdir()) == []
    write_whole(target, b"whole")
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.skipif(os.name != "posix", reason="the system has no word for it")
@pytest.mark.parametrize("folder", ["out", "out/deep"])
def test_a_file_in_the_way_of_a_folder_is_noticed(tmp_path: Path, folder: str) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match=r"nothing can be written there \(.*out is a file\)"):
        prepare_files([tmp_path / folder / "a.png"], [])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("target", ["a.png", "new/deep/a.png"])
def test_a_folder_of_others_is_noticed(tmp_path: Path, target: str) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match=r"nothing can be written there \(permission denied\)"):
        prepare_files([tmp_path / target], [])


@pytest.mark.skipif(os.name != "posix", reason="the system has no word for it")
@pytest.mark.parametrize("target", [f"{'a' * 300}.png", f"{'a' * 300}/a.png"])
def test_a_name_that_is_too_long_is_noticed(tmp_path: Path, target: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be written: file name too long"):
        prepare_files([tmp_path / target], [])


def test_a_folder_in_the_way_of_a_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a_pose.png").mkdir()
    with pytest.raises(OutputError, match="a folder of this name is in the way"):
        prepare_files([tmp_path / "a_pose.png"], [])


def test_a_folder_that_cannot_be_written_to_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, _data: bytes) -> int:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)  # root could write anywhere
    with pytest.raises(OutputError, match=r"nothing can be written there \(permission denied\)"):
        prepare_files([tmp_path / "a.png"], [])


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    left, living, other = (tmp_path / name for name in (".posecv-0123.tmp", ".posecv-4567.tmp", ".other.tmp"))
    for path in (left, living, other):
        path.write_bytes(b"half")
    for path in (left, other):
        os.utime(path, (time.time() - 3600,) * 2)  # nobody has written to it for an hour
    prepare_files([tmp_path / "a.png"], [])
    assert sorted(tmp_path.iterdir()) == sorted([living, other])


def test_unfinished_files_have_names_of_their_own_in_every_process(tmp_path: Path) -> None:
    names = {unfinished_file(tmp_path).name for _ in range(50)}
    assert len(names) == 50
    assert not any(str(os.getpid()) in name for name in names)  # containers share the numbers of processes


OWNED = """
import sys, time
from pathlib import Path
from posecv.files import Owner
owner = Owner(Path(sys.argv[1]))
print("owned", flush=True)
time.sleep(60)
"""


def test_a_growing_file_has_one_owner_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    with JsonLines(path) as one:
        one.write(result_of(someone()))
        with pytest.raises(OutputError, match=r"a\.part\.jsonl is being written by another run"):
            JsonLines(path).write(result_of(someone()))
    assert len(path.read_text().splitlines()) == 1
    with JsonLines(path) as again:
        again.write(result_of(someone(count=2)))
    assert [file.name for file in path.parent.iterdir()] == ["a.jsonl"]


@pytest.mark.skipif(os.name != "posix", reason="processes are killed in another way there")
def test_a_killed_owner_owns_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.part.csv"
    other = subprocess.Popen([sys.executable, "-c", OWNED, path], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert other.stdout is not None
    assert other.stdout.readline() == "owned\n"
    with pytest.raises(OutputError, match="by another run"):
        Owner(path)
    other.kill()
    other.wait()
    other.stdout.close()
    Owner(path).release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"version":1.3,"peop', b"[1]", b"{}", b"\xff\xfe"])
def test_a_record_that_is_empty_or_broken_is_not_there_for_a_resumed_run(tmp_path: Path, content: bytes) -> None:
    output = OpenPoseJson(tmp_path / "a_keypoints.json")
    output.path.write_bytes(content)
    assert not output.has(None)
    output.write(result_of(someone()))
    assert output.has(None)


def test_an_empty_image_is_not_there_for_a_resumed_run(tmp_path: Path) -> None:
    output = DrawnPicture(tmp_path / "a.png")
    output.path.touch()
    assert not output.has(None)


def test_an_empty_video_is_not_there_for_a_resumed_run(tmp_path: Path) -> None:
    (tmp_path / "a.avi").touch()
    assert not DrawnFilm(tmp_path / "a.avi").has(0)
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    assert DrawnFilm(tmp_path / "a.avi").has(0)


def test_a_video_that_was_cut_off_keeps_its_unfinished_name_where_a_run_can_be_resumed(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    for only_whole in (True, False):
        path = tmp_path / f"{only_whole}.avi"
        film = DrawnFilm(path, "mjpg", only_whole=only_whole)
        film.write(Result(someone(), frame, number=0, rate=10))
        film.cut_off()
        film.close()
        assert path.exists() != only_whole
        assert part_of(path).exists() == only_whole


# --- whole or not at all --------------------------------------------------------------------------------------------


def test_a_file_appears_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"before")
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_finished_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"a\.json cannot be written \(no space left on device\)"):
        write_whole(path, b"after")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"


# --- OpenPose's JSON ------------------------------------------------------------------------------------------------

KEYS = [
    "person_id", "pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d",
    "pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
]  # fmt: skip


def test_nobody_is_an_empty_list() -> None:
    assert format_record(People.empty(COCO)) == '{"version":1.3,"people":[]}'


def test_a_record_has_openpose_s_keys_in_their_order_and_no_space() -> None:
    text = format_record(someone(count=2))
    record = json.loads(text)
    assert list(record) == ["version", "people"]
    assert [list(person) for person in record["people"]] == [KEYS, KEYS]
    assert record["people"][0]["person_id"] == [-1]
    assert not any(character.isspace() for character in text)


@pytest.mark.parametrize(
    ("skeleton", "left", "field"),
    [
        (COCO, False, "pose_keypoints_2d"),
        (BODY_25, False, "pose_keypoints_2d"),
        (FACE, False, "face_keypoints_2d"),
        (HAND, False, "hand_right_keypoints_2d"),
        (HAND, True, "hand_left_keypoints_2d"),
    ],
)
def test_keypoints_stand_in_the_field_of_their_skeleton_alone(skeleton: Skeleton, left: bool, field: str) -> None:
    people = replace(someone(skeleton), left=np.array([left]) if skeleton is HAND else None)
    (person,) = json.loads(format_record(people))["people"]
    assert person[field] == pytest.approx(people.keypoints.ravel().tolist(), rel=1e-5)
    assert all(person[key] == [] for key in KEYS[1:] if key != field)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (412.5, "412.5"), (408.1171, "408.117"), (0.9120349, "0.912035"), (0.0, "0"), (-0.0, "0"), (1.0, "1"),
        (1e-5, "1e-05"), (1234567.0, "1.23457e+06"), (100000.0, "100000"),
    ],
)  # fmt: skip
def test_numbers_have_six_significant_digits_as_c_streams_write_them(value: float, text: str) -> None:
    people = someone()
    people.keypoints[0, 0, 0] = value
    assert f'"pose_keypoints_2d":[{text},' in format_record(people)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_keypoint_that_is_no_number_is_a_missing_one(value: float) -> None:
    people = someone()
    people.keypoints[0, 1, 1] = value
    (person,) = json.loads(format_record(people), parse_constant=pytest.fail)["people"]
    assert person["pose_keypoints_2d"][3:6] == [0, 0, 0]


def test_hands_and_faces_of_people_stand_beside_their_bodies() -> None:
    body = someone(count=2)
    hands = np.zeros((2, 2, 21, 3), np.float32)
    hands[0, 0], hands[1, 1] = 1, 2
    faces = np.zeros((2, 70, 3), np.float32)
    faces[1] = 3
    both = People(body.keypoints, body.scores, COCO, hands, faces)
    one, other = json.loads(format_record(both))["people"]
    assert one["hand_left_keypoints_2d"] == [1] * 63
    assert one["hand_right_keypoints_2d"] == [0] * 63
    assert other["hand_right_keypoints_2d"] == [2, 2, 1] * 21  # scores are at most 1
    assert one["face_keypoints_2d"] == [0] * 210
    assert other["face_keypoints_2d"] == [3, 3, 1] * 70
    assert one["pose_keypoints_2d"] == json.loads(format_record(body))["people"][0]["pose_keypoints_2d"]


def test_the_file_of_a_record_has_no_newline_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a_keypoints.json"
    OpenPoseJson(path).write(result_of(someone()))
    assert path.read_text() == format_record(someone())
    assert path.read_bytes().endswith(b"]}]}")


# --- outputs on their own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (JsonLines, "a.jsonl"), (Csv, "a.csv"), (CocoResults, "a.json"), (OpenPoseJson, "a.json"),
        (DrawnPicture, "a.png"), (DrawnFilm, "a.avi"),
    ],
)  # fmt: skip
def test_what_is_named_in_words_is_whole_when_its_block_ends(
    tmp_path: Path, make: Callable[[str], Any], name: str
) -> None:
    with make(str(tmp_path / name)) as output:
        output.write(result_of(someone()))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size > 0


def test_a_window_closes_when_its_block_ends() -> None:
    screen = Screen([ord(" ")])
    with Window("posecv", gui=screen) as output:
        output.write(result_of(someone()))
        assert screen.open
    assert not screen.open


# --- drawn pictures -------------------------------------------------------------------------------------------------


def test_a_drawn_picture_is_what_draw_people_draws_and_the_frame_stays(tmp_path: Path) -> None:
    frame, path = black(120, 100), tmp_path / "a_pose.png"
    DrawnPicture(path, Style(alpha=0.3)).write(result_of(someone(), frame))
    assert not frame.any()
    np.testing.assert_array_equal(read_picture(path), drawing.draw_people(black(120, 100), someone(), alpha=0.3))


@pytest.mark.parametrize(("skeleton", "drawn_above"), [(HAND, 0.2), (FACE, 0.4), (COCO, 0.0)])
def test_weak_keypoints_of_hands_and_faces_are_not_drawn(
    tmp_path: Path, skeleton: Skeleton, drawn_above: float
) -> None:
    path = tmp_path / "a.png"
    for score, seen in ((drawn_above, False), (drawn_above + 0.01, True)):
        DrawnPicture(path).write(result_of(someone(skeleton, score), black(300, 100)))
        assert read_picture(path).any() == seen
    DrawnPicture(path, Style(threshold=0.001)).write(result_of(someone(skeleton, 0.01), black(300, 100)))
    assert read_picture(path).any()


def test_what_is_drawn_may_be_less_and_on_nothing() -> None:
    frame = np.full((100, 120, 3), 90, np.uint8)
    skeleton = Style().drawn(result_of(someone(), frame))
    keypoints = Style(render="keypoints").drawn(result_of(someone(), frame))
    blank = Style(render="blank").drawn(result_of(someone(), frame))
    np.testing.assert_array_equal(Style(render="none").drawn(result_of(someone(), frame)), frame)
    assert 0 < (keypoints != frame).sum() < (skeleton != frame).sum()
    np.testing.assert_array_equal(blank, drawing.draw_people(black(120, 100), someone()))
    assert (frame == 90).all()


def test_labels_stand_on_what_is_drawn_and_on_nothing_else() -> None:
    bare = Style().drawn(result_of(someone(), black(300, 200)))
    labelled = Style(labels="index").drawn(result_of(someone(), black(300, 200)))
    expected = drawing.draw_labels(drawing.draw_people(black(300, 200), someone()), someone(), labels="index")
    np.testing.assert_array_equal(labelled, expected)
    assert (labelled != bare).any()
    assert not Style(labels="name", render="none").drawn(result_of(someone(), black(300, 200))).any()


def test_the_rate_that_is_shown_is_that_of_the_frames_drawn() -> None:
    times = iter(np.arange(10) / 25)
    shown = Style(rate=Rate(clock=lambda: next(times)), render="none")
    drawn = [shown.drawn(result_of(someone(), black(300, 200))) for _ in range(3)]
    for frame, rate in zip(drawn, (0, 25, 25), strict=True):
        np.testing.assert_array_equal(frame, drawing.draw_rate(black(300, 200), rate))


@pytest.mark.parametrize("suffix", sorted(pictures.KIND.suffixes))
def test_each_suffix_that_is_offered_can_be_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    DrawnPicture(path).write(result_of(someone()))
    assert read_picture(path).shape == (100, 120, 3)


def test_a_picture_that_a_format_cannot_hold_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"OpenCV cannot write 17000 x 1 pixels as \.webp"):
        DrawnPicture(tmp_path / "a.webp").write(result_of(frame=black(17000, 1)))
    assert list(tmp_path.iterdir()) == []


def test_every_skeleton_has_a_record_and_a_picture(tmp_path: Path) -> None:
    for name, skeleton in SKELETONS.items():
        DrawnPicture(tmp_path / f"{name}.png").write(result_of(someone(skeleton), black(400, 100)))
        OpenPoseJson(tmp_path / f"{name}.json").write(result_of(someone(skeleton)))
    assert len(list(tmp_path.iterdir())) == 2 * len(SKELETONS)


# --- the window -----------------------------------------------------------------------------------------------------


def test_a_window_shows_the_drawn_picture_until_a_key_is_pressed() -> None:
    screen = Screen([-1, -1, ord(" ")])
    window = Window("posecv", gui=screen)
    window.write(result_of(someone()))
    window.close()
    np.testing.assert_array_equal(screen.shown[0], drawing.draw_people(black(120, 100), someone()))
    assert not screen.open


@pytest.mark.parametrize("key", [ord("q"), ord("Q"), 27, 0x100000 + 27])
def test_q_and_escape_end_a_window(key: int) -> None:
    with pytest.raises(WindowClosed):
        Window("posecv", gui=Screen([-1, key])).write(result_of(someone()))


@pytest.mark.parametrize("visible", [0.0, -1.0])
def test_a_window_that_was_closed_ends(visible: float) -> None:
    with pytest.raises(WindowClosed):
        Window("posecv", gui=Screen(visible=lambda: visible)).write(result_of(someone()))


def test_a_window_whose_closing_makes_opencv_raise_ends_too() -> None:
    no_receiver = raising(cv2.error("NULL guiReceiver (please create a window)"))
    with pytest.raises(WindowClosed):
        Window("posecv", gui=Screen(visible=no_receiver)).write(result_of(someone()))


def test_a_large_picture_is_shown_reduced() -> None:
    screen = Screen()
    Window("posecv", gui=screen).show(black(8000, 6000))
    assert screen.shown[0].shape == (800, 1067, 3)


# --- names of files as they come ------------------------------------------------------------------------------------


def test_a_table_s_sources_are_no_formulas(tmp_path: Path) -> None:
    with Csv(tmp_path / "a.csv") as table:
        for name in ("=1+1.png", "+a.png", "-b.png", "@c.png", "d=1.png"):
            table.write(replace(result_of(someone()), source=Path(name)))
    with (tmp_path / "a.csv").open(newline="") as file:
        sources = [row["source"] for row in csv.DictReader(file)]
    assert sources == ["./=1+1.png", "./+a.png", "./-b.png", "./@c.png", "d=1.png"]


@pytest.mark.skipif(os.name != "posix", reason="names are text there")
def test_a_name_that_is_not_utf_8_comes_back_from_a_record(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    result = replace(result_of(someone()), source=Path(name))
    with JsonLines(tmp_path / "a.jsonl") as lines, Csv(tmp_path / "a.csv") as table:
        lines.write(result)
        table.write(result)
    record = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))
    assert os.fsencode(record["source"]) == b"caf\xe9.png"
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1].startswith("caf\\udce9.png,")
