"""Degraded pictures: what each effect does to pixels whose fate can be worked out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from posecv.app.main import main
from posecv.degrade import EFFECTS, KERAS_EFFECTS, degrade, degrade_as_keras
from posecv.errors import InputError, UsageError

Frame = NDArray[np.uint8]

every_effect = pytest.mark.parametrize("effect", EFFECTS)
every_shape = pytest.mark.parametrize("shape", [(48, 64, 3), (33, 51, 3), (48, 64), (48, 64, 1), (1, 1, 3), (1, 40, 3)])


def random_frame(*shape: int) -> Frame:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def dot(level: int, *, width: int) -> Frame:
    """A black picture with one grey pixel in the middle."""
    frame = np.zeros((9, width, 3), np.uint8)
    frame[4, width // 2] = level
    return frame


# ---------------------------------------------------------------------------------------------------- every effect


@every_effect
@every_shape
def test_shape_and_type_stay_and_the_frame_is_not_changed(effect: str, shape: tuple[int, ...]) -> None:
    frame = random_frame(*shape)
    before = frame.copy()
    degraded = degrade(frame, effect)
    assert degraded.shape == shape
    assert degraded.dtype == np.uint8
    degraded[:] = 0
    np.testing.assert_array_equal(frame, before)


@every_effect
@every_shape
def test_the_neutral_strength_changes_nothing(effect: str, shape: tuple[int, ...]) -> None:
    frame = random_frame(*shape)
    degraded = degrade(frame, effect, strength=EFFECTS[effect].neutral)
    np.testing.assert_array_equal(degraded, frame)
    assert not np.shares_memory(degraded, frame)


@every_effect
def test_the_usual_strength_changes_something_and_the_strongest_is_possible(effect: str) -> None:
    frame = random_frame(24, 32, 3)
    assert np.any(degrade(frame, effect) != frame)
    assert degrade(frame, effect, strength=EFFECTS[effect].strongest).shape == frame.shape


@every_effect
def test_views_and_read_only_frames_are_degraded_like_their_copies(effect: str) -> None:
    frame = random_frame(20, 31, 3)
    frame.flags.writeable = False
    view = frame[::-1, ::2, ::-1]
    np.testing.assert_array_equal(degrade(view, effect), degrade(view.copy(), effect))


@pytest.mark.parametrize("effect", ["dark", "motion_blur", "low_resolution"])
def test_each_channel_is_degraded_as_a_grey_picture_would_be(effect: str) -> None:
    frame = random_frame(33, 51, 3)
    channels = [degrade(np.ascontiguousarray(frame[..., channel]), effect) for channel in range(3)]
    np.testing.assert_array_equal(degrade(frame, effect), np.stack(channels, axis=-1))


@pytest.mark.parametrize("effect", ["motion_blur", "low_resolution"])
@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_blur_and_low_resolution_keep_an_even_surface(effect: str, level: int) -> None:
    frame = np.full((33, 51, 3), level, np.uint8)
    np.testing.assert_array_equal(degrade(frame, effect), frame)


# ------------------------------------------------------------------------------------------------------ each effect


@pytest.mark.parametrize(("strength", "level"), [(None, 50), (0.25, 25), (0.1, 10), (0, 0)])
def test_dark_multiplies_the_level(strength: float | None, level: int) -> None:
    frame = np.full((4, 6, 3), 100, np.uint8)
    np.testing.assert_array_equal(degrade(frame, "dark", strength=strength), np.full_like(frame, level))


@pytest.mark.parametrize("length", [3, 15, 101])
def test_motion_blur_makes_of_a_pixel_a_line_of_the_same_sum(length: int) -> None:
    frame = dot(2 * length, width=2 * length + 1)
    expected = np.zeros_like(frame)
    expected[4, length - length // 2 : length + length // 2 + 1] = 2
    np.testing.assert_array_equal(degrade(frame, "motion_blur", strength=length), expected)
    assert expected.sum() == frame.sum()


def test_a_line_of_even_length_ends_in_halves_and_stays_centred() -> None:
    degraded = degrade(dot(200, width=11), "motion_blur", strength=4)
    assert degraded[4, :, 0].tolist() == [0, 0, 0, 25, 50, 50, 50, 25, 0, 0, 0]  # 200 / 4 each, and half of it


@pytest.mark.parametrize("factor", [0.5, 0.25, 0.2])
def test_low_resolution_shows_each_block_of_pixels_as_its_mean(factor: float) -> None:
    side = round(1 / factor)
    frame = random_frame(4 * side, 7 * side, 3)
    means = frame.reshape(4, side, 7, side, 3).mean(axis=(1, 3))
    degraded = degrade(frame, "low_resolution", strength=factor)
    assert np.abs(degraded - means.repeat(side, axis=0).repeat(side, axis=1)).max() <= 0.5
    np.testing.assert_array_equal(degrade(degraded, "low_resolution", strength=factor), degraded)


@pytest.mark.parametrize("width", [100, 101, 257])
@pytest.mark.parametrize("effect", ["motion_blur", "low_resolution"])
def test_a_bright_square_stays_where_it_is(effect: str, width: int) -> None:
    frame = np.zeros((60, width), np.uint8)
    frame[20:31, 40:55] = 255
    for axis in (0, 1):
        centres = [
            np.average(np.arange(picture.shape[axis]), weights=picture.sum(axis=1 - axis))
            for picture in (frame, degrade(frame, effect))
        ]
        assert abs(centres[1] - centres[0]) < 0.25


def test_noise_has_no_bias_and_the_deviation_that_was_asked_for() -> None:
    frame = np.full((200, 200, 3), 128, np.uint8)
    difference = degrade(frame, "noise", strength=10).astype(float) - 128
    deviation = np.hypot(10, 12**-0.5)  # rounding adds the variance of a uniform level, 1 / 12
    assert abs(difference.mean()) < 4 * deviation / difference.size**0.5
    assert difference.std() == pytest.approx(deviation, rel=4 / (2 * difference.size) ** 0.5)


def test_noise_neither_wraps_round_nor_darkens_white() -> None:
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    assert degrade(black, "noise", strength=10).max() < 128 < degrade(white, "noise", strength=10).min()


def test_a_seed_gives_the_same_noise_and_a_generator_goes_on() -> None:
    frame = random_frame(20, 30, 3)
    first = degrade(frame, "noise", rng=7)
    np.testing.assert_array_equal(degrade(frame, "noise", rng=7), first)
    assert np.any(degrade(frame, "noise", rng=8) != first)
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(degrade(frame, "noise", rng=generator), first)
    assert np.any(degrade(frame, "noise", rng=generator) != first)


# ----------------------------------------------------------------------------------------------------------- errors


def test_an_unknown_effect_is_answered_with_the_known_ones() -> None:
    message = r"^effect fog is unknown; choose one of dark, motion_blur, low_resolution, noise$"
    with pytest.raises(UsageError, match=message):
        degrade(random_frame(4, 4, 3), "fog")


@every_effect
@pytest.mark.parametrize("strength", [-0.1, 1000.0, float("nan")])
def test_a_strength_out_of_range_is_answered_with_unit_and_range(effect: str, strength: float) -> None:
    low, high = sorted((EFFECTS[effect].neutral, EFFECTS[effect].strongest))
    with pytest.raises(UsageError) as error:
        degrade(random_frame(4, 4, 3), effect, strength=strength)
    assert str(error.value) == (
        f"strength {strength} of {effect} is out of range: it is {EFFECTS[effect].unit}, {low} to {high}"
    )


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (None, "NoneType"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\) uint8"),
        (np.zeros((4, 4, 3), np.float32), r"\(4, 4, 3\) float32"),
        (np.zeros(4, np.uint8), r"\(4,\) uint8"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\) uint8"),
    ],
)
def test_what_is_no_picture_is_refused(frame: Any, found: str) -> None:
    with pytest.raises(InputError, match=rf"must be a \(H, W, 3\) or grey \(H, W\) uint8 array.* {found}$"):
        degrade(frame, "dark")


@pytest.mark.parametrize("rng", [-1, "seven"])
def test_what_is_no_seed_is_refused(rng: Any) -> None:
    with pytest.raises(UsageError, match=f"rng is {rng!r}; it must be a non-negative integer"):
        degrade(random_frame(4, 4, 3), "noise", rng=rng)


# ------------------------------------------------------------------------------ as keras-openpose-reproduce has them


def test_the_old_darkness_is_half_of_each_level_rounded_down() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(degrade_as_keras(levels, "dark"), levels // 2)


def test_the_old_blur_spreads_a_dot_over_30_pixels_one_row_lower() -> None:
    """Its kernel has 30 columns and the line in row 14, but the anchor in column and row 15."""
    frame = np.zeros((40, 80), np.uint8)
    frame[20, 40] = 240
    expected = np.zeros_like(frame)
    expected[21, 40 - 14 : 40 + 16] = 240 // 30
    np.testing.assert_array_equal(degrade_as_keras(frame, "motion_blur"), expected)


def test_the_old_low_resolution_is_a_smaller_image() -> None:
    assert degrade_as_keras(random_frame(33, 51, 3), "low_resolution").shape == (16, 25, 3)


@pytest.mark.parametrize("effect", KERAS_EFFECTS)
def test_the_old_effects_keep_the_frame_and_know_their_range(effect: str) -> None:
    frame = random_frame(40, 40, 3)
    before = frame.copy()
    assert degrade_as_keras(frame, effect).ndim == 3
    np.testing.assert_array_equal(frame, before)
    with pytest.raises(UsageError, match="out of range"):
        degrade_as_keras(frame, effect, strength=-1)


# ------------------------------------------------------------------------------------------------------ the command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images and their annotations."""
    place = tmp_path / "val"
    place.mkdir()
    for number in (3, 4):
        cv2.imwrite(str(place / f"{number}.png"), random_frame(20, 40, 3))
    truth = {
        "images": [{"id": number, "file_name": f"{number}.png", "width": 40, "height": 20} for number in (3, 4)],
        "annotations": [{"id": 1, "image_id": 3, "keypoints": [10, 6, 2], "bbox": [4, 2, 8, 8], "area": 40}],
    }
    (tmp_path / "keypoints.json").write_text(json.dumps(truth))
    return place


def test_a_folder_of_half_the_size_has_annotations_of_half_the_size(folder: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "half", tmp_path / "keypoints.json"
    words = ["--effect", "low_resolution", "--form", "keras", "--annotations", str(file)]
    assert main(["degrade", str(folder), str(out), *words]) == 0
    original = cv2.imread(str(folder / "3.png"))
    np.testing.assert_array_equal(cv2.imread(str(out / "3.png")), cv2.resize(original, (20, 10)))
    truth = json.loads((out / "keypoints.json").read_text())
    assert truth["images"][0] == {"id": 3, "file_name": "3.png", "width": 20, "height": 10}
    (person,) = truth["annotations"]
    assert (person["keypoints"], person["bbox"], person["area"]) == ([5, 3, 2], [2, 1, 4, 4], 10)


def test_a_damaged_image_is_told_and_the_others_are_degraded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "5.png").write_bytes(b"no image")
    assert main(["degrade", str(folder), str(tmp_path / "out"), "--effect", "dark"]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["3.png", "4.png"]
    assert capsys.readouterr().err.count("\n") == 1


def test_the_folder_of_the_images_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "3.png").read_bytes()
    assert main(["degrade", str(folder), str(folder), "--effect", "dark"]) == 2
    assert (folder / "3.png").read_bytes() == before
    assert "give another" in capsys.readouterr().err
