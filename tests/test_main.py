"""`posecv`: commands, files without a command, and words that are neither."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

import walking
from conftest import REPOSITORY
from networks import Pair, black, paint_person, painted_network, standing_person
from posecv.app import scripts
from posecv.app.main import COMMANDS, main
from posecv.models import manifest
from posecv.skeletons import COCO, HAND
from posecv.terminal import UNREAD

Main = Callable[[list[str]], int]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return painted_network(tmp_path_factory.mktemp("network"), COCO)


@pytest.fixture(scope="module")
def hand_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return painted_network(tmp_path_factory.mktemp("hand"), HAND)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """p0.png to p2.png and walk.avi of somebody who walks, and hand.png."""
    folder = tmp_path_factory.mktemp("inputs")
    walking.pictures(folder, 3)
    walking.film(folder / "walk.avi", 3)
    cv2.imwrite(str(folder / "hand.png"), paint_person(black(240, 240), standing_person(HAND, 60, 50), HAND))
    return folder


def written_by(program: Main, words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What a program that is run in a folder of its own writes there: name -> content."""
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        assert program(words) == 0
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- files without a command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["p0.png"], ["p0.png", "p2.png"], ["p*.png"], ["p1.png", "walk.avi"]], ids=str)
def test_files_alone_give_what_run_multi_pose_gives(
    names: list[str], inputs: Path, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(inputs / name) for name in names]
    options = ["-o", "x/", "--json", "x/", *walking.words(pair)]
    ours = written_by(main, [*files, *options], tmp_path / "a", monkeypatch)
    assert len(ours) >= 2 * len(names)
    assert ours == written_by(scripts.run_multi_pose, ["-i", *files, *options], tmp_path / "b", monkeypatch)


def test_options_may_come_first(
    inputs: Path, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*walking.words(pair), "-i", str(inputs / "p0.png"), "--json", "x/"]
    assert list(written_by(main, options, tmp_path / "a", monkeypatch)) == ["x/p0_keypoints.json"]


def test_a_file_that_is_not_there_is_said_to_be_no_file(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("team.jpg", "team", "people.png"):
        assert main([name, "-o", "x/", *walking.words(pair)]) == 2
        assert capsys.readouterr().err == f"{name}: no such file or folder\n"
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_is_told_in_the_command_s_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    for words, name in ((["team.jpg"], "posecv"), (["people", "-i", "team.jpg"], "posecv people")):
        assert main([*words, "--net-size", "370"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{name}: --net-size 370: 370 is not a multiple of 16")
        assert main([*words, "--trak"]) == 2
        assert capsys.readouterr().err.startswith(f"{name}: unknown option --trak")


# --- commands ---------------------------------------------------------------------------------------------------------


def test_the_commands_of_the_scripts_write_what_the_scripts_write(
    inputs: Path, pair: Pair, hand_pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, hand = str(inputs / "p0.png"), str(inputs / "hand.png")
    runs: list[tuple[str, Main, list[str]]] = [
        ("person", scripts.run_pose, ["-i", body, *walking.words(pair)]),
        ("people", scripts.run_multi_pose, ["-i", body, *walking.words(pair)]),
        ("hand", scripts.run_hand, ["-i", hand, *walking.words(hand_pair, net_size=240)]),
        ("live", scripts.webcam_pose, ["-i", str(inputs / "walk.avi"), "--no-show", *walking.words(pair)]),
    ]
    for word, script, words in runs:
        output = ["--csv", "x.csv"] if word == "live" else ["-o", "x/", "--json", "x/"]
        ours = written_by(main, [word, *words, *output], tmp_path / f"{word}_a", monkeypatch)
        theirs = written_by(script, [*words, *output], tmp_path / f"{word}_b", monkeypatch)
        assert ours
        assert sorted(ours) == sorted(theirs)
        if word != "live":  # which sees as many frames as it comes to see
            assert ours == theirs


def test_a_pair_becomes_an_onnx_file(pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "pose.onnx"
    assert main(["convert", str(pair[0]), str(pair[1]), str(target)]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: ")
    assert target.stat().st_size > 0
    assert main(["convert", str(pair[0]), str(tmp_path / "none.caffemodel"), str(target)]) == 2
    assert capsys.readouterr().err.startswith("posecv convert: ")


def test_models_are_listed_with_their_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "finds", "use", "files"]
    assert [line.split()[0] for line in lines] == [row.name for row in manifest()]
    listed = {line.split()[0]: line for line in lines}
    assert listed["light_body"].endswith(str(REPOSITORY / "models" / "light_body" / "pose.caffemodel"))


@pytest.mark.parametrize("word", COMMANDS)
def test_each_command_has_its_own_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])
    assert ended.value.code == 0
    assert f"posecv {word}" in capsys.readouterr().out


# --- words that are neither -------------------------------------------------------------------------------------------


def test_without_words_it_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert "posecv team.jpg" in out
    assert "posecv live" in out
    assert "posecv --help" in out
    assert err == ""


@pytest.mark.parametrize("word", sorted(COMMANDS))
def test_help_and_a_command_is_the_command_with_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for words in (["help", word], [word, "--help"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_the_commands(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command, (_, what) in COMMANDS.items():
        assert any(line.split() == [command, *what.split()] for line in lines)
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("word", "meant"),
    [("peple", "people"), ("People", "people"), ("persons", "person"), ("modles", "models"), ("convrt", "convert"),
     ("liv", "live"), ("hands", "hand")],
)  # fmt: skip
def test_a_misspelt_command_is_told_the_nearest(
    word: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([word, "-o", "x/"]) == 2
    said = f"posecv: '{word}' is neither a command nor a file; did you mean {meant}? (posecv --help lists the commands)"
    assert capsys.readouterr().err.splitlines() == [said]
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_called_almost_like_a_command(
    inputs: Path, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "peoples"
    folder.mkdir()
    (folder / "p0.png").write_bytes((inputs / "p0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert main(["peoples", "--json", "x/", *walking.words(pair)]) == 0
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["p0_keypoints.json"]


def test_python_runs_the_package_as_the_command() -> None:
    command = [sys.executable, "-m", "posecv", "peple"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert run.returncode == 2
    assert "did you mean people?" in run.stderr


# --- nobody reads the output ------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is told otherwise")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        *([f"{script}.py", "--help"] for script in ("run_pose", "run_multi_pose", "run_hand", "webcam_pose")),
        ["-m", "posecv", "--help"],
        ["-m", "posecv", "models"],
        ["-m", "posecv", "live", "--version"],
        ["-m", "posecv.convert", "--help"],
        ["-m", "benchmarks.decode", "--help"],
        ["-m", "tools.make_clip", "--help"],
    ],
    ids=" ".join,
)
def test_a_program_whose_output_nobody_reads_ends_quietly(words: list[str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        run = subprocess.run(
            [sys.executable, *words], cwd=REPOSITORY, env=env, stdout=writer, stderr=subprocess.PIPE, timeout=120
        )
    finally:
        os.close(writer)
    assert run.stderr == b""
    assert run.returncode in ((0, UNREAD) if "--help" in words else (UNREAD,))  # argparse ignores a closed pipe


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is told otherwise")
def test_a_run_whose_messages_nobody_reads_finishes_its_work(inputs: Path, pair: Pair, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        words = [*walking.words(pair), "-i", str(inputs / "p0.png"), "none.png", "--json", str(tmp_path)]
        command = [sys.executable, "run_multi_pose.py", *words]
        run = subprocess.run(command, cwd=REPOSITORY, stdout=writer, stderr=writer, timeout=120)
    finally:
        os.close(writer)
    assert [path.name for path in tmp_path.iterdir()] == ["p0_keypoints.json"]
    assert run.returncode == 1
