"""Several scales: their sizes, and maps averaged on one grid, against a slow oracle and against painted scenes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import RADIUS, black, pack_maps, packed_network, paint_person, standing_person
from posecv.decoding.average import averaged
from posecv.engines.network import Network, load_network
from posecv.errors import UsageError
from posecv.estimators.functions import estimate_hand, estimate_people, estimate_person
from posecv.estimators.single_pass import Everybody, OneHand, OnePerson
from posecv.geometry import Fit, NetSize, common_fit, hand_factors, smaller_fits, zoomed
from posecv.people import People
from posecv.result import Result, View
from posecv.skeletons import COCO, HAND
from scenes import scene

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]


def frame_fit(width: int, height: int, net_size: str = "-1x368") -> Fit:
    return Fit.of_frame(black(width, height), NetSize.parse(net_size))


# --- the sizes ------------------------------------------------------------------------------------------------------


def test_openpose_s_accuracy_setting_has_its_four_sizes() -> None:
    """1312x736, 4 scales, gap 0.25: shares 1, 0.75, 0.5, 0.25, each side rounded and cut to a multiple of 16."""
    fits = smaller_fits(frame_fit(1280, 720, "1312x736"), (1280, 720), 4, 0.25)
    assert [(fit.width, fit.height) for fit in fits] == [(1312, 736), (976, 544), (656, 368), (320, 176)]
    for fit in fits:
        assert fit.scale == min((fit.width - 1) / 1279, (fit.height - 1) / 719)
        assert (fit.x, fit.y, fit.mirrored) == (0, 0, False)


def test_no_scale_is_smaller_than_the_least_input() -> None:
    assert [fit.height for fit in smaller_fits(frame_fit(90, 60, "-1x32"), (90, 60), 3, 0.4)] == [32, 16, 16]


@pytest.mark.parametrize(("number", "gap"), [(0, 0.25), (5, 0.25), (2, 1.0), (2, -0.1), (2, math.nan)])
def test_scales_that_are_nothing_or_larger_than_the_first_are_a_mistake(number: int, gap: float) -> None:
    with pytest.raises(UsageError, match=r"^scale_number=\d scale_gap=|^scale_gap=nan is not a number"):
        smaller_fits(frame_fit(640, 480), (640, 480), number, gap)


def test_a_hand_s_boxes_are_openpose_s() -> None:
    assert hand_factors(6, 0.4) == pytest.approx([0.8, 0.88, 0.96, 1.04, 1.12, 1.2])
    assert hand_factors(3, 1.0) == pytest.approx([0.5, 1.0, 1.5])
    assert hand_factors(1, 0.4) == [1.0]
    assert zoomed((10, 20, 101, 101), 0.8) == (10 + 10.5, 20 + 10.5, 80, 80)  # iround(80.8) = 81, of that 80
    with pytest.raises(UsageError, match="give 1 to 100 scales"):
        hand_factors(101, 0.4)
    with pytest.raises(UsageError, match="at most 100"):
        smaller_fits(frame_fit(640, 480), (640, 480), 101, 0.0)
    for number, spread in ((0, 0.4), (3, 1.9), (3, -0.1), (3, math.nan)):
        with pytest.raises(UsageError, match=r"^scale_number=\d scale_range=|^scale_range=nan is not a number"):
            hand_factors(number, spread)


# --- the mean -------------------------------------------------------------------------------------------------------


def slow_mean(every: list[Array], fits: list[Fit], onto: Fit) -> NDArray[np.float64]:
    """The mean, a cell of the result after the other: through the frame, 16 cells of each map round the place."""

    def kernel(away: float) -> float:  # Keys' cubic with a = -0.75
        a, d = -0.75, abs(away)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    result = np.zeros((len(every[0]), onto.height // 8, onto.width // 8))
    for row, column in np.ndindex(*result.shape[1:]):
        values = []
        (x, y) = onto.to_frame(np.array([column, row], np.float32)).astype(float)
        for maps, fit in zip(every, fits, strict=True):
            # Invert to_frame, which is linear, by its values at two cells.
            (x0, y0), (x1, y1) = fit.to_frame(np.array([[0, 0], [1, 1]], np.float32)).astype(float)
            u, v = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
            height, width = maps.shape[1:]
            if not (-0.501 <= u <= width - 0.499 and -0.501 <= v <= height - 0.499):
                continue
            value = np.zeros(len(maps))
            for i in range(math.floor(v) - 1, math.floor(v) + 3):
                for j in range(math.floor(u) - 1, math.floor(u) + 3):
                    cell = maps[:, min(max(i, 0), height - 1), min(max(j, 0), width - 1)]
                    value += kernel(v - i) * kernel(u - j) * cell
            values.append(value)
        if values:
            result[:, row, column] = np.mean(values, axis=0)
    return result


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_mean_is_that_of_a_slow_oracle(mirrored: bool) -> None:
    rng = np.random.default_rng(3)
    body = smaller_fits(frame_fit(150, 110, "-1x128"), (150, 110), 3, 0.3)
    box = [Fit.of_box(zoomed((5, 9, 70, 70), f), NetSize.parse("64x64"), mirrored=mirrored) for f in (0.5, 1, 1.5)]
    whole = Fit.of_frame(black(90, 60), NetSize.parse("-1x64"), mirrored=mirrored)
    frames = [whole.zoomed(factor, (44.5, 29.5)) for factor in (0.8, 1.2)]
    for fits, onto in ((body, body[0]), (box, common_fit(box)), (frames, common_fit(frames))):
        every = [rng.normal(size=(4, fit.height // 8, fit.width // 8)).astype(np.float32) for fit in fits]
        np.testing.assert_allclose(averaged(every, fits, onto), slow_mean(every, fits, onto), atol=1e-4)


def test_the_mean_at_the_common_size_is_what_opencv_s_cubic_enlargement_gives() -> None:
    """For two scales whose pictures fill their inputs, with corner pixels on corner pixels: within a rounding of it."""
    y, x = np.mgrid[:46, :62]
    first = np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 40).astype(np.float32)[None]
    y, x = np.mgrid[:23, :31]
    second = np.exp(-((x - 14.75) ** 2 + (y - 9.75) ** 2) / 10).astype(np.float32)[None]
    fits = [Fit(496, 368, 1.0), Fit(248, 184, 0.5)]
    enlarged = cv2.resize(second[0], (62, 46), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(averaged([first, second], fits, fits[0])[0], (first[0] + enlarged) / 2, atol=0.03)


def test_what_several_boxes_show_is_seen_as_widely_as_the_widest_and_as_finely_as_the_finest() -> None:
    fits = [Fit.of_box(zoomed((100, 100, 100, 100), f), NetSize.parse("192x192")) for f in (0.5, 1, 1.5)]
    common = common_fit(fits)
    assert (common.x, common.y, common.scale) == (75, 75, 192 / 50)
    assert (common.width, common.height) == (576, 576)
    assert common_fit(fits[:1]) == fits[0]


# --- estimates ------------------------------------------------------------------------------------------------------


def view_of(result: Result) -> View:
    assert result.view
    return result.view


def assert_same(one: People, other: People) -> None:
    np.testing.assert_array_equal(one.keypoints, other.keypoints)
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("estimate", [estimate_people, estimate_person])
def test_one_scale_is_what_there_is_without_scales(painted: Network, estimate: Any) -> None:
    frame = paint_person(black(400, 368), standing_person(COCO, 180, 44), COCO)
    assert_same(estimate(painted, frame), estimate(painted, frame, scale_number=1, scale_gap=0.9))


@pytest.mark.parametrize("made", [Everybody, OnePerson])
def test_the_decoder_gets_the_mean_of_the_scales_maps(painted: Network, made: Any) -> None:
    frame = paint_person(black(500, 368), standing_person(COCO, 180, 44), COCO)
    maps, at = view_of(made(painted, net_size="-1x160", scale_number=3, scale_gap=0.2)(frame))
    fits = smaller_fits(frame_fit(500, 368, "-1x160"), (500, 368), 3, 0.2)
    single = [painted.maps(fit.blob(frame, painted.model.preprocessing)).copy() for fit in fits]
    assert at == fits[0]
    np.testing.assert_allclose(maps, slow_mean(single, fits, fits[0]), atol=1e-4)


def test_somebody_seen_at_two_scales_stands_where_painted(painted: Network) -> None:
    """Each scale's own answer, too, lies within a cell of the smaller one."""
    person = standing_person(COCO, 180, 44)
    frame = paint_person(black(400, 368), person, COCO)
    for people in (
        estimate_people(painted, frame, scale_number=2, scale_gap=0.1),
        estimate_person(painted, frame, scale_number=2, scale_gap=0.1),
    ):
        assert len(people) == 1
        np.testing.assert_allclose(people.keypoints[0, :, :2] - 0.5, person[:, :2], atol=1.5)


def test_a_result_s_view_holds_the_maps_before_they_are_decoded(tmp_path: Path) -> None:
    network = load_network(*packed_network(tmp_path, COCO), device="cpu")
    maps = scene("5 people").maps
    result = Everybody(network)(pack_maps(maps), net_size="656x368")
    assert len(result.people) == 5
    shown, fit = view_of(result)
    np.testing.assert_allclose(shown, maps, atol=1 / 30000)
    assert fit == Fit(656, 368, 1.0)


# --- hands ----------------------------------------------------------------------------------------------------------


def fitting_hand(side: float) -> tuple[Frame, Array, tuple[float, float, float, float]]:
    """A hand whose dots have the size that the network wants in a box of 240 x `side` / 240 pixels round 300, 200."""
    scale = side / 240
    expected = standing_person(HAND, 300 - 48 * scale, 200 - 48 * scale, scale)
    frame = paint_person(black(600, 400), expected, HAND, radius=RADIUS * scale)
    return frame, expected, (180.0, 80.0, 240.0, 240.0)


@pytest.mark.parametrize("side", [192, 240, 288])
@pytest.mark.parametrize("left", [False, True])
def test_of_several_boxes_the_one_whose_hand_scores_highest_is_taken(hand: Network, side: float, left: bool) -> None:
    frame, expected, box = fitting_hand(side)
    if left:
        frame = np.ascontiguousarray(frame[:, ::-1])
        expected[:, 0] = 599 - expected[:, 0]
        box = (599 - box[0] - box[2], *box[1:])
    singly = []
    for factor in (0.8, 1.0, 1.2):
        square = zoomed(box, factor)
        singly.append(estimate_hand(hand, frame, square, left, net_size="240x240"))
    scores = [people.keypoints[..., 2].mean() for people in singly]
    result = OneHand(hand, box, left, net_size="240x240", scale_number=3)(frame)
    people, (_, fit) = result.people, view_of(result)
    assert_same(people, singly[int(np.argmax(scores))])
    assert fit.scale == pytest.approx(240 / zoomed(box, (0.8, 1.0, 1.2)[int(np.argmax(scores))])[2])
    np.testing.assert_allclose(people.keypoints[0, :, :2], expected[:, :2], atol=2)


@pytest.mark.parametrize("box", [None, (180.0, 80.0, 240.0, 240.0)])
@pytest.mark.parametrize("left", [False, True])
def test_the_mean_of_several_boxes_finds_the_hand_where_it_was_painted(
    hand: Network, box: tuple[float, float, float, float] | None, left: bool
) -> None:
    frame, expected, _ = fitting_hand(240)
    if left:
        frame = np.ascontiguousarray(frame[:, ::-1])
        expected[:, 0] = 599 - expected[:, 0]
        box = box and (599 - box[0] - box[2], *box[1:])
    size = "-1x400" if box is None else "240x240"
    result = OneHand(hand, box, left, net_size=size, scale_number=3, merge="mean")(frame)
    people, (maps, fit) = result.people, view_of(result)
    assert maps.shape == (22, fit.height // 8, fit.width // 8)
    np.testing.assert_allclose(people.keypoints[0, :, :2], expected[:, :2], atol=2)


def test_a_merge_that_nobody_knows_is_a_mistake(hand: Network) -> None:
    with pytest.raises(UsageError, match=r"^merge=median is unknown; choose one of best, mean$"):
        estimate_hand(hand, black(64, 64), merge="median")
