"""The four scripts as programs, run from another folder on tiny networks whose answers are known."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import RunScript
from networks import Pair, black, broken_pairs, paint_person, painted_network, standing_person
from posecv.app import scripts as cli
from posecv.skeletons import COCO, HAND, Skeleton
from posecv.sources.pictures import read_picture

Array = NDArray[Any]

SCRIPTS = {
    "run_pose.py": "01_one_person.py",
    "run_multi_pose.py": "02_many_people.py",
    "run_hand.py": "03_hand.py",
    "webcam_pose.py": "04_webcam.py",
}
WIDTH, HEIGHT = 352, 368  # with -1x368 a picture of this size reaches the network pixel by pixel
TOLERANCE = 1.0  # pixels
HALF_PIXEL = 0.5  # OpenPose's convention for bodies
SCREEN = 55  # lines


def options(pair: Pair) -> list[str]:
    return ["-p", str(pair[0]), "-m", str(pair[1])]


def two_people() -> list[Array]:
    """Side by side, the right one a little lower and weaker."""
    left, right = standing_person(COCO, 84, 44), standing_person(COCO, 268, 52)
    right[:, 2] = 0.7
    return [left, right]


def save(path: Path, people: list[Array], skeleton: Skeleton = COCO, radius: float = 6) -> Path:
    """A picture of painted people."""
    frame = black(WIDTH, HEIGHT)
    for person in people:
        paint_person(frame, person, skeleton, radius=radius)
    cv2.imwrite(str(path), frame)
    return path


def people_of(record: Path, field: str = "pose_keypoints_2d") -> list[Array]:
    """(K, 3) keypoints of each person in a JSON file, from left to right."""
    people = [np.array(person[field]).reshape(-1, 3) for person in json.loads(record.read_text())["people"]]
    return sorted(people, key=lambda person: float(person[person[:, 2] > 0, 0].mean()))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what a user gets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_comes_from_any_folder(run_script: RunScript, script: str) -> None:
    result = run_script(script, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: {script}")
    assert result.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_fits_on_two_screens_with_the_common_options_first(run_script: RunScript, script: str) -> None:
    lines = run_script(script, "--help", env={"COLUMNS": "80"}).stdout.splitlines()
    assert len(lines) <= 2 * SCREEN
    assert max(map(len, lines)) <= 80
    first = "\n".join(lines[: SCREEN // 2])
    common = "--input", "--output", "--json", "--csv", "--model", "--net-size", "--no-show", "--version"
    assert [option for option in common if option not in first] == []


def test_many_people_are_found_where_they_are_painted(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    save(tmp_path / "team.png", two_people())
    result = run_script("run_multi_pose.py", *options(coco), "-i", "team.png", "-o", "out", "--json", "out")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("team.png: 2 people, 36 keypoints (network ")
    assert names_in(tmp_path / "out") == ["team_keypoints.json", "team_pose.png"]
    found = people_of(tmp_path / "out" / "team_keypoints.json")
    for person, painted in zip(found, two_people(), strict=True):
        np.testing.assert_allclose(person[:, :2], painted[:, :2] + HALF_PIXEL, atol=TOLERANCE)
    drawn, plain = read_picture(tmp_path / "out" / "team_pose.png"), read_picture(tmp_path / "team.png")
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()


def test_one_person_is_found_where_painted(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    person = two_people()[0]
    save(tmp_path / "a.png", [person])
    result = run_script("run_pose.py", *options(coco), "-i", "a.png", "--json", "one.json", "-v")
    assert result.returncode == 0, result.stderr
    assert "(coco) runs on" in result.stderr
    (found,) = people_of(tmp_path / "one.json")
    np.testing.assert_allclose(found[:, :2], person[:, :2] + HALF_PIXEL, atol=TOLERANCE)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("box", [None, (70, 60, 200, 160)])
def test_a_hand_is_found_where_painted(
    run_script: RunScript, hand_pair: Pair, tmp_path: Path, left: bool, box: tuple[int, int, int, int] | None
) -> None:
    keypoints = standing_person(HAND, 110, 80)
    save(tmp_path / "a.png", [keypoints], HAND, radius=6 if box is None else 6 * 200 / 368)
    where = [] if box is None else ["--box", ",".join(map(str, box))]
    words = ["-i", "a.png", "--json", "a.json", *where, *["--left"] * left]
    result = run_script("run_hand.py", *options(hand_pair), *words)
    assert result.returncode == 0, result.stderr
    assert "1 hand, 21 keypoints" in result.stderr
    (found,) = people_of(tmp_path / "a.json", f"hand_{'left' if left else 'right'}_keypoints_2d")
    np.testing.assert_allclose(found[:, :2], keypoints[:, :2], atol=TOLERANCE)
    (other,) = json.loads((tmp_path / "a.json").read_text())["people"]
    assert other["pose_keypoints_2d"] == other[f"hand_{'right' if left else 'left'}_keypoints_2d"] == []


def test_hands_are_found_along_with_bodies(run_script: RunScript, coco: Pair, hand_pair: Pair, tmp_path: Path) -> None:
    person = two_people()[0]
    save(tmp_path / "a.png", [person])
    names = ["--hand", "--hand-model", ",".join(map(str, hand_pair))]
    result = run_script("run_multi_pose.py", *options(coco), "-i", "a.png", "--json", "a.json", *names)
    assert result.returncode == 0, result.stderr
    (found,) = json.loads((tmp_path / "a.json").read_text())["people"]
    assert len(found["hand_left_keypoints_2d"]) == len(found["hand_right_keypoints_2d"]) == 63
    assert found["face_keypoints_2d"] == []
    names[2] = ",".join(map(str, coco))
    wrong = run_script("run_multi_pose.py", *options(coco), "-i", "a.png", *names)
    assert wrong.returncode == 2
    assert "a network for coco, not for hands" in wrong.stderr


def test_heatmaps_alone_serve_one_person_and_say_so_for_many(run_script: RunScript, tmp_path: Path) -> None:
    pair = painted_network(tmp_path / "net", COCO, outputs="heatmaps")
    save(tmp_path / "a.png", two_people()[:1])
    words = [*options(pair), "-i", "a.png", "--json", "a.json"]
    many = run_script("run_multi_pose.py", *words)
    assert many.returncode == 2
    assert "use run_pose.py" in many.stderr
    assert not (tmp_path / "a.json").exists()
    assert run_script("run_pose.py", *words).returncode == 0
    assert len(people_of(tmp_path / "a.json")) == 1


def test_a_threshold_leaves_weak_keypoints_out_and_the_others_as_they_are(
    run_script: RunScript, coco: Pair, tmp_path: Path
) -> None:
    save(tmp_path / "a.png", two_people())
    words = [*options(coco), "-i", "a.png", "--no-show"]
    for threshold, name in (("0.01", "all.json"), ("0.85", "strong.json")):
        run_script("run_multi_pose.py", *words, "--threshold", threshold, "--json", name)
    everybody, (strong,) = people_of(tmp_path / "all.json"), people_of(tmp_path / "strong.json")
    assert len(everybody) == 2
    np.testing.assert_array_equal(strong, everybody[0])


def test_nobody_is_an_empty_list(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    save(tmp_path / "a.png", [])
    result = run_script("run_multi_pose.py", *options(coco), "-i", "a.png", "--json", "a.json")
    assert "a.png: nobody" in result.stderr
    assert (tmp_path / "a.json").read_text() == '{"version":1.3,"people":[]}'


def test_without_a_display_the_picture_is_saved_here_and_the_script_says_so(
    run_script: RunScript, coco: Pair, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    save(tmp_path / "photos" / "team.png", two_people())
    result = run_script("run_multi_pose.py", *options(coco), "-i", "photos")
    assert result.returncode == 0, result.stderr
    told, why = result.stderr.splitlines()
    assert told.endswith(" -> team_pose.png")
    assert why.startswith("no window (")
    assert (tmp_path / "team_pose.png").is_file()


@pytest.mark.parametrize(
    ("script", "pasted"),
    [
        ("run_pose.py", "--device cpu --image_file a.png --proto {0} --model {1}"),
        ("run_pose.py", "--model {1} --proto {0} --dataset COCO --input a.png --width 352 --height 368 --thr 0.1"),
        ("run_multi_pose.py", "-p {0} -m {1} --image_dir . --display 0 --net_resolution -1x368 --alpha_pose 0.6"),
    ],
)
def test_a_pasted_line_works(run_script: RunScript, coco: Pair, tmp_path: Path, script: str, pasted: str) -> None:
    save(tmp_path / "a.png", two_people()[:1])
    result = run_script(script, *(word.format(*coco) for word in pasted.split()), "--write_json", "out")
    assert result.returncode == 0, result.stderr
    (found,) = people_of(tmp_path / "out" / "a_keypoints.json")
    np.testing.assert_allclose(found[:, :2], two_people()[0][:, :2] + HALF_PIXEL, atol=TOLERANCE)


@pytest.mark.parametrize("suffix", [".prototxt.txt", ".txt", ""])
def test_the_files_of_a_pair_may_have_any_names(run_script: RunScript, coco: Pair, tmp_path: Path, suffix: str) -> None:
    prototxt = shutil.copy(coco[0], tmp_path / f"net{suffix}")
    caffemodel = shutil.copy(coco[1], tmp_path / "weights.bin")
    save(tmp_path / "a.png", [])
    words = ["-p", prototxt, "-m", caffemodel, "-i", "a.png", "--json", "a.json", "--net-size", "64"]
    result = run_script("run_multi_pose.py", *words)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("script", "skeleton", "field", "shift"),
    [
        ("run_pose.py", COCO, "pose_keypoints_2d", HALF_PIXEL),
        ("run_multi_pose.py", COCO, "pose_keypoints_2d", HALF_PIXEL),
        ("run_hand.py", HAND, "hand_right_keypoints_2d", 0),
    ],
)
def test_a_script_needs_no_network_named_in_any_folder(
    run_script: RunScript, checkout: Path, tmp_path: Path, script: str, skeleton: Skeleton, field: str, shift: float
) -> None:
    painted = standing_person(skeleton, 110, 60)
    save(tmp_path / "a.png", [painted], skeleton)
    result = run_script(str(checkout / script), "-i", "a.png", "--json", "a.json")
    assert result.returncode == 0, result.stderr
    (found,) = people_of(tmp_path / "a.json", field)
    np.testing.assert_allclose(found[:, :2], painted[:, :2] + shift, atol=TOLERANCE)


# --- many inputs ----------------------------------------------------------------------------------------------------


def test_inputs_of_one_stem_overwrite_neither_each_other_nor_themselves(
    run_script: RunScript, coco: Pair, tmp_path: Path
) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        save(tmp_path / name, [])
    before = {name: (tmp_path / name).read_bytes() for name in ("a.png", "a.bmp", "b.png")}
    words = ["-i", "*.*", "-o", ".", "--json", "records", "--net-size", "64"]
    result = run_script("run_multi_pose.py", *options(coco), *words)
    assert result.returncode == 0, result.stderr
    assert names_in(tmp_path / "records") == ["a.bmp_keypoints.json", "a.png_keypoints.json", "b_keypoints.json"]
    assert {"a.bmp_pose.png", "a.png_pose.png", "b_pose.png"} < set(names_in(tmp_path))
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_an_input_is_not_overwritten(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    save(tmp_path / "a.png", two_people())
    before = (tmp_path / "a.png").read_bytes()
    result = run_script("run_multi_pose.py", *options(coco), "-i", "a.png", "-o", "a.png")
    assert result.returncode == 2
    assert "would be overwritten" in result.stderr
    assert (tmp_path / "a.png").read_bytes() == before


def test_bad_pictures_get_a_line_each_and_the_others_are_done(
    run_script: RunScript, coco: Pair, tmp_path: Path
) -> None:
    good = save(tmp_path / "good.png", two_people())
    jpeg = cv2.imencode(".jpg", read_picture(good))[1].tobytes()
    bad = {
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": good.read_bytes()[:-20],
        "empty.png": b"",
        "page.jpg": b"<!DOCTYPE html><html>404</html>",
        "text.jpg": b"no picture at all",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "nothing").mkdir()
    inputs = [*bad, "missing.png", "nothing", "none*.jpg", "good.png"]
    words = ["-i", *inputs, "-o", "out", "--json", "out"]
    result = run_script("run_multi_pose.py", *options(coco), *words)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == inputs
    assert lines[-1] == f"1 of {len(inputs)} images done, {len(inputs) - 1} failed"
    assert names_in(tmp_path / "out") == ["good_keypoints.json", "good_pose.png"]


@pytest.mark.parametrize(
    ("given", "words"),
    [("missing.png", "no such file"), ("none*", "no file matches"), (".", "no images or videos in this folder")],
)
def test_an_input_that_is_none_ends_with_2_and_one_line(
    run_script: RunScript, coco: Pair, given: str, words: str
) -> None:
    result = run_script("run_multi_pose.py", *options(coco), "-i", given, "--json", "a.json")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert words in line


def test_extreme_sizes_work(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    for width, height in ((1, 1), (10, 1000), (1000, 10), (8000, 6000)):
        cv2.imwrite(str(tmp_path / f"{width}.bmp"), black(width, height))
    words = ["-i", ".", "--json", "out", "--net-size", "64"]
    result = run_script("run_multi_pose.py", *options(coco), *words)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("nobody") == 4


@pytest.mark.skipif(os.name != "posix", reason="a console's Ctrl-C reaches all its programs elsewhere")
def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_half_done(repository: Path, coco: Pair, tmp_path: Path) -> None:
    for number in range(300):
        save(tmp_path / f"{number:03}.bmp", [])
    command = [
        sys.executable,
        str(repository / "run_multi_pose.py"),
        *options(coco),
        "-i",
        ".",
        "-o",
        "o",
        "--json",
        "o",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as stderr:
        first = stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = stderr.read()
    assert process.wait(60) == 130, first + rest
    assert "Traceback" not in rest
    assert "stopped: " in rest
    done = first.count("nobody") + rest.count("nobody")
    assert 0 < done < 300
    assert not [name for name in names_in(tmp_path / "o") if name.startswith(".")]
    records = list((tmp_path / "o").glob("*.json"))
    assert len(records) in (done, done + 1)  # the line follows the file
    assert {record.read_text() for record in records} == {'{"version":1.3,"people":[]}'}


# --- what cannot be done --------------------------------------------------------------------------------------------


FAULTS = [
    "prototxt missing", "prototxt page", "prototxt pointer", "prototxt cut short", "caffemodel missing",
    "caffemodel pointer", "caffemodel cut short", "swapped", "other shapes", "other names",
]  # fmt: skip


def test_each_broken_pair_is_one_line_that_names_the_fault(
    coco: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """OpenCV's own lines would show too: they go to the same file descriptor."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png", [])
    faults = broken_pairs(tmp_path / "broken", coco)
    for fault in FAULTS:
        prototxt, caffemodel, _ = faults[fault]
        words = [*options((prototxt, caffemodel)), "-i", "a.png", "--json", "a.json"]
        assert cli.run_multi_pose(words, "run_multi_pose.py") == 2, fault
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("run_multi_pose.py: "), fault
        assert "error: (" not in line, fault
    assert not (tmp_path / "a.json").exists()


def test_an_unwritable_output_is_noticed_before_the_work(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    save(tmp_path / "a.png", [])
    (tmp_path / "out").write_text("a file where the folder should be")
    result = run_script("run_multi_pose.py", *options(coco), "-i", "a.png", "-o", "out")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "nothing can be written there" in line


def test_a_device_that_is_not_there_is_one_line(run_script: RunScript, coco: Pair, tmp_path: Path) -> None:
    if cv2.dnn.DNN_TARGET_CUDA in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA):
        pytest.skip("CUDA is there")
    save(tmp_path / "a.png", [])
    words = ["-i", "a.png", "--json", "a.json", "--device", "gpu"]
    result = run_script("run_pose.py", *options(coco), *words)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "CUDA" in line


def test_no_camera_is_one_line(run_script: RunScript, coco: Pair) -> None:
    result = run_script("webcam_pose.py", *options(coco), "--no-show", "-i", "98")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "camera 98 cannot be opened" in line


# --- the scripts themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_copied_alone_names_the_tutorial_that_stands_alone(
    repository: Path, tmp_path: Path, script: str
) -> None:
    shutil.copy(repository / script, tmp_path)
    assert (repository / "tutorial" / SCRIPTS[script]).is_file()
    # -S: without the packages that are installed, posecv perhaps among them
    command = [sys.executable, "-S", script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "posecv/" in line
    assert f"tutorial/{SCRIPTS[script]}" in line


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_package_that_is_not_installed_is_one_line(repository: Path, script: str) -> None:
    command = [sys.executable, "-S", str(repository / script)]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert all(word in line for word in ("pip install", "numpy", "imutils", '"opencv-python>=4.8,<6"'))


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_understands_enough_to_say_that_it_is_too_old(repository: Path, script: str) -> None:
    text = (repository / script).read_text(encoding="ascii")
    ast.parse(text, feature_version=(3, 4))
    code = f"import sys, runpy; sys.version_info = (3, 8, 1); runpy.run_path({str(repository / script)!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "posecv needs Python 3.10 or newer, this is 3.8\n"


def test_the_samples_are_done_with_a_real_network(
    run_script: RunScript, repository: Path, light_coco: Pair, tmp_path: Path
) -> None:
    team = repository / "samples" / "team.jpg"
    result = run_script("run_multi_pose.py", *options(light_coco), "-i", team, "-o", "team.jpg", "--json", "team.json")
    assert result.returncode == 0, result.stderr
    assert len(people_of(tmp_path / "team.json")) > 1
