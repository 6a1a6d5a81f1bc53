"""Degraded pictures: what each effect does to pixels whose fate can be worked out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from posecv.degrade import EFFECTS, degrade
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
