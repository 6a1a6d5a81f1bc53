"""Maps as pictures and values: which they are, where they lie, what they are called."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import walking
from conftest import RunScript
from figures import result_of
from networks import Pair, black, pack_maps, packed_network
from posecv.arrays import Array, Frame
from posecv.drawing.maps import overlay
from posecv.errors import UsageError
from posecv.geometry import Fit, NetSize
from posecv.outputs.heatmaps import Heatmaps, channels_of
from posecv.people import People
from posecv.result import Result, View
from posecv.skeletons import COCO, HAND, MPI, SKELETONS, Skeleton
from posecv.sources.pictures import read_picture
from scenes import scene


def grey(width: int, height: int) -> Frame:
    return np.full((height, width, 3), 120, np.uint8)


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "skeleton", "channels"),
    [
        ("nose", COCO, [0]),
        ("right_wrist", COCO, [4]),
        ("Right-Wrist", COCO, [4]),
        ("all", COCO, list(range(18))),
        ("background", COCO, [18]),
        ("pafs", COCO, list(range(19, 57))),
        ("neck-nose", COCO, [47, 48]),
        ("right-shoulder-right-elbow", COCO, [33, 34]),
        ("neck-chest", MPI, [30, 31]),
        ("index_4", HAND, [8]),
        ("all", HAND, list(range(21))),
    ],
)
def test_words_mean_channels(item: str, skeleton: Skeleton, channels: list[int]) -> None:
    assert channels_of(item, skeleton) == channels


@pytest.mark.parametrize(
    ("item", "skeleton", "nearest"),
    [
        ("noes", COCO, "nose"), ("nose-neck", COCO, "neck-nose"), ("pafs", HAND, "all"), ("", COCO, "all"),
        ("chest", COCO, "neck"),
    ],
)  # fmt: skip
def test_a_word_that_means_nothing_is_answered_with_the_nearest(item: str, skeleton: Skeleton, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"has no map of this name; try .*{nearest}"):
        channels_of(item, skeleton)


def test_every_keypoint_and_limb_of_every_skeleton_has_a_word_of_its_own() -> None:
    for skeleton in SKELETONS.values():
        fields = skeleton.limbs if skeleton.paf_channels else ()
        limbs = [f"{skeleton.keypoints[start]}-{skeleton.keypoints[end]}" for start, end in fields]
        found = [channels_of(word, skeleton)[0] for word in (*skeleton.keypoints, *limbs)]
        assert found == [*range(len(skeleton.keypoints)), *(skeleton.paf_channels if fields else ())]


# --- pictures -------------------------------------------------------------------------------------------------------


def test_nothing_is_neutral_and_the_signs_have_colours_of_their_own() -> None:
    values = np.array([[0, 0.5, 1, 7, -0.5, -1, -7]], np.float32)
    shown = overlay(grey(7, 1), values)[0].astype(int)
    assert shown[0].tolist() == [120, 120, 120]
    blue, _, red = shown.T
    assert (red[1:4] > blue[1:4]).all()
    assert (blue[4:] > red[4:]).all()
    assert red[2] - blue[2] > red[1] - blue[1] > 0
    assert shown[3].tolist() == shown[2].tolist()
    assert shown[6].tolist() == shown[5].tolist()


def test_the_frame_under_the_values_is_grey_and_stays_as_it_is() -> None:
    frame = black(2, 1)
    frame[0, 0] = (255, 0, 0)
    shown = overlay(frame, np.zeros((1, 2), np.float32))
    assert len(set(shown[0, 0].tolist())) == 1
    assert frame[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cell_s_value_lies_in_the_frame_where_its_keypoint_would(mirrored: bool) -> None:
    frame = grey(700, 500)
    fits = (
        Fit.of_frame(frame, NetSize.parse("-1x368"), mirrored=mirrored),
        Fit.of_box((-30, 60, 300, 300), NetSize.parse("192x192"), mirrored=mirrored),
    )
    for fit in fits:
        for cell in ((0, 0), (7, 11), (fit.width // 8 - 1, fit.height // 8 - 1)):
            values = np.zeros((fit.height // 8, fit.width // 8), np.float32)
            values[cell[1], cell[0]] = 1
            x, y = fit.to_frame(np.array(cell, np.float32))
            enlarged = fit.enlarged(values, (700, 500))
            assert enlarged.shape == (500, 700)
            if 0 <= x <= 699 and 0 <= y <= 499:
                assert enlarged[round(float(y)), round(float(x))] > 0.85
            elif enlarged.max() > 0:
                assert min(abs(x - np.nonzero(enlarged)[1])) <= 8 / fit.scale


def test_beyond_a_box_there_is_nothing() -> None:
    fit = Fit.of_box((200, 100, 96, 96), NetSize.parse("192x192"))
    enlarged = fit.enlarged(np.ones((24, 24), np.float32), (700, 500))
    rows, columns = np.nonzero(enlarged)
    assert rows.min() >= 94
    assert columns.min() >= 194
    assert max(rows.max() - 100, columns.max() - 200) <= 96 + 6
    np.testing.assert_allclose(enlarged[102:190, 202:290], 1, atol=1e-5)


# --- files ----------------------------------------------------------------------------------------------------------


def seen(maps: Array) -> Result:
    """What a network made of a picture that has its input's size."""
    height, width = maps.shape[1] * 8, maps.shape[2] * 8
    return result_of(frame=grey(width, height), view=View(maps, Fit(width, height, 1.0)))


def test_values_are_the_network_s_own_with_their_signs(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(57, 6, 8)).astype(np.float32)
    result = seen(maps)
    for item, channels in (("nose", [0]), ("neck-nose", [47, 48]), ("background", [18]), ("pafs", range(19, 57))):
        output = Heatmaps(tmp_path / "a", item)
        assert not output.has(None)
        output.write(result)
        assert output.has(None)
        values = np.load(tmp_path / f"a_heatmaps_{item}.npy")
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, maps[list(channels)])
    names = {path.stem.partition("heatmaps_")[2] for path in tmp_path.glob("*.png")}
    assert names == {"nose", "background", "neck-nose_x", "neck-nose_y", "pafs_x", "pafs_y"}


def test_of_several_maps_a_picture_shows_what_is_farthest_from_nothing(tmp_path: Path) -> None:
    maps = np.zeros((57, 6, 8), np.float32)
    maps[31, :, :4] = 0.3  # x of one limb
    maps[33, :, :4] = -0.8  # x of another
    maps[31, :, 4:] = 0.5
    Heatmaps(tmp_path / "a", "pafs").write(seen(maps))
    x, y = (read_picture(tmp_path / f"a_heatmaps_pafs_{axis}.png") for axis in "xy")
    assert (y == 120).all()
    assert x[24, 8].tolist() == overlay(grey(1, 1), np.full((1, 1), -0.8, np.float32))[0, 0].tolist()
    assert x[24, 56].tolist() == overlay(grey(1, 1), np.full((1, 1), 0.5, np.float32))[0, 0].tolist()


def test_a_network_of_heatmaps_alone_has_no_fields_to_show(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this network has only heatmaps"):
        Heatmaps(tmp_path / "a", "pafs").write(seen(np.zeros((19, 6, 8), np.float32)))


# --- runs -----------------------------------------------------------------------------------------------------------


def test_the_maps_of_a_picture_are_written_with_its_other_results(run_script: RunScript, tmp_path: Path) -> None:
    prototxt, caffemodel = packed_network(tmp_path, COCO)
    maps = scene("5 people").maps
    cv2.imwrite(str(tmp_path / "a.png"), pack_maps(maps))
    words = ["-p", str(prototxt), "-m", str(caffemodel), "-i", "a.png", "--net-size", "656x368", "--json", "out"]
    items = "nose,neck-nose,background"
    for script in ("run_pose.py", "run_multi_pose.py"):
        result = run_script(script, *words, "--heatmaps", "maps", "--heatmaps-of", items)
        assert result.returncode == 0, result.stderr
        for item, channels in (("nose", [0]), ("neck-nose", [47, 48]), ("background", [18])):
            values = np.load(tmp_path / "maps" / f"a_heatmaps_{item}.npy")
            np.testing.assert_allclose(values, maps[channels], atol=1 / 30000)
        assert len(list((tmp_path / "maps").iterdir())) == 3 + 4
        assert result.stderr.splitlines()[0].endswith("-> out/a_keypoints.json, maps")
    result = run_script("run_multi_pose.py", *words, "--heatmaps", "maps", "--heatmaps-of", "tail")
    assert result.returncode == 2
    assert "--heatmaps-of tail: coco has no map of this name" in result.stderr
    result = run_script("run_multi_pose.py", *words, "--heatmaps", "maps.png")
    assert result.returncode == 2
    assert "--heatmaps 'maps.png' is not the name of a folder" in result.stderr


def test_the_maps_of_a_film_are_named_by_its_frames_and_gone_on_with(
    run_script: RunScript, coco: Pair, tmp_path: Path
) -> None:
    walking.film(tmp_path / "walk.avi", 6)
    words = walking.words(coco, "-i", "walk.avi", "--heatmaps", "out", "--step", "2", "--json", "out", "--resume")
    assert run_script("run_multi_pose.py", *words, "--last", "3").returncode == 0
    names = [f"walk_{number:012d}_{kind}" for number in (0, 2) for kind in ("heatmaps_all.npy", "heatmaps_all.png")]
    names += [f"walk_{number:012d}_keypoints.json" for number in (0, 2)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    kept = tmp_path / "out" / "walk_000000000002_heatmaps_all.npy"
    lost = tmp_path / "out" / "walk_000000000000_heatmaps_all.npy"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert run_script("run_multi_pose.py", *words).returncode == 0
    assert kept.stat().st_mtime_ns == before
    assert lost.exists()
    assert (tmp_path / "out" / "walk_000000000004_heatmaps_all.png").exists()
    record = json.loads((tmp_path / "out" / "walk_000000000004_keypoints.json").read_text())
    assert len(record["people"]) == 1


@pytest.mark.parametrize("mirrored", [False, True])
def test_values_of_a_hand_have_the_sense_of_the_frame_and_its_box_beside_them(tmp_path: Path, mirrored: bool) -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    fit = Fit.of_box((100, 40, 80, 80), NetSize.parse("160x160"), mirrored=mirrored)
    maps = np.zeros((22, 20, 20), np.float32)
    maps[0, 5, 15 if not mirrored else 4] = 1  # the wrist is at the right of the box, in the frame
    Heatmaps(tmp_path / "a", "wrist").write(Result(People.empty(HAND), frame, view=View(maps, fit)))
    values = np.load(tmp_path / "a_heatmaps_wrist.npy")
    assert np.unravel_index(values[0].argmax(), values[0].shape) == (5, 15)
    box = json.loads((tmp_path / "a_heatmaps_wrist_box.json").read_text())
    assert list(box) == ["x", "y", "width", "height"]
    assert list(box.values()) == pytest.approx([100, 40, 80, 80], abs=1)  # pixels


def test_values_of_a_whole_frame_have_no_box(tmp_path: Path) -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    for mirrored in (False, True):
        fit = Fit.of_frame(frame, NetSize.parse("-1x160"), mirrored=mirrored)
        maps = np.zeros((22, fit.height // 8, fit.width // 8), np.float32)
        Heatmaps(tmp_path / "a", "wrist").write(Result(People.empty(HAND), frame, view=View(maps, fit)))
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_in_the_corner_of_the_frame_is_a_part_of_it(tmp_path: Path, mirrored: bool) -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    fit = Fit.of_box((0, 0, 80, 80), NetSize.parse("160x160"), mirrored=mirrored)
    maps = np.zeros((22, 20, 20), np.float32)
    Heatmaps(tmp_path / "a", "wrist").write(Result(People.empty(HAND), frame, view=View(maps, fit)))
    box = json.loads((tmp_path / "a_heatmaps_wrist_box.json").read_text())
    assert list(box.values()) == pytest.approx([0, 0, 80, 80], abs=1)


def test_a_large_mirrored_frame_has_no_box(tmp_path: Path) -> None:
    frame = np.zeros((800, 1200, 3), np.uint8)
    fit = Fit.of_frame(frame, NetSize.parse("-1x160"), mirrored=True)
    maps = np.zeros((22, fit.height // 8, fit.width // 8), np.float32)
    Heatmaps(tmp_path / "a", "wrist").write(Result(People.empty(HAND), frame, view=View(maps, fit)))
    assert not list(tmp_path.glob("*.json"))
