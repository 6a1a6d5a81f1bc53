"""The recipes: what is to be pasted does what it says."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest

from conftest import REPOSITORY
from posecv.app import options
from posecv.app import scripts as cli

RECIPES = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- needs: (?P<needs>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)
MADE = ("-o", "--json", "--csv", "--coco-json", "--write_json")  # options that name what is to be there afterwards
FRAMES = 90
COMMANDS = {
    "run_pose.py": cli.run_pose, "run_multi_pose.py": cli.run_multi_pose, "run_hand.py": cli.run_hand,
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of code of the page."""

    needs: str | None
    language: str
    code: str


BLOCKS = [Block(match["needs"], match["language"], match["code"]) for match in BLOCK.finditer(RECIPES)]
LINES = [(block.needs, line) for block in BLOCKS if block.language == "sh" for line in block.code.splitlines()]
RUN = [(needs, line) for needs, line in LINES if needs in (None, "av")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with what the recipes name: a film of small frames and a folder of pictures and films."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in (*COMMANDS, "models", "samples"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "holiday").mkdir()
    for name in ("team.jpg", "skater.jpg"):
        shutil.copy(REPOSITORY / "samples" / name, folder / "holiday")
    capture = cv2.VideoCapture(str(REPOSITORY / "samples" / "clip.mp4"))
    size = 120, 80
    writer = cv2.VideoWriter(str(folder / "film.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, size)
    for _ in range(FRAMES):
        writer.write(cv2.resize(capture.read()[1], size))
    writer.release()
    return folder


def made_by(line: str) -> list[str]:
    words = shlex.split(line)
    return [words[at + 1] for at, word in enumerate(words) if word in MADE]


def is_there(path: Path) -> bool:
    """A file with something in it, or a folder with such files, none of them unfinished."""
    files = [path] if path.is_file() else list(path.iterdir()) if path.is_dir() else []
    return bool(files) and all(file.stat().st_size > 0 and ".part" not in file.suffixes for file in files)


@pytest.mark.parametrize(("needs", "line"), RUN, ids=[line for _, line in RUN])
def test_a_recipe_makes_what_it_names(
    place: Path, monkeypatch: pytest.MonkeyPatch, needs: str | None, line: str
) -> None:
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    monkeypatch.chdir(place)
    made = [place / name for name in made_by(line)]
    for path in made:
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    assert run(line) == 0
    assert made
    assert [path.name for path in made if not is_there(path)] == []


def run(line: str) -> int:
    """A line in its own words, but with a small input; in this process where it is one command, else by a shell."""
    line = f"{line} --net-size 64" if "--net" not in line else line
    if "|" in line or ">" in line:
        return subprocess.run(["bash", "-c", line.replace("python", shlex.quote(sys.executable), 1)]).returncode
    python, script, *words = shlex.split(line)
    assert python == "python"
    return COMMANDS[script](words)


@pytest.mark.parametrize("line", [line for _, line in LINES])
def test_a_recipe_s_options_are_known(line: str) -> None:
    parsers = {
        "run_pose.py": options.single_parser, "run_multi_pose.py": options.multi_parser,
        "run_hand.py": options.hand_parser, "webcam_pose.py": options.camera_parser,
    }  # fmt: skip
    _, script, *words = shlex.split(line[line.index("python ") :].partition(" 2>")[0])
    options.parse(parsers[script](), words)


def test_the_programs_of_the_recipes_see_every_frame(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert run("python run_multi_pose.py -i film.mp4 --json film.jsonl --csv film.csv") == 0
    capsys.readouterr()
    film, table, records = (block.code for block in BLOCKS if block.language == "python")
    names: dict[str, Any] = {}
    for code in (film, table, records):
        exec(compile(code, "recipes.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" people")[0].split()[:3] for line in said] == [
        [str(number), f"{number / 25:.2f}", "s"] for number in range(FRAMES)
    ]
    assert names["record"]["frame"] == FRAMES - 1
    assert {body.shape for body in names["bodies"]} <= {(18, 3)}
    assert all(0 < y < 80 for _, y in names["heights"])
