"""Facts about the repository as a whole: what is in it, and that its pages say what is true."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import posecv
from conftest import OWN_WEIGHTS, REPOSITORY, RunScript
from networks import painted_network, write_manifest
from posecv.errors import ModelError
from posecv.geometry import Preprocessing
from posecv.models import Row, manifest, read_manifest
from posecv.skeletons import COCO, FACE, HAND
from tools import demo, fill_manifest

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MEGABYTE = 1_000_000

OF_CROPS = "light_pose"  # it looks at one person, and has no fields

OWN_ROWS = [row for row in manifest() if f"models/{row.weights}/pose.caffemodel" in OWN_WEIGHTS]
own_row = pytest.mark.parametrize("row", OWN_ROWS, ids=lambda row: row.name)


def tracked() -> list[Path]:
    """The files that git keeps."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    if not files:
        pytest.skip("git keeps nothing yet")
    return [path for path in files if path.is_file()]


def pages() -> list[Path]:
    """The Markdown pages of the repository, models' cards included."""
    return [
        path
        for path in sorted(REPOSITORY.rglob("*.md"))
        if not any(part.startswith(".") or part == "node_modules" for part in path.relative_to(REPOSITORY).parts)
    ]


def links(page: Path) -> set[str]:
    """The local files that a page links to, as it writes them."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return {target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)}


# -------------------------------------------------------------------------------------------------- what is tracked


def test_no_tracked_file_is_over_16_megabytes() -> None:
    assert [path for path in tracked() if path.stat().st_size > 16 * MEGABYTE] == []


def test_the_models_folder_stays_under_48_megabytes() -> None:
    assert sum(path.stat().st_size for path in tracked() if "models" in path.parts) < 48 * MEGABYTE


def test_only_our_own_weights_are_tracked() -> None:
    weights = {path.relative_to(REPOSITORY).as_posix() for path in tracked() if path.suffix == ".caffemodel"}
    assert weights <= set(OWN_WEIGHTS)


def test_git_and_the_wheel_leave_out_all_weights_but_our_own() -> None:
    lines = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "*.caffemodel" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(OWN_WEIGHTS)


def test_what_shells_and_make_read_keeps_its_line_ends_on_windows() -> None:
    """Programs with a #! line, and the files that recipes of the Makefile read or run."""
    rules = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    files = [path for path in tracked() if path.is_file()]
    run = {path for path in files if path.read_bytes().startswith(b"#!")} | {REPOSITORY / "Makefile"}
    read = {path for path in files if path.parent == REPOSITORY and path.suffix and f" {path.name}" in rules}
    names = sorted(path.relative_to(REPOSITORY).as_posix() for path in run | read)
    assert {"getModels.sh", "run_pose.py", "pyproject.toml", "requirements.txt"} <= set(names)
    command = ["git", "check-attr", "eol", "--", *names]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in said if not line.endswith(": lf")] == []


def test_nothing_that_git_ignores_is_tracked() -> None:
    tracked()
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert listed.stdout == ""


def test_no_tracked_text_names_a_machine() -> None:
    machine = re.compile(rb"/(?:home|Users|work|tmp/venv)/\w|/root/")
    offenders = [
        path
        for path in tracked()
        if path != Path(__file__).resolve()
        and b"\0" not in (data := path.read_bytes())[:8000]
        and machine.search(data)
    ]
    assert offenders == []


def test_only_those_who_work_on_the_repository_read_of_the_shared_data() -> None:
    allowed = {"CONTRIBUTING.md", "tests", "benchmarks", "training"}
    offenders = [
        path
        for path in tracked()
        if path.relative_to(REPOSITORY).parts[0] not in allowed
        and b"\0" not in (data := path.read_bytes())[:8000]
        and re.search(rb"POSECV_SHARED|\.\./shared", data)
    ]
    assert offenders == []


def test_scripts_that_are_run_by_name_are_executable() -> None:
    if os.name == "nt":
        pytest.skip("Windows has no such bit")
    assert all(os.access(REPOSITORY / name, os.X_OK) for name in ("getModels.sh", ".ci/run"))


# ------------------------------------------------------------------------------------------------- our own networks


def test_our_own_weights_and_their_rows_come_together() -> None:
    there = {path for path in OWN_WEIGHTS if (REPOSITORY / path).is_file()}
    assert {f"models/{row.weights}/pose.caffemodel" for row in OWN_ROWS} == there


@own_row
def test_our_own_weights_are_those_of_the_manifest(row: Row) -> None:
    data = (REPOSITORY / "models" / row.weights / "pose.caffemodel").read_bytes()
    assert (row.bytes, row.md5, row.sha256) == (
        len(data),
        hashlib.md5(data).hexdigest(),
        hashlib.sha256(data).hexdigest(),
    )


@own_row
def test_our_own_weights_have_a_licence_and_a_card_beside_them(row: Row) -> None:
    folder = REPOSITORY / "models" / row.weights
    assert (folder / "LICENSE").stat().st_size > 0
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{row.bytes:,} bytes" in card
    assert row.sha256 is not None
    assert row.sha256 in card
    assert row.use == "any" or row.use in card


@own_row
def test_our_own_networks_have_their_skeletons_channels_and_openposes_preprocessing(row: Row) -> None:
    assert replace(row.preprocessing, padding=0) == Preprocessing()
    if row.skeleton is None:
        with pytest.raises(ModelError, match="finds people's boxes, not their keypoints; use model=light"):
            posecv.load_network(row.name)
        return
    network = posecv.load_network(row.name)
    channels = row.skeleton.heatmaps if row.weights == OF_CROPS else row.skeleton.channels
    height, width = network.crops.layout.size if network.crops else (64, 64)
    assert len(network.maps(np.zeros((1, 3, height, width), np.float32))) == channels
    assert (network.crops is not None) == (row.detector is not None)


@own_row
def test_our_own_networks_find_somebody_in_the_samples(row: Row, run_script: RunScript, tmp_path: Path) -> None:
    if row.skeleton is None:
        pytest.skip("a detector alone finds no keypoints")
    script, option, sample = {
        HAND.name: ("run_hand.py", ("--model", row.name), "hand.jpg"),
        FACE.name: ("run_multi_pose.py", ("--face", "--face-model", row.name), "astronaut.jpg"),
    }.get(row.skeleton.name, ("run_multi_pose.py", ("--model", row.name), "team.jpg"))
    if row.name == OF_CROPS:
        script, option, sample = "run_pose.py", ("--model", row.name, "--net-size", "192x256"), "skater.jpg"
    picture = REPOSITORY / "samples" / sample
    result = run_script(script, *option, "-i", picture, "--json", "found.json")
    assert result.returncode == 0, result.stderr
    assert len(result.stderr.splitlines()) == 1 + (row.use != "any")
    people = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["people"]
    kind = {HAND.name: "hand_right", FACE.name: "face"}.get(row.skeleton.name, "pose")
    assert any(person[f"{kind}_keypoints_2d"] for person in people)


def test_size_and_hashes_are_written_into_the_rows_without_mirrors(tmp_path: Path) -> None:
    rows = [{"name": name, "weights": name} for name in ("ours", "theirs", "missing")]
    rows[1]["mirrors"] = "http://one/a"
    before = write_manifest(tmp_path, *rows).read_text(encoding="utf-8").splitlines()
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pose.caffemodel").write_bytes(b"weights")
    fill_manifest.main(tmp_path)
    assert [row.bytes for row in read_manifest(tmp_path / "MANIFEST.tsv")] == [7, None, None]
    (ours, *_) = read_manifest(tmp_path / "MANIFEST.tsv")
    assert (ours.md5, ours.sha256) == (hashlib.md5(b"weights").hexdigest(), hashlib.sha256(b"weights").hexdigest())
    after = (tmp_path / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    assert [*after[:1], *after[2:]] == [*before[:1], *before[2:]]


# --------------------------------------------------------------------------------------------- what the pages say


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_what_a_page_links_to_is_there(page: Path) -> None:
    assert [target for target in sorted(links(page)) if not (page.parent / target).exists()] == []


def test_the_readme_leads_to_every_page_of_docs() -> None:
    there = {f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")}
    assert there <= links(REPOSITORY / "README.md")


def test_the_readme_has_every_model() -> None:
    assert all(f"| `{row.name}`" in README for row in manifest() if row.mirrors or row in OWN_ROWS)


def test_the_version_is_the_same_everywhere() -> None:
    citation = re.search(r"^version: (\S+)$", (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^## (\d\S+)", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert citation
    assert newest
    assert citation[1] == newest[1] == posecv.__version__


def test_the_citation_has_what_its_format_asks_for() -> None:
    text = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    keys = re.findall(r"^([a-z-]+):", text, re.MULTILINE)
    assert {"cff-version", "message", "title", "authors"} <= set(keys)
    assert len(keys) == len(set(keys))


# ------------------------------------------------------------------------------------------------------- make demo


@pytest.fixture
def demo_checkout(bare_checkout: Path) -> Path:
    """The checkout without weights, with the demo and two photographs."""
    for name in ("tools/demo.py", "samples/player.jpg", "samples/camera.jpg"):
        (bare_checkout / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, bare_checkout / name)
    return bare_checkout


def run_demo(run_script: RunScript, checkout: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The demo of a checkout, as a program."""
    return run_script(str(checkout / "tools" / "demo.py"), env={"PYTHONPATH": str(checkout), **env})


def test_without_weights_the_demo_says_where_they_come_from(run_script: RunScript, demo_checkout: Path) -> None:
    result = run_demo(run_script, demo_checkout)
    assert result.returncode == 0, result.stderr
    assert "./getModels.sh coco" in result.stdout
    assert "./getModels.sh hand" not in result.stdout


def test_the_demo_prefers_models_for_any_use() -> None:
    uses = [row.use == "any" for row in demo.body_rows(manifest())]
    assert uses == sorted(uses, reverse=True)


def test_the_demo_takes_light_body_where_it_is_there() -> None:
    first = demo.first_found([row.name for row in demo.body_rows(manifest())])
    assert any(row.name == "light_body" for row in OWN_ROWS) == (first is not None and first.name == "light_body")


def test_the_demo_runs_with_the_first_model_that_it_finds(
    run_script: RunScript, demo_checkout: Path, tmp_path: Path
) -> None:
    """With a painted network found through POSECV_MODELS, where our own is not there, on the real photographs."""
    row = demo.body_rows(manifest())[0]
    (tmp_path / row.weights).mkdir()
    painted_network(tmp_path / row.weights, COCO)
    result = run_demo(run_script, demo_checkout, POSECV_MODELS=str(tmp_path))
    assert result.returncode == 0, result.stderr
    drawn = sorted(path.name for path in (demo_checkout / demo.OUTPUT).glob("*_pose.png"))
    assert drawn == ["camera_pose.png", "player_pose.png"]
    records = (demo_checkout / demo.OUTPUT / "people.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(record)["version"] for record in records] == [pytest.approx(1.3)] * 2


def test_the_demo_shows_all_samples_but_the_one_with_a_hand_alone() -> None:
    shown = set(demo.samples())
    assert {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "samples").glob("*.jpg")} - shown == {
        "samples/hand.jpg"
    }
    assert "samples/clip.mp4" in shown
    assert all((REPOSITORY / path).is_file() for path in shown)
