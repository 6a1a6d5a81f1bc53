"""The pages: what they show can be pasted, and it does what they say."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest

import posecv
from conftest import REPOSITORY, RunScript
from posecv.app import main as posecv_command
from posecv.app import options
from posecv.app import scripts as cli
from posecv.app.spellings import ALIASES
from posecv.estimators import Estimator
from posecv.outputs import Output
from posecv.sources import Source

BLOCK = re.compile(
    r"(?:<!-- (?:needs: (?P<needs>[^>]+)|(?P<name>[^>]+)) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL
)
MADE = ("-o", "--json", "--csv", "--coco-json", "--write_json")  # options that name what is to be there afterwards
FRAMES = 90
REQUESTS = 8
COMMANDS = {
    "run_pose.py": cli.run_pose, "run_multi_pose.py": cli.run_multi_pose, "run_hand.py": cli.run_hand,
}  # fmt: skip
PARSERS = {
    "run_pose.py": options.single_parser, "run_multi_pose.py": options.multi_parser,
    "run_hand.py": options.hand_parser, "webcam_pose.py": options.camera_parser,
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    needs: str | None
    name: str | None
    language: str
    code: str


def page(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """The blocks of a page."""
    groups = (match.group("needs", "name", "language", "code") for match in BLOCK.finditer(page(name)))
    return [Block(*group) for group in groups]


def lines(name: str) -> list[tuple[str | None, str]]:
    """What a page's lines for the shell need, and the lines without their comments."""
    shell = [block for block in blocks(name) if block.language == "sh"]
    split = ((block.needs, line.partition("  #")[0].strip()) for block in shell for line in block.code.splitlines())
    return [(needs, line) for needs, line in split if line]


def is_ours(line: str) -> bool:
    return bool(re.search(r"(^|\| )python (run|webcam)_\w+\.py ", f"{line} "))


RECIPES = lines("docs/recipes.md")
RUN = [(needs, line) for needs, line in RECIPES if needs in (None, "av") and is_ours(line)]
README = [line for _, line in lines("README.md") if is_ours(line)]
OURS = [line for name in ("README.md", "docs/recipes.md", "docs/live.md") for _, line in lines(name) if is_ours(line)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with what the recipes name: a video of small frames and a folder of images."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in (*PARSERS, "models", "samples"):
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


def run(line: str) -> int:
    """A line in its own words, but with a small input; in this process where it is one command, else by a shell."""
    line = f"{line} --net-size 64" if "--net" not in line else line
    if "|" in line or ">" in line:
        return subprocess.run(["bash", "-c", line.replace("python", shlex.quote(sys.executable), 1)]).returncode
    python, script, *words = shlex.split(line)
    assert python == "python"
    return COMMANDS[script](words)


# ---------------------------------------------------------------------------------------------------- command lines


def test_the_recipes_begin_with_the_line_that_makes_their_files(tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    _, first = RECIPES[0]
    assert subprocess.run(["bash", "-c", first], cwd=tmp_path).returncode == 0
    assert (tmp_path / "film.mp4").read_bytes() == (REPOSITORY / "samples" / "clip.mp4").read_bytes()
    photographs = {path.name for path in (REPOSITORY / "samples").glob("*.jpg")}
    assert {path.name for path in (tmp_path / "holiday").iterdir()} == photographs


def test_the_inputs_of_the_recipes_are_samples_or_made_by_the_first_line() -> None:
    for needs, line in RUN:
        if "-i" not in (words := shlex.split(line)):
            continue
        word = words[words.index("-i") + 1]
        made = re.match(r"film\.mp4$|holiday/|-$", word)
        assert made or (REPOSITORY / word).exists(), (needs, line)


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


@pytest.mark.parametrize("line", OURS)
def test_the_options_of_a_line_are_known(line: str) -> None:
    _, script, *words = shlex.split(line[line.index("python ") :].partition(" 2>")[0])
    options.parse(PARSERS[script](), words)


RUNNABLE = [
    line for line in README if "webcam" not in line and "body_25" not in line and "pose.prototxt" not in line
]


@pytest.mark.parametrize("line", RUNNABLE)
def test_a_line_of_the_readme_runs_in_a_fresh_checkout(
    line: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    monkeypatch.chdir(tmp_path)
    made = made_by(line)
    assert run(line if made else f"{line} --no-show") == 0
    assert [name for name in made or ["team_pose.png"] if not is_there(tmp_path / name)] == []


def test_the_readme_begins_with_an_installation_and_a_picture() -> None:
    (_, first), (_, second), *_ = lines("README.md")
    assert first == "pip install -r requirements.txt"
    assert second == RUNNABLE[0] == "python run_multi_pose.py -i samples/team.jpg"


# ---------------------------------------------------------------------------------------------------------- options


def helped(run_script: RunScript, script: str) -> set[str]:
    """The options that a script's help lists."""
    said = run_script(script, "--help", env={"COLUMNS": "100"}).stdout.splitlines()
    return {option for line in said if line.startswith("  -") for option in re.findall(r"--[a-z-]+", line[:40])}


def test_the_page_of_options_has_every_option_and_no_other(run_script: RunScript) -> None:
    rows = page("docs/options.md").partition("\n## Other programs")[0].splitlines()
    first = [row.split(" | ")[0] for row in rows if row.startswith("| `-")]
    named = {option for cell in first for option in re.findall(r"(--[a-z-]+)", cell)}
    assert named == set().union(*(helped(run_script, script) for script in PARSERS))


def test_the_page_of_options_has_other_programs_spellings() -> None:
    rows = page("docs/options.md").partition("\n## Other programs")[2].splitlines()
    cells = [re.findall(r"`(--[\w-]+)`", row) for row in rows if row.startswith("| `")]
    assert {theirs: row[-1] for row in cells for theirs in row[:-1]} == ALIASES


def test_the_page_of_options_has_every_command_of_posecv() -> None:
    rows = re.findall(r"^\| `posecv (\w+)`", page("docs/options.md"), re.MULTILINE)
    assert sorted(rows) == sorted(posecv_command.COMMANDS)


# --------------------------------------------------------------------------------------------------------- programs


def ran(codes: list[str], where: str) -> dict[str, Any]:
    """The names that the blocks of a page leave, one after the other."""
    names: dict[str, Any] = {}
    for code in codes:
        exec(compile(code, where, "exec"), names)
    return names


def python_of(name: str) -> list[Block]:
    return [block for block in blocks(name) if block.language == "python"]


def test_the_readmes_program_sees_every_frame(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    (block,) = python_of("README.md")
    assert len(block.code.strip().splitlines()) == 5
    ran([block.code], "README.md")
    said = re.findall(r"^([\d.]+) s: (\d+) people", capsys.readouterr().out, re.MULTILINE)
    assert [time for time, _ in said] == [f"{number / 25:.2f}" for number in range(100)]
    assert max(int(count) for _, count in said) >= 5


def test_the_programs_of_the_recipes_see_every_frame(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert run("python run_multi_pose.py -i film.mp4 --json film.jsonl --csv film.csv") == 0
    capsys.readouterr()
    film, table, records = (block.code for block in python_of("docs/recipes.md") if block.name is None)
    names = ran([film], "recipes.md")
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" people")[0].split()[:3] for line in said] == [
        [str(number), f"{number / 25:.2f}", "s"] for number in range(FRAMES)
    ]
    names = ran([table, records], "recipes.md")
    assert names["record"]["frame"] == FRAMES - 1
    assert isinstance(names["people"], posecv.People)
    assert all(0 < y < 80 for _, y in names["heights"])


def test_the_programs_of_the_librarys_page_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("samples", "models"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    names = ran([block.code for block in python_of("docs/python.md")], "python.md")
    assert {path.name for path in tmp_path.iterdir()} == {"samples", "models", "team_pose.jpg", "people.jsonl"}
    records = [json.loads(line) for line in (tmp_path / "people.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["frame"] for record in records] == list(range(21))
    assert len(names["best"]) == len(names["person"]) == 1
    assert names["again"].keypoints.shape == names["people"].keypoints.shape
    assert names["people"].hands.shape == (len(names["people"]), 2, 21, 3)
    assert capsys.readouterr().out.splitlines()[-1].startswith("net_size=370: ")


ADDED = "Zoom", "Brightened", "OnlyTall", "Counts"


def test_the_examples_of_what_can_be_added_run_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    monkeypatch.chdir(tmp_path)
    source, estimator, step, output, entry, together = (block.code for block in python_of("CONTRIBUTING.md"))
    files = [ran([code], "CONTRIBUTING.md") for code in (source, estimator, step, output)]  # none sees another's names
    names = {name: value for file in files for name, value in file.items() if name in ADDED}
    exec(compile(entry + together, "CONTRIBUTING.md", "exec"), names)
    assert names["code"] == 0
    for made, seam in ((names["source"], Source), (names["estimator"], Estimator), (names["output"], Output)):
        asked = {name for name in vars(seam) if not name.startswith("_")}
        assert {name for name in asked if not hasattr(made, name)} == set()
    counts = [line.split() for line in (tmp_path / "counts.txt").read_text(encoding="utf-8").splitlines()]
    assert [number for number, _ in counts] == ["0", "1", "2"]
    assert all(int(count) > 0 for _, count in counts)
    capsys.readouterr()


def test_the_web_service_answers_parallel_requests_as_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("flask")
    (block,) = (block for block in python_of("docs/recipes.md") if block.name == "service")
    (tmp_path / "service.py").write_text(block.code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    app = importlib.import_module("service").app
    photographs = [(REPOSITORY / "samples" / name).read_bytes() for name in ("team.jpg", "player.jpg")]

    def answer(photograph: bytes) -> Any:
        response = app.test_client().post("/people", data=photograph)
        assert response.status_code == 200
        return response.get_json()

    one_by_one = [answer(photograph) for photograph in photographs]
    assert [len(record["people"]) for record in one_by_one] == [
        len(posecv.estimate_people(posecv.load_network(), cv2.imread(str(REPOSITORY / "samples" / name))))
        for name in ("team.jpg", "player.jpg")
    ]
    with ThreadPoolExecutor(REQUESTS) as threads:
        at_once = list(threads.map(answer, photographs * (REQUESTS // 2)))
    assert at_once == one_by_one * (REQUESTS // 2)
    assert app.test_client().post("/people", data=b"no image").status_code == 400
