"""The samples: whole, small, credited, and what their tools make."""

from __future__ import annotations

import importlib.util
import os
import re
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tools import make_clip, make_samples

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
SHARED = Path(os.environ.get("POSECV_SHARED", ROOT.parent / "shared"))
PICTURES = ("astronaut.jpg", "camera.jpg", "grace_hopper.jpg", "hand.jpg", "player.jpg", "skater.jpg", "team.jpg")
CLIP = SAMPLES / "clip.mp4"


def frames(path: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path))
    found: list[NDArray[np.uint8]] = []
    while True:
        more, frame = capture.read()
        if not more:
            return found
        found.append(np.asarray(frame, np.uint8))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference of two pictures in levels."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def picture_of(path: Path, flags: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), flags)
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


def credits() -> dict[str, str]:
    """The rows of the README's table by file."""
    rows = re.findall(r"^\| `(\S+)` \|(.*)\|$", (SAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


def test_every_sample_is_credited_with_origin_and_licence() -> None:
    names = {path.name for path in SAMPLES.iterdir() if not path.name.startswith(".")}
    files = names - {"README.md", "pose_estimation.ipynb"}
    assert files == {*PICTURES, CLIP.name}
    assert set(credits()) == files
    for name, row in credits().items():
        assert len(row.split(" | ")) == 4, name
        assert re.search(r"public domain|CC0|CC BY 2\.0", row), name


def test_every_photograph_from_flickr_is_credited_by_its_address() -> None:
    for name, (number, _) in make_samples.FROM_COCO.items():
        row = credits()[name]
        page, file = re.search(r"photo\.gne\?id=(\d+)", row), re.search(r"staticflickr\.com/\d+/(\d+)_", row)
        assert page is not None
        assert file is not None
        assert page[1] == file[1]
        assert f"COCO {number}" in row
        assert "CC BY 2.0" in row


@pytest.mark.parametrize("name", PICTURES)
def test_a_photograph_can_be_read_and_is_as_large_as_its_row_says(name: str) -> None:
    picture = picture_of(SAMPLES / name)
    sizes = re.findall(r"(\d+) x (\d+)", credits()[name])
    if sizes:
        assert (picture.shape[1], picture.shape[0]) == tuple(map(int, sizes[-1]))
    assert picture.std() > 20


def test_the_camera_is_grey() -> None:
    assert picture_of(SAMPLES / "camera.jpg", cv2.IMREAD_UNCHANGED).ndim == 2


def test_the_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 2_000_000


def test_the_clip_has_four_seconds_of_frames() -> None:
    capture = cv2.VideoCapture(str(CLIP))
    assert capture.get(cv2.CAP_PROP_FPS) == 25
    found = frames(CLIP)
    assert len(found) == 100
    assert {frame.shape for frame in found} == {(320, 480, 3)}


def test_the_clip_moves_evenly_and_is_cut_twice() -> None:
    found = frames(CLIP)
    steps = [difference(one, other) for one, other in pairwise(found)]
    shots = [shot.frames for shot in make_clip.SHOTS]
    cuts = set(np.argsort(steps)[-2:].tolist())
    assert cuts == {shots[0] - 1, shots[0] + shots[1] - 1}
    within = [step for index, step in enumerate(steps) if index not in cuts]
    assert max(within) < min(steps[cut] for cut in cuts) / 2


def test_the_camera_never_leaves_its_photograph() -> None:
    for shot in make_clip.SHOTS:
        height, width = picture_of(SAMPLES / shot.picture).shape[:2]
        for left, top, across in (shot.start, shot.end):
            assert left >= 0
            assert top >= 0
            assert left + across <= width
            assert top + across * make_clip.SIZE[1] / make_clip.SIZE[0] <= height


def test_the_tool_makes_the_clip_that_is_there(tmp_path: Path) -> None:
    make_clip.main(["--output", str(tmp_path / "clip.mp4")])
    again, there = frames(tmp_path / "clip.mp4"), frames(CLIP)
    assert len(again) == len(there)
    assert max(difference(one, other) for one, other in zip(again, there, strict=True)) < 3


def test_the_tool_makes_the_photographs_that_are_there(tmp_path: Path) -> None:
    for package in ("skimage", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if not (SHARED / "training" / "coco").is_dir():
        pytest.skip("the COCO training pictures are not here (POSECV_SHARED)")
    make_samples.main([str(SHARED / "training" / "coco"), "--output", str(tmp_path)])
    for name in PICTURES:
        assert difference(picture_of(tmp_path / name), picture_of(SAMPLES / name)) < 1
