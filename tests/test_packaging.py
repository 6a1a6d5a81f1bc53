"""The wheel and the source archive: what is in them, and that they work away from the checkout."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import HIDDEN, OWN_WEIGHTS, REPOSITORY
from posecv.models import manifest

if importlib.util.find_spec("hatchling") is None:
    pytest.skip("building needs hatchling (the extra dev)", allow_module_level=True)

COMMANDS = ("run_pose", "run_multi_pose", "run_hand", "webcam_pose")
PARTS = ("posecv", "models", "pyproject.toml", "README.md", "LICENSE", ".gitignore", *(f"{c}.py" for c in COMMANDS))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, with our own weights and somebody else's lying about in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in PARTS:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.caffemodel"))
        else:
            shutil.copy(source, folder / name)
    for path in ("coco/pose.caffemodel", "pose_iter_584000.caffemodel", "hand/pose.caffemodel.part"):
        (folder / "models" / path).write_bytes(b"not ours to ship")
    for path in OWN_WEIGHTS:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"ours")
    return folder


def build(kind: str, folder: Path, target: Path) -> Path:
    """Build "wheel" or "sdist" of a folder without asking a package registry."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_whole_package_and_the_models(wheel: Path) -> None:
    package = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "posecv").rglob("*.py")}
    models = {
        f"posecv/_models/{path.relative_to(REPOSITORY / 'models').as_posix()}"
        for path in (REPOSITORY / "models").rglob("*")
        if path.name in ("MANIFEST.tsv", "pose.prototxt", "README.md")
    }
    assert len(models) > 6
    assert package | models | {"posecv/py.typed", "posecv/live/page.html"} <= names_in(wheel)


def weights_among(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.endswith((".caffemodel", ".part"))}


def test_the_wheel_holds_our_own_weights_and_nobody_elses_and_nothing_outside_the_package(wheel: Path) -> None:
    names = names_in(wheel)
    assert weights_among(names) == {path.replace("models/", "posecv/_models/") for path in OWN_WEIGHTS}
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"posecv"}


def test_a_wheel_made_from_the_source_archive_is_the_same(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    archive = build("sdist", checkout, tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        assert {name.partition("/")[2] for name in weights_among(packed.getnames())} == set(OWN_WEIGHTS)
        if sys.version_info >= (3, 12):
            packed.extractall(tmp_path / "unpacked", filter="data")
        else:
            packed.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert names_in(build("wheel", unpacked, tmp_path / "wheel")) == names_in(wheel)


def test_the_wheel_asks_for_what_requirements_txt_lists(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    asked = {line.split(": ", 1)[1] for line in metadata.splitlines() if re.match(r"Requires-Dist: [^;]+$", line)}
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    assert {as_set(word) for word in asked} == {as_set(word) for word in listed}


def as_set(requirement: str) -> tuple[str, frozenset[str]]:
    """A requirement's name and its bounds in no order."""
    name, bounds = re.fullmatch(r"([\w-]+)(.*)", requirement.replace(" ", "")).groups()  # type: ignore[union-attr]
    return name, frozenset(bounds.split(","))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("installing needs pip")
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*command, str(folder), str(wheel)], check=True, capture_output=True, text=True)
    return folder


def run_away(installed: Path, empty: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an empty folder, with the installed wheel and without the checkout."""
    env = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    env |= {"PYTHONPATH": str(installed), "HOME": str(empty)}
    return subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_installed_command_runs_from_an_empty_folder(command: str, installed: Path, tmp_path: Path) -> None:
    program = str(next((installed / "bin").glob(f"{command}*")))
    result = run_away(installed, tmp_path, program, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: {command}")


def test_the_installed_package_knows_the_models_and_says_how_to_get_weights(installed: Path, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "grey.png"), np.full((32, 32), 128, np.uint8))
    program = str(next((installed / "bin").glob("run_multi_pose*")))
    result = run_away(installed, tmp_path, program, "--model", "coco", "-i", "grey.png", "-o", "drawn.png")
    (row,) = (row for row in manifest() if row.name == "coco")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert row.mirrors[0] in result.stderr
    assert str(row.md5) in result.stderr


def test_the_installed_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "import posecv.models as m; print(m.__file__); print(len(m.manifest()))"
    result = run_away(installed, tmp_path, sys.executable, "-c", code)
    file, rows = result.stdout.split()
    assert Path(file).resolve().is_relative_to(installed.resolve())
    assert int(rows) >= 6
