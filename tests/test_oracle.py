"""The oracle is judged by hand-made cases, one a rule, and by painted people who must come back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import yardstick
from oracle import (
    Array,
    Connection,
    Group,
    Peak,
    count_samples,
    decode,
    enlarge,
    filter_groups,
    find_peaks,
    group,
    limb_score,
    match_people,
    same_people,
    strongest_peaks,
    to_cells,
)
from posecv.people import People
from posecv.skeletons import BODY_25, COCO, Skeleton, Thresholds
from scenes import SCENES, SIGMA, SKELETONS, Scene, paint_maps, random_people, scene

CHAIN = Skeleton(
    name="chain",
    keypoints=("a", "b", "c", "d"),
    limbs=((0, 1), (1, 2), (2, 3), (3, 0)),
    paf_channels=(5, 7, 9, 11),
    colors=((0, 0, 0),) * 4,
)


def peak(x: float, y: float, score: float = 0.5) -> Peak:
    return Peak(np.float32(x), np.float32(y), np.float32(score))


def connection(limb: int, start: int, end: int, paf_score: float) -> Connection:
    return Connection(np.float32(paf_score), np.float32(paf_score), limb, start, end)


# ---------------------------------------------------------------------------------------------------- enlargement


def cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' interpolation kernel with a = -0.75."""
    near = (1.25 * distance - 2.25) * distance**2 + 1
    far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def test_a_pixel_is_the_cubic_mean_of_the_16_cells_round_it() -> None:
    cells = np.random.default_rng(1).random((9, 11), np.float32)
    padded = np.pad(cells, 2, mode="edge")  # the border repeats
    down, across = (
        cubic(np.abs(((np.arange(8 * length) + 0.5) / 8 - 0.5)[:, None] - np.arange(-2, length + 2)))
        for length in cells.shape
    )
    np.testing.assert_allclose(enlarge(cells[None])[0], down @ padded @ across.T, atol=1e-5)


def test_pixels_turn_back_into_cells() -> None:
    assert [to_cells(np.float32(pixel)) for pixel in (0, 3.5, 4, 11.5)] == [-0.4375, 0, 0.0625, 1]


# ---------------------------------------------------------------------------------------------------------- peaks


def test_a_peak_exceeds_the_threshold_and_all_neighbours() -> None:
    heatmap = np.zeros((12, 12), np.float32)
    heatmap[5, 5] = 0.5
    assert [p.score for p in find_peaks(heatmap, 0.4)] == [np.float32(0.5)]
    assert find_peaks(heatmap, 0.5) == []


def test_a_plateau_is_no_peak() -> None:
    heatmap = np.zeros((12, 12), np.float32)
    heatmap[5, 5:7] = 0.5
    assert find_peaks(heatmap, 0.05) == []


def test_pixels_of_the_border_are_no_peaks_and_those_beside_it_are() -> None:
    heatmap = np.zeros((12, 12), np.float32)
    heatmap[0, 5] = heatmap[5, 11] = heatmap[11, 3] = 0.5
    assert find_peaks(heatmap, 0.05) == []
    heatmap[1, 8] = 0.5
    np.testing.assert_array_equal(find_peaks(heatmap, 0.05), [(6.5, 0.5, 0.5)])  # with 5, 0 of equal weight


def test_all_peaks_are_kept_row_by_row_whatever_their_score() -> None:
    heatmap = np.zeros((61, 41), np.float32)
    heatmap[5:60:5, 5:40:2] = 0.5 + np.arange(11 * 18).reshape(11, 18) / 1000  # later ones are higher
    peaks = find_peaks(heatmap, 0.05)
    assert [round((float(p.score) - 0.5) * 1000) for p in peaks] == list(range(11 * 18))


def test_a_peak_moves_to_the_centroid_of_the_positive_values_in_7_by_7() -> None:
    heatmap = np.zeros((15, 15), np.float32)
    heatmap[7, 7], heatmap[7, 9], heatmap[9, 7] = 0.6, 0.3, 0.1
    heatmap[6, 6] = -5  # does not count
    heatmap[3, 7] = 0.5  # outside the window
    found = find_peaks(heatmap, 0.55)
    np.testing.assert_allclose(found, [(7 + 2 * 0.3, 7 + 2 * 0.1, 0.6)], rtol=1e-6)


def test_the_window_of_a_peak_near_the_border_is_cut() -> None:
    heatmap = np.full((9, 9), 0.1, np.float32)
    heatmap[1, 1] = 0.2
    (found,) = find_peaks(heatmap, 0.15)
    weight = 25 * 0.1 + 0.1  # columns and rows 0 to 4: mean 2 of the floor, 1 of the extra tenth
    np.testing.assert_allclose(found[:2], [(2 * 2.5 + 0.1) / weight] * 2, rtol=1e-6)


# ---------------------------------------------------------------------------------------------------------- limbs


@pytest.mark.parametrize(
    ("dx", "dy", "samples"),
    [
        (0, 0, 5),
        (5, 0, 5),  # sqrt 25
        (20, -1, 10),  # sqrt 100
        (3, -20, 10),
        (14.4, 0, 8),  # sqrt 72 = 8.49
        (14.5, 0, 9),  # sqrt 72.5 = 8.51
        (125, 0, 25),
        (600, 0, 25),
    ],
)
def test_the_number_of_samples_grows_with_the_root_of_the_longer_side(dx: float, dy: float, samples: int) -> None:
    assert count_samples(dx, dy) == samples


def fields(width: int = 160, height: int = 40) -> tuple[Array, Array]:
    """A field that points right everywhere."""
    return np.ones((height, width), np.float32), np.zeros((height, width), np.float32)


def test_a_limb_along_the_field_scores_its_component_and_one_across_it_nothing() -> None:
    field_x, field_y = fields()
    thresholds = Thresholds()
    assert limb_score(field_x, field_y, peak(10, 10), peak(90, 10), thresholds) == 1
    assert limb_score(field_x, field_y, peak(10, 10), peak(10, 35), thresholds) == 0
    assert limb_score(field_x, field_y, peak(90, 10), peak(10, 10), thresholds) == 0
    slanted = limb_score(field_x, field_y, peak(10, 5), peak(50, 35), thresholds)  # a 3-4-5 triangle
    assert slanted == pytest.approx(0.8, rel=1e-6)


def test_the_start_of_a_limb_is_read_and_its_end_is_not() -> None:
    field_x, field_y = fields()
    field_x[:, 90:] = -1
    assert limb_score(field_x, field_y, peak(10, 10), peak(90, 10), Thresholds()) == 1
    field_x[:, 10] = -1
    assert limb_score(field_x, field_y, peak(10, 10), peak(90, 10), Thresholds()) == 0


def test_of_20_samples_all_must_agree_and_of_25_all_but_one() -> None:
    field_x, field_y = fields()
    field_x[:, 10] = -1  # the first sample
    assert count_samples(80, 0) == 20
    assert limb_score(field_x, field_y, peak(10, 10), peak(90, 10), Thresholds()) == 0  # 19 / 20 is not over 0.95
    assert count_samples(125, 0) == 25
    assert limb_score(field_x, field_y, peak(10, 10), peak(135, 10), Thresholds()) == 1


def test_the_score_of_a_limb_is_the_mean_of_the_agreeing_samples() -> None:
    field_x, field_y = fields()
    field_x[:, 15:] = 0.5  # 20 pixels, 10 samples, two apart: 10, 12, 14 read 1, 16 to 28 read 0.5
    score = limb_score(field_x, field_y, peak(10, 10), peak(30, 10), Thresholds())
    assert score == pytest.approx((3 * 1 + 7 * 0.5) / 10)
    field_x[:, 28:] = 0.04  # the last one no longer agrees, which 0.85 allows
    lenient = replace(Thresholds(), inter_min_above=0.85)
    assert limb_score(field_x, field_y, peak(10, 10), peak(30, 10), lenient) == pytest.approx((3 * 1 + 6 * 0.5) / 9)


def test_close_keypoints_join_without_a_field() -> None:
    nothing = np.zeros((368, 656), np.float32)
    thresholds = Thresholds()
    reach = (368 * 656) ** 0.5 / 150  # 3.28 pixels
    start = peak(100, 100)
    close = limb_score(nothing, nothing, start, peak(100 + reach - 0.01, 100), thresholds)
    assert close == np.float32(thresholds.nms_threshold + 1e-6)
    assert limb_score(nothing, nothing, start, peak(100 + reach + 0.01, 100), thresholds) == 0


def test_keypoints_on_the_very_same_spot_are_not_joined() -> None:
    field_x, field_y = fields()
    assert limb_score(field_x, field_y, peak(10, 10), peak(10, 10), Thresholds()) == 0


# ------------------------------------------------------------------------------------------------------- grouping

PEAKS = [[peak(0, 0, 0.5), peak(9, 9, 0.25)] for _ in range(4)]  # two of each keypoint


def test_a_connection_of_two_free_peaks_makes_a_person() -> None:
    (person,) = group([connection(0, 0, 1, 0.75)], PEAKS, CHAIN)
    assert person == Group({0: 0, 1: 1}, 2, np.float32(0.5 + 0.25 + 0.75))


def test_a_free_peak_joins_the_person_who_owns_the_other() -> None:
    (person,) = group([connection(0, 0, 0, 0.75), connection(1, 0, 1, 0.5)], PEAKS, CHAIN)
    assert person == Group({0: 0, 1: 0, 2: 1}, 3, np.float32(1.75 + 0.25 + 0.5))
    (person,) = group([connection(1, 0, 0, 0.75), connection(0, 1, 0, 0.5)], PEAKS, CHAIN)  # through the end
    assert person == Group({0: 1, 1: 0, 2: 0}, 3, np.float32(1.75 + 0.25 + 0.5))


def test_a_keypoint_that_a_person_has_is_not_replaced() -> None:
    (person,) = group([connection(0, 0, 0, 0.75), connection(0, 0, 1, 0.5), connection(0, 1, 0, 0.5)], PEAKS, CHAIN)
    assert person == Group({0: 0, 1: 0}, 2, np.float32(1.75))


def test_two_parts_of_a_person_merge() -> None:
    (person,) = group([connection(0, 0, 0, 0.75), connection(2, 1, 1, 0.5), connection(1, 0, 1, 0.25)], PEAKS, CHAIN)
    assert person == Group({0: 0, 1: 0, 2: 1, 3: 1}, 4, np.float32(1.75 + 1.0 + 0.25))


def test_two_people_with_the_same_keypoint_do_not_merge() -> None:
    people = group(
        [connection(0, 0, 0, 0.75), connection(1, 1, 1, 0.5), connection(1, 0, 1, 0.25)], PEAKS, CHAIN
    )  # both have a b
    assert [person.peaks for person in people] == [{0: 0, 1: 0}, {1: 1, 2: 1}]


def test_peaks_of_a_merged_person_belong_to_the_one_who_took_them() -> None:
    joined = [connection(0, 0, 0, 0.75), connection(2, 1, 1, 0.5), connection(1, 0, 1, 0.25)]
    people = group([*joined, connection(3, 1, 0, 0.125)], PEAKS, CHAIN)
    assert people == [Group({0: 0, 1: 0, 2: 1, 3: 1}, 4, np.float32(3 + 0.125))]  # a ring: adds score, no keypoint


# --------------------------------------------------------------------------------------------------------- filter


def test_a_person_needs_three_keypoints_and_four_tenths_a_keypoint() -> None:
    two = Group({0: 0, 1: 0}, 2, np.float32(2))
    weak = Group({0: 0, 1: 0, 2: 0}, 3, np.float32(1.1))
    good = Group({0: 1, 1: 1, 2: 1}, 3, np.float32(1.3))
    assert filter_groups([two, weak, good], CHAIN, Thresholds()) == [good]


def test_feet_do_not_count() -> None:
    def person(body: int, feet: int, score: float) -> Group:
        return Group(dict.fromkeys([*range(body), *range(19, 19 + feet)], 0), body + feet, np.float32(score))

    anchor = person(10, 0, 9)  # so that the second run of the filter stays away
    thresholds = BODY_25.thresholds
    assert filter_groups([anchor, person(4, 2, 9)], BODY_25, thresholds) == [anchor]
    assert filter_groups([anchor, person(4, 0, 9)], BODY_25, thresholds) == [anchor, person(4, 0, 9)]
    assert filter_groups([anchor, person(5, 2, 9)], BODY_25, thresholds) == [anchor, person(5, 2, 9)]
    assert filter_groups([anchor, person(5, 6, 2.1)], BODY_25, thresholds) == [anchor, person(5, 6, 2.1)]  # 2.1 / 5
    assert filter_groups([anchor, person(5, 6, 1.9)], BODY_25, thresholds) == [anchor]


def test_where_nobody_else_is_feet_count() -> None:
    foot = Group({19: 0, 20: 0, 21: 0}, 3, np.float32(1.5))
    faint = Group({19: 1, 20: 1, 21: 1}, 3, np.float32(0.9))
    assert filter_groups([foot, faint], BODY_25, BODY_25.thresholds) == [foot]


# ----------------------------------------------------------------------------------------------- painted people


def worst_shift() -> float:
    """How far (cells, along one axis) the highest pixel of an enlarged Gaussian can lie from its centre.

    Gaussian and kernel are separable, so one axis tells both.
    """
    cells = np.arange(16)
    pixels = (np.arange(128) + 0.5) / 8 - 0.5
    kernel = cubic(np.abs(pixels[:, None] - cells))
    centres = np.linspace(7, 8, 201)
    profiles = kernel @ np.exp(-((cells[:, None] - centres) ** 2) / (2 * SIGMA**2))
    return float(np.abs(pixels[profiles.argmax(axis=0)] - centres).max())


def recovered(painted: Scene, people: People, tolerance: float, share: float) -> int:
    """How many painted people have somebody found with this share of their keypoints within the tolerance."""
    found = people.found[None] & (painted.people[:, None, :, 2] > 0)  # (painted, found, K)
    away = np.hypot(*np.moveaxis(painted.people[:, None, :, :2] - people.keypoints[None, ..., :2], -1, 0))
    near = np.count_nonzero(found & (away <= tolerance), axis=2)
    there = np.count_nonzero(painted.people[..., 2] > 0, axis=1)
    return int(np.count_nonzero((near >= share * there[:, None]).any(axis=1)))


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_one_painted_person_comes_back_whole(skeleton: Skeleton) -> None:
    painted = scene("1 person", skeleton)
    people = decode(painted.maps, skeleton)
    assert len(people) == 1
    assert people.found.all()
    # The centroid of 7 x 7 pixels moves a peak by up to another half a pixel.
    tolerance = worst_shift() + 0.5 / 8
    assert np.abs(people.keypoints[0, :, :2] - painted.people[0, :, :2]).max() <= tolerance


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize(
    "name", ["5 people", "20 people", "crossing limbs", "horizontal and vertical", "wide", "tall", "noise"]
)
def test_painted_people_come_back(name: str, skeleton: Skeleton) -> None:
    painted = scene(name, skeleton)
    people = decode(painted.maps, skeleton)
    assert len(people) == len(painted.people)
    assert recovered(painted, people, tolerance=0.5, share=0.9) == len(painted.people)


def test_nobody_is_found_where_nobody_is() -> None:
    assert len(decode(scene("nobody").maps, COCO)) == 0
    assert len(decode(scene("only noise").maps, COCO)) == 0


def test_a_shared_neck_belongs_to_one_person() -> None:
    people = decode(scene("sharing a neck").maps, COCO)
    assert np.count_nonzero(people.found[:, COCO.keypoints.index("neck")]) == 1


def test_people_come_in_order_of_falling_score() -> None:
    scores = decode(scene("20 people").maps, COCO).scores
    assert (np.diff(scores) <= 0).all()
    assert scores[0] > scores[-1]


def test_a_person_scores_all_peaks_and_limbs_over_their_number() -> None:
    painted = scene("horizontal and vertical").people[:1]
    people = decode(paint_maps(painted, COCO, limb_width=100), COCO)  # unit vectors everywhere
    limbs = people.scores[0] * (18 + 19) - people.keypoints[0, :, 2].sum()
    assert limbs == pytest.approx(19, rel=0.01)  # the cosine of how far peaks lie beside the painted limb


# ------------------------------------------------------------------------------------------------- comparisons


def test_the_strongest_peaks_are_the_only_persons_keypoints() -> None:
    maps = scene("1 person").maps
    np.testing.assert_array_equal(strongest_peaks(maps, COCO), decode(maps, COCO).keypoints[0])


def test_the_strongest_peak_wins_and_weak_ones_are_missing() -> None:
    people = random_people(2, seed=5, scores=(0.6, 0.6))
    people[1, :, 2] = 0.9
    people[:, 4, 2] = 0.08
    strongest = strongest_peaks(paint_maps(people, COCO), COCO)
    assert not strongest[4].any()
    others = np.arange(18) != 4
    assert np.abs(strongest[others, :2] - people[1, others, :2]).max() <= worst_shift() + 0.5 / 8


def test_the_same_people_in_another_order_are_the_same_people() -> None:
    people = decode(scene("5 people").maps, COCO)
    turned = replace(people, keypoints=people.keypoints[::-1], scores=people.scores[::-1])
    assert match_people(people, turned) == [(index, 4 - index) for index in range(5)]
    assert same_people(people, turned)
    assert same_people(People.empty(COCO), People.empty(COCO))


def test_people_who_differ_are_not_the_same() -> None:
    people = decode(scene("5 people").maps, COCO)

    def changed(index: tuple[int, ...], value: float) -> People:
        keypoints = people.keypoints.copy()
        keypoints[index] += value
        return replace(people, keypoints=keypoints)

    assert same_people(people, changed((2, 3, 0), 0.06))
    assert not same_people(people, changed((2, 3, 0), 0.07))
    assert same_people(people, changed((2, 3, 0), 0.07), share=0.98)  # one of 90
    assert not same_people(people, changed((2, 3, 2), -people.keypoints[2, 3, 2]), share=0.5)  # missing
    fewer = replace(people, keypoints=people.keypoints[1:], scores=people.scores[1:])
    assert not same_people(people, fewer)
    assert not same_people(fewer, people)


# ------------------------------------------------------------------------------------------------------ yardstick


@pytest.mark.parametrize("name", ["1 person", "5 people", "20 people", "50 people"])
def test_the_yardstick_of_speed_finds_the_painted_people(name: str) -> None:
    painted = scene(name)
    people = yardstick.decode(painted.maps, COCO)
    assert len(people) == len(painted.people)
    assert recovered(painted, people, tolerance=0.5, share=0.9) == len(painted.people)


# --------------------------------------------------------------------------------------------------------- scenes


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("name", SCENES)
def test_scenes_are_painted_for_every_skeleton(name: str, skeleton: Skeleton) -> None:
    painted = scene(name, skeleton)
    assert painted.maps.shape[0] == skeleton.channels
    assert painted.maps.dtype == painted.people.dtype == np.float32
    assert np.isfinite(painted.maps).all()
    assert painted.people.shape[1:] == (len(skeleton.keypoints), 3)


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_no_peak_of_a_scene_hangs_on_rounding(skeleton: Skeleton) -> None:
    for name in SCENES:
        for heatmap in enlarge(scene(name, skeleton).maps[: len(skeleton.keypoints)]):
            ring = np.ones((3, 3), np.uint8)
            ring[1, 1] = 0
            rise = (heatmap - cv2.dilate(heatmap, ring))[1:-1, 1:-1]  # over the highest neighbour
            tied = (np.abs(rise) <= 1e-6) & (heatmap[1:-1, 1:-1] > skeleton.thresholds.nms_threshold)
            assert not tied.any(), name


def test_a_limbs_field_is_a_unit_vector_beside_it_and_nothing_further_away() -> None:
    people = np.zeros((1, 18, 3), np.float32)
    people[0, 2], people[0, 3] = (10, 20, 1), (10, 30, 1)  # a limb straight down
    maps = paint_maps(people, COCO)
    channel = COCO.paf_channels[COCO.limbs.index((2, 3))]
    np.testing.assert_array_equal(maps[channel : channel + 2, 25, 7:14].T, [[0, 0]] * 2 + [[0, 1]] * 3 + [[0, 0]] * 2)
    assert np.count_nonzero(np.abs(maps[COCO.heatmaps :]).sum(axis=(1, 2))) == 1  # no other limb is there


def test_fields_of_two_people_are_averaged_and_heatmaps_are_not() -> None:
    people = np.zeros((2, 18, 3), np.float32)
    people[0, 2], people[0, 3] = (10, 20, 1), (10, 30, 1)
    people[1, 2], people[1, 3] = (5, 25, 0.5), (15, 25, 0.5)
    maps = paint_maps(people, COCO)
    channel = COCO.paf_channels[COCO.limbs.index((2, 3))]
    np.testing.assert_array_equal(maps[channel : channel + 2, 25, 10], [0.5, 0.5])
    assert maps[2, 20, 10] == 1
    assert maps[2, 25, 5] == pytest.approx(0.5, abs=1e-6)
