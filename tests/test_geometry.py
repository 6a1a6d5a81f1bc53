"""From frame to network input and back: sizes, places, values."""

from __future__ import annotations

import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import RADIUS, black, paint_person, painted_network, standing_person
from posecv.engines.network import load_network
from posecv.errors import UsageError
from posecv.estimators.functions import estimate_people
from posecv.geometry import Fit, NetSize, Preprocessing, square_box
from posecv.skeletons import COCO

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]

OPENPOSE = Preprocessing()
# Small, even, odd, tall, wide, large, and larger than the blocks that a much reduced frame is averaged over.
SIZES = [(100, 75), (333, 500), (496, 368), (640, 480), (1280, 720), (457, 1223), (2200, 900), (2592, 1944)]


def random_frame(width: int, height: int) -> Frame:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


# -------------------------------------------------------------------------------------------------------- net size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("-1x368", NetSize(height=368)),
        ("368x-1", NetSize(width=368)),
        ("656x368", NetSize(656, 368)),
        (" 656X368 ", NetSize(656, 368)),
        ("368", NetSize(shorter=368)),
        (368, NetSize(shorter=368)),
        ((656, 368), NetSize(656, 368)),
        ((-1, 368), NetSize(height=368)),
        (NetSize(16, 16), NetSize(16, 16)),
    ],
)
def test_a_net_size_is_read_as_it_is_written(text: str | int | tuple[int, int] | NetSize, size: NetSize) -> None:
    assert NetSize.parse(text) == size


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "-1x-1", "x368", "368x", "-2x368", "1e3", "36.8", "656 368", "656x368x3", "wide", "--1x368"]
)
def test_what_is_no_net_size_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=rf"^net_size={re.escape(text)} is not a size") as caught:
        NetSize.parse(text)
    assert "-1x368" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["16400", "-1x16400", "9" * 500, "9" * 5000, f"368x{'9' * 5000}"])
def test_a_net_size_beyond_any_networks_is_refused_whatever_its_length(text: str) -> None:
    with pytest.raises(UsageError, match=r"^net_size=.{1,40}: a side has at most 16384 pixels$"):
        NetSize.parse(text)


@pytest.mark.parametrize(("text", "nearest"), [("100", 96), ("100x368", 96), ("-1x367", 368), ("0", 16), ("7x7", 16)])
def test_a_net_size_that_is_no_multiple_of_16_is_told_the_nearest_that_is(text: str, nearest: int) -> None:
    with pytest.raises(UsageError, match="multiple of 16") as caught:
        NetSize.parse(text)
    assert str(caught.value).endswith(str(nearest))


@pytest.mark.parametrize(
    ("frame", "net"),
    [
        ((1920, 1080), (656, 368)),
        ((1280, 720), (656, 368)),
        ((640, 480), (496, 368)),
        ((720, 1280), (208, 368)),
        ((500, 500), (368, 368)),
        ((3000, 1000), (656, 368)),
    ],
)
def test_the_default_size_is_openposes_for_pictures(frame: tuple[int, int], net: tuple[int, int]) -> None:
    """The checks of OpenPose's rule, -1x368 with a dynamic of 1."""
    assert NetSize.parse("-1x368").of_frame(*frame) == net


@pytest.mark.parametrize("width", [1, 10, 99, 640, 1000, 8000])
@pytest.mark.parametrize("height", [1, 10, 99, 480, 1000, 6000])
@pytest.mark.parametrize("side", [16, 256, 368])
def test_a_free_side_follows_the_frame_up_to_16_to_9(width: int, height: int, side: int) -> None:
    def multiple(length: float) -> int:
        return max(16, 16 * math.floor(length / 16 + 0.5))

    wide = multiple(min(side * 16 / 9, side * width / height))
    tall = multiple(min(side * 9 / 16, side * height / width))
    assert NetSize.parse(f"-1x{side}").of_frame(width, height) == (wide, side)
    assert NetSize.parse(f"{side}x-1").of_frame(width, height) == (side, tall)
    assert NetSize.parse(f"{side}x{side}").of_frame(width, height) == (side, side)


@pytest.mark.parametrize("size", SIZES)
def test_one_number_is_the_shorter_side_whichever_way_the_frame_lies(size: tuple[int, int]) -> None:
    net = NetSize.parse(256).of_frame(*size)
    assert min(net) == 256
    assert (net[0] >= net[1]) == (size[0] >= size[1])
    assert NetSize.parse(256).of_frame(*size[::-1]) == net[::-1]


# ----------------------------------------------------------------------------------------------------------- places


def in_network(fit: Fit, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the frame lies in the input."""
    return ((fit.x - x if fit.mirrored else x - fit.x) * fit.scale, (y - fit.y) * fit.scale)


def in_cells(fit: Fit, x: float, y: float) -> Array:
    """Where a pixel of the frame lies in the maps: the first cell's centre is that of network pixels 0 to 7."""
    return ((np.array(in_network(fit, x, y)) - 3.5) / 8).astype(np.float32)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_the_frames_corner_pixels_lie_on_corner_pixels_of_the_input(size: tuple[int, int], mirrored: bool) -> None:
    fit = Fit.of_frame(black(*size), NetSize.parse("-1x368"), mirrored=mirrored)
    first = in_network(fit, size[0] - 1 if mirrored else 0, 0)
    last = in_network(fit, 0 if mirrored else size[0] - 1, size[1] - 1)
    assert first == pytest.approx((0, 0))
    room = np.array([fit.width - 1, fit.height - 1]) - last
    assert room.min() == pytest.approx(0, abs=1e-9)  # one side is filled, the other has a border
    assert room.max() >= 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_pixel_comes_back_from_the_maps_where_it_was(size: tuple[int, int], mirrored: bool) -> None:
    fits = [
        Fit.of_frame(black(*size), NetSize.parse("-1x368"), mirrored=mirrored),
        Fit.of_box((12.5, -7, 180, 180), NetSize(368, 368), mirrored=mirrored),
    ]
    for fit in fits:
        for place in ((0, 0), (size[0] - 1, size[1] - 1), (17.25, 33.5)):
            np.testing.assert_allclose(fit.to_frame(in_cells(fit, *place)), place, atol=1e-3)


def test_positions_keep_their_shape() -> None:
    fit = Fit.of_frame(black(64, 48), NetSize(64, 48))
    for shape in ((2,), (5, 2), (3, 18, 2), (0, 18, 2)):
        assert fit.to_frame(np.zeros(shape, np.float32)).shape == shape
    assert fit.to_frame(np.zeros((1, 2), np.float32)).dtype == np.float32


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_fills_the_input_from_side_to_side(mirrored: bool) -> None:
    fit = Fit.of_box((40, 30, 92, 92), NetSize(368, 368), mirrored=mirrored)
    assert (fit.width, fit.height, fit.scale) == (368, 368, 4)
    assert in_network(fit, 40 + 92 if mirrored else 40, 30) == (0, 0)
    assert in_network(fit, 40 if mirrored else 40 + 92, 30 + 92) == (368, 368)


@pytest.mark.parametrize("box", [(10, 20, 30, 50), (10, 20, 50, 30), (-4, 3, 7, 7)])
def test_a_box_grows_to_the_square_round_its_centre(box: tuple[float, float, float, float]) -> None:
    x, y, width, height = box
    left, top, side, other = square_box(box)
    assert side == other == max(width, height)
    assert (left + side / 2, top + side / 2) == (x + width / 2, y + height / 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (10, 1000), (1000, 10), (2, 2)])
def test_frames_of_a_pixel_and_of_a_line_have_an_input(size: tuple[int, int]) -> None:
    frame = np.full((size[1], size[0], 3), 200, np.uint8)
    for net_size in ("-1x368", "368x-1", "368", "16x16"):
        fit = Fit.of_frame(frame, NetSize.parse(net_size))
        blob = fit.blob(frame, OPENPOSE)
        assert blob.shape == (1, 3, fit.height, fit.width)
        assert min(fit.width, fit.height) >= 16
        assert np.isfinite(blob).all()
        assert blob.max() > -0.5  # some of it is there
        assert np.isfinite(fit.to_frame(np.zeros((1, 2), np.float32))).all()


# ----------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("swap_rb", [False, True])
def test_the_input_is_value_minus_mean_times_scale(swap_rb: bool) -> None:
    frame = random_frame(64, 48)
    preprocessing = Preprocessing(scale=1 / 100, mean=(10.0, 20.5, 130.0), swap_rb=swap_rb)
    blob = Fit.of_frame(frame, NetSize(64, 48)).blob(frame, preprocessing)
    colors = frame[..., ::-1] if swap_rb else frame
    expected = (colors.astype(np.float64) - preprocessing.mean) * preprocessing.scale
    np.testing.assert_allclose(blob, expected.transpose(2, 0, 1)[None], atol=1e-6)
    assert blob.dtype == np.float32


def test_openposes_input_is_value_over_256_minus_a_half() -> None:
    frame = random_frame(64, 48)
    blob = Fit.of_frame(frame, NetSize(64, 48)).blob(frame, OPENPOSE)
    np.testing.assert_array_equal(blob, frame.transpose(2, 0, 1)[None].astype(np.float32) / 256 - 0.5)


@pytest.mark.parametrize("padding", [0, 128, 255])
def test_the_border_has_the_value_of_the_padding(padding: int) -> None:
    frame = np.full((48, 32, 3), 77, np.uint8)
    preprocessing = Preprocessing(scale=1 / 50, mean=(1.0, 2.0, 3.0), padding=padding)
    blob = Fit.of_frame(frame, NetSize(64, 48)).blob(frame, preprocessing)[0]
    for channel, mean in zip(blob, (1, 2, 3), strict=True):
        np.testing.assert_allclose(channel[:, :32], (77 - mean) / 50, atol=1e-6)
        np.testing.assert_allclose(channel[:, 32:], (padding - mean) / 50, atol=1e-6)


def test_a_mirrored_fit_sees_the_mirrored_frame() -> None:
    frame = random_frame(64, 48)
    mirrored = Fit.of_frame(frame, NetSize(64, 48), mirrored=True).blob(frame, OPENPOSE)
    plain = Fit.of_frame(frame, NetSize(64, 48)).blob(np.ascontiguousarray(frame[:, ::-1]), OPENPOSE)
    np.testing.assert_array_equal(mirrored, plain)


def test_the_frame_is_left_as_it_is_and_may_be_a_view() -> None:
    frame = random_frame(200, 150)
    before = frame.copy()
    view = frame[10:90, 20:140]
    fit = Fit.of_frame(view, NetSize(64, 48))
    np.testing.assert_array_equal(fit.blob(view, OPENPOSE), fit.blob(view.copy(), OPENPOSE))
    np.testing.assert_array_equal(frame, before)


# ------------------------------------------------------------------------------------------------- values at places


def add_dot(frame: Frame, x: float, y: float, sigma: float) -> None:
    """Paint a white soft dot."""
    reach = math.ceil(4 * sigma)
    top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
    window = frame[top : int(y) + reach + 2, left : int(x) + reach + 2]
    rows, columns = np.mgrid[: window.shape[0], : window.shape[1]]
    value = 255 * np.exp(-((columns + left - x) ** 2 + (rows + top - y) ** 2) / (2 * sigma**2))
    window[:] = np.maximum(window, np.rint(value)[..., None].astype(np.uint8))


def centre_of_mass(blob: Array, x: float, y: float, reach: int = 14) -> Array:
    """x, y of the mean place of the light round a place of the input."""
    left, top = max(round(x) - reach, 0), max(round(y) - reach, 0)
    light = blob[0, 1, top : round(y) + reach + 1, left : round(x) + reach + 1] + 0.5
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum() + (left, top)


def assert_dots_lie_where_the_fit_says(size: tuple[int, int], fit: Fit) -> None:
    reach = 14 if fit.scale <= 1 else 40
    margin = reach / fit.scale
    places = [
        (margin, margin), (size[0] - 1 - margin, margin), (size[0] / 2 + 0.3, size[1] / 2 - 0.2),
        (margin, size[1] - 1 - margin), (size[0] - 1 - margin, size[1] - 1 - margin),
    ]  # fmt: skip
    for place in places:
        frame = black(*size)
        add_dot(frame, *place, sigma=max(3 / fit.scale, 1.5))
        expected = in_network(fit, *place)
        found = centre_of_mass(fit.blob(frame, OPENPOSE), *expected, reach)
        np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_dot_lies_in_the_input_where_the_fit_says(size: tuple[int, int], mirrored: bool) -> None:
    fit = Fit.of_frame(black(*size), NetSize.parse("-1x368"), mirrored=mirrored)
    assert_dots_lie_where_the_fit_says(size, fit)


def test_a_dot_of_a_very_large_picture_lies_in_the_input_where_the_fit_says() -> None:
    size = (6000, 4000)
    frame = black(*size)
    fit = Fit.of_frame(frame, NetSize.parse("-1x368"))
    places = [(200.0, 180.0), (5800.0, 200.0), (3003.0, 1998.0), (210.0, 3800.0), (5790.0, 3790.0)]
    for place in places:
        add_dot(frame, *place, sigma=3 / fit.scale)
    blob = fit.blob(frame, OPENPOSE)
    for place in places:
        expected = in_network(fit, *place)
        np.testing.assert_allclose(centre_of_mass(blob, *expected), expected, atol=0.1)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_dot_in_a_box_lies_in_the_input_where_the_fit_says(mirrored: bool) -> None:
    for box in ((100.0, 50.0, 184.0, 184.0), (60.5, 20.25, 368.0, 368.0), (-40.0, -30.0, 500.0, 500.0)):
        frame = black(640, 480)
        fit = Fit.of_box(box, NetSize(368, 368), mirrored=mirrored)
        place = (box[0] + 0.4 * box[2], box[1] + 0.6 * box[2])
        add_dot(frame, *place, sigma=3 / fit.scale)
        expected = in_network(fit, *place)
        np.testing.assert_allclose(centre_of_mass(fit.blob(frame, OPENPOSE), *expected), expected, atol=0.1)


def test_a_picture_and_its_double_have_the_same_keypoints(tmp_path: Path) -> None:
    network = load_network(*painted_network(tmp_path, COCO), device="cpu")
    shrunk = 640 / 496  # pixels of the frame a network pixel, nearly
    frame = paint_person(black(640, 480), standing_person(COCO, 320, 52, scale=shrunk), COCO, radius=RADIUS * shrunk)
    double = cv2.resize(frame, (1280, 960), interpolation=cv2.INTER_LINEAR)
    small, large = (estimate_people(network, each) for each in (frame, double))
    assert len(small) == len(large) == 1
    # Corners of pixels, from which both count, are twice as far from the corner of the picture.
    away = large.keypoints[0, :, :2] / 2 - small.keypoints[0, :, :2]
    assert abs(away).max() < 2 * 0.6 * shrunk  # each within 0.6 network pixels of what was painted
    assert abs(away.mean(axis=0)).max() < 0.2  # and no half pixel between the two
