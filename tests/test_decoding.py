"""The decoder against the slow oracle, and each of its steps against its rule."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import oracle
from posecv.decoding import decode_people, decode_person
from posecv.decoding.grouping import group
from posecv.decoding.limbs import Connections, connect
from posecv.decoding.peaks import MOST_PEAKS, Peaks, cubic_weights, find_peaks, to_cells
from posecv.engines.network import Network, load_network
from posecv.errors import InputError, UsageError
from posecv.geometry import Fit, NetSize
from posecv.models import NET_SIDE
from posecv.people import People
from posecv.skeletons import COCO, HAND, Skeleton, Thresholds
from scenes import SCENES, SIGMA, SKELETONS, paint_maps, random_people, scene

Array = NDArray[np.float32]

PHOTOGRAPHS = 12
STRIDE = 8
OTHER_THRESHOLDS = (
    {"inter_min_above": 0.8},
    {"inter_min_above": 0.7},
    {"nms_threshold": 0.1},
    {"peak_share": 0.5},
    {"inter_threshold": 0.2, "min_subset_cnt": 6, "min_subset_score": 0.8},
)
BODIES = pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)

# A limb from a to b, and nothing else.
BONE = Skeleton("bone", ("a", "b"), ((0, 1),), (3,), ((0, 0, 0),) * 2)
CHAIN = Skeleton("chain", ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3), (3, 0)), (5, 7, 9, 11), ((0, 0, 0),) * 4)
EVERYBODY = Thresholds(min_subset_cnt=0, min_subset_score=0)


def agree(people: People, expected: People) -> bool:
    """The same people, 99 of 100 keypoints within half a network pixel, in the same order of scores."""
    same = oracle.same_people(people, expected, share=0.99)
    return same and np.allclose(people.scores, expected.scores, rtol=0.01)


# ------------------------------------------------------------------------------------------------ against the oracle


@BODIES
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name.startswith("50") else []) for name in SCENES]
)
def test_the_people_of_a_scene_are_the_oracles(name: str, skeleton: Skeleton) -> None:
    maps = scene(name, skeleton).maps
    assert agree(decode_people(maps, skeleton), oracle.decode(maps, skeleton))


def test_fifty_people_are_the_oracles_fifty() -> None:
    maps = scene("50 people").maps
    people = decode_people(maps, COCO)
    assert len(people) == 50
    assert agree(people, oracle.decode(maps, COCO))


@pytest.mark.parametrize("thresholds", OTHER_THRESHOLDS, ids=str)
@pytest.mark.parametrize(
    "name", ["20 people", "5 people, smooth", "faint people", "crossing limbs", "cut by the border"]
)
def test_with_other_thresholds_the_people_are_the_oracles_with_these(name: str, thresholds: dict[str, Any]) -> None:
    maps = scene(name).maps
    expected = oracle.decode(maps, COCO, replace(COCO.thresholds, **thresholds))
    assert agree(decode_people(maps, COCO, **thresholds), expected)


@BODIES
def test_the_only_persons_keypoints_are_the_oracles_strongest_peaks(skeleton: Skeleton) -> None:
    for name in ("1 person", "20 people", "noise", "crossing limbs", "sharing a spot", "plateaus", "wide"):
        maps = scene(name, skeleton).maps
        people = decode_person(maps, skeleton)
        expected = oracle.strongest_peaks(maps, skeleton)
        np.testing.assert_allclose(people.keypoints[0], expected, atol=0.002)


@pytest.fixture(scope="module")
def photographs(shared: Path, light_coco: tuple[Path, Path]) -> tuple[Network, list[Array]]:
    """A real network and its maps of some photographs."""
    paths = sorted((shared / "data" / "coco" / "images").glob("*.jpg"))[::10][:PHOTOGRAPHS]
    if not paths:
        pytest.skip(f"no photographs in {shared}")
    network = load_network(*light_coco, device="cpu")
    frames = [frame for path in paths if (frame := cv2.imread(str(path))) is not None]
    fits = [Fit.of_frame(frame, NetSize.parse(f"-1x{NET_SIDE}")) for frame in frames]
    preprocessing = network.model.preprocessing
    return network, [network.maps(fit.blob(frame, preprocessing)) for fit, frame in zip(fits, frames, strict=True)]


def test_on_photographs_the_people_are_the_oracles(photographs: tuple[Network, list[Array]]) -> None:
    network, maps_of_all = photographs
    centroid = replace(network.model.thresholds, refinement="centroid")  # which is the one that the oracle knows
    for thresholds in (centroid, COCO.thresholds):
        distances = []
        for number, maps in enumerate(maps_of_all):
            people, expected = decode_people(maps, COCO, **vars(thresholds)), oracle.decode(maps, COCO, thresholds)
            assert len(people) == len(expected) == len(oracle.match_people(people, expected)), number
            distances.append(oracle.distances(people, expected))
        away = np.concatenate(distances)
        assert len(away) > 10 * PHOTOGRAPHS
        assert np.count_nonzero(away < 0.5 / STRIDE) >= 0.99 * len(away)


def test_on_photographs_the_only_persons_keypoints_are_the_oracles(photographs: tuple[Network, list[Array]]) -> None:
    same = total = 0
    for maps in photographs[1]:
        people, expected = decode_person(maps, COCO), oracle.strongest_peaks(maps, COCO)
        found = expected[:, 2] > 0
        keypoints = people.keypoints[0] if len(people) else np.zeros_like(expected)
        same += int(np.count_nonzero(np.abs(keypoints - expected)[found].max(axis=1) < 0.5 / STRIDE))
        total += int(np.count_nonzero(found))
    assert total > PHOTOGRAPHS
    assert same >= 0.99 * total


# ------------------------------------------------------------------------------------------------------------- peaks


def smooth_maps(sigma: float, seed: int = 0) -> Array:
    """Random maps from 0 to 1, without structures smaller than the blur."""
    noise = np.random.default_rng(seed).random((4, 20, 25)).astype(np.float32)
    blurred = np.stack([cv2.GaussianBlur(channel, (0, 0), sigma) for channel in noise])
    return (blurred - blurred.min()) / np.ptp(blurred)


def of_keypoint(peaks: Peaks, keypoint: int) -> Array:
    """(M, 3) x, y, score of a keypoint's peaks, in fine pixels."""
    return np.column_stack([peaks.xy, peaks.score])[peaks.first[keypoint] : peaks.first[keypoint + 1]]


@pytest.mark.parametrize("sigma", [SIGMA, 1.2, 2.5])
@pytest.mark.parametrize("threshold", [0.05, 0.5])
def test_peaks_of_smooth_maps_are_all_maxima_of_the_enlarged_maps(sigma: float, threshold: float) -> None:
    heatmaps = smooth_maps(sigma)
    peaks = find_peaks(heatmaps, threshold)
    assert len(peaks.score) > len(heatmaps)
    for keypoint, enlarged in enumerate(oracle.enlarge(heatmaps)):
        expected = oracle.find_peaks(enlarged, threshold)
        np.testing.assert_allclose(of_keypoint(peaks, keypoint), expected, atol=1e-3)


def test_peaks_of_noise_are_maxima_of_the_enlarged_maps() -> None:
    """Not quite all of them: a maximum in a cell far below its neighbour may be left out."""
    heatmaps = np.random.default_rng(3).random((4, 12, 12)).astype(np.float32)
    peaks = find_peaks(heatmaps, 0.3)
    for keypoint, enlarged in enumerate(oracle.enlarge(heatmaps)):
        maxima: Array = np.array(oracle.find_peaks(enlarged, 0.3))
        found = of_keypoint(peaks, keypoint)
        assert len(found) > 0.9 * len(maxima)
        assert np.abs(found[:, None] - maxima).max(axis=2).min(axis=1).max() < 1e-3


def test_a_peak_belongs_to_the_keypoint_of_its_map() -> None:
    heatmaps = smooth_maps(1.2)
    peaks = find_peaks(heatmaps, 0.3)
    assert peaks.first[0] == 0
    assert peaks.first[-1] == len(peaks.keypoint)
    for keypoint in range(len(heatmaps)):
        assert (peaks.keypoint[peaks.first[keypoint] : peaks.first[keypoint + 1]] == keypoint).all()


def test_a_threshold_may_be_each_keypoints_own() -> None:
    heatmaps = smooth_maps(1.2)
    limits = np.array([0.2, 0.4, 0.6, 2], np.float32)
    peaks = find_peaks(heatmaps, limits)
    for keypoint, limit in enumerate(limits):
        alone = find_peaks(heatmaps[keypoint : keypoint + 1], float(limit))
        np.testing.assert_array_equal(of_keypoint(peaks, keypoint), of_keypoint(alone, 0))
    assert len(of_keypoint(peaks, 3)) == 0


def test_a_peak_exceeds_the_threshold() -> None:
    heatmaps = smooth_maps(1.2)
    highest = float(find_peaks(heatmaps, 0.3).score.max())
    assert len(find_peaks(heatmaps, highest * 1.00001).score) == 0
    assert len(find_peaks(heatmaps, highest * 0.99999).score) == 1


def many_bumps(columns: int, rows: int) -> tuple[Array, Array]:
    """A heatmap of bumps, 5 cells apart, with heights in a shuffled order; (N, 3) x, y, height of each."""
    places = np.array([(5 * x + 4.3, 5 * y + 4.2) for y in range(rows) for x in range(columns)], np.float32)
    heights = np.random.default_rng(0).permutation(np.linspace(0.3, 0.9, len(places))).astype(np.float32)
    heatmap = np.zeros((5 * rows + 5, 5 * columns + 5), np.float32)
    y, x = np.mgrid[-3:4, -3:4]
    for (px, py), height in zip(places, heights, strict=True):
        column, row = int(px), int(py)
        bump = height * np.exp(-((x + column - px) ** 2 + (y + row - py) ** 2) / (2 * 0.7**2))
        heatmap[row - 3 : row + 4, column - 3 : column + 4] += bump
    return heatmap, np.column_stack([places, heights])


def test_a_crowd_has_as_many_peaks_as_people(capsys: pytest.CaptureFixture[str]) -> None:
    heatmap, bumps = many_bumps(20, 15)
    peaks = find_peaks(np.stack([heatmap, heatmap]), 0.05)
    np.testing.assert_array_equal(np.diff(peaks.first), [300, 300])
    np.testing.assert_allclose(to_cells(peaks.xy[:300]), bumps[:, :2], atol=0.25)
    assert capsys.readouterr().err == ""


def test_everybody_in_a_crowd_of_150_is_found() -> None:
    size = 92, 164
    people = random_people(150, COCO, size, seed=4, heights=(8, 14))
    found = decode_people(paint_maps(people, COCO, size), COCO)
    distance = np.linalg.norm(people[:, None, :, :2] - found.keypoints[None, ..., :2], axis=-1)
    near = (distance < 0.5) & found.found & (people[:, None, :, 2] > 0)
    whole = (near.sum(axis=2) >= 0.9 * (people[..., 2] > 0).sum(axis=1)[:, None]).any(axis=1)
    assert whole.mean() > 0.95  # some hide behind others


def test_of_too_many_peaks_the_strongest_are_kept_in_reading_order() -> None:
    heatmap, bumps = many_bumps(30, 20)
    lower, few = many_bumps(3, 2)[0], np.zeros_like(heatmap)
    few[: lower.shape[0], : lower.shape[1]] = lower
    peaks = find_peaks(np.stack([heatmap, few]), 0.05)
    np.testing.assert_array_equal(np.diff(peaks.first), [MOST_PEAKS, 6])
    least = np.sort(bumps[:, 2])[-MOST_PEAKS]
    strongest = bumps[bumps[:, 2] >= least]
    assert len(strongest) == MOST_PEAKS
    found = to_cells(peaks.xy[:MOST_PEAKS])
    near = np.linalg.norm(found - strongest[:, :2], axis=1) < 0.25
    assert near.mean() > 0.99  # bumps of nearly the same height may change places: cells do not show it exactly


def test_cubic_weights_are_opencvs() -> None:
    cell = np.zeros((1, 9), np.float32)
    cell[0, 4] = 1  # what the resized row shows of it are the weights that each pixel gives it
    row = cv2.resize(cell, (9 * STRIDE, 1), interpolation=cv2.INTER_CUBIC)[0]
    places = (np.arange(9 * STRIDE) + 0.5) / STRIDE - 0.5
    for place, value in zip(places, row, strict=True):
        tap = 4 - int(np.floor(place)) + 1
        weight = cubic_weights(place % 1)[tap] if 0 <= tap < 4 else 0
        assert value == pytest.approx(weight, abs=1e-6)


@pytest.mark.parametrize("fraction", [0, 0.0625, 0.25, 0.5, 0.9375])
def test_cubic_weights_add_up_to_one(fraction: float) -> None:
    assert cubic_weights(fraction).sum() == pytest.approx(1, abs=1e-6)


# -------------------------------------------------------------------------------------------------------- one person


def test_the_only_persons_keypoints_are_the_strongest_of_all_peaks() -> None:
    maps = scene("20 people").maps
    peaks = find_peaks(maps[:18], 0.1)
    (person,) = decode_person(maps, COCO).keypoints
    for keypoint in range(18):
        candidates = of_keypoint(peaks, keypoint)
        x, y, score = candidates[candidates[:, 2].argmax()]
        np.testing.assert_array_equal(person[keypoint], [to_cells(x), to_cells(y), score])


def test_the_only_person_of_a_scene_is_the_one_whom_all_find() -> None:
    maps = scene("1 person").maps
    np.testing.assert_allclose(decode_person(maps, COCO).keypoints, decode_people(maps, COCO).keypoints, atol=1e-4)


@pytest.mark.parametrize("row", [0, 11])
@pytest.mark.parametrize("column", [0, 7, 13])
def test_a_map_that_is_highest_on_its_edge_gives_the_cell_there(row: int, column: int) -> None:
    maps = np.zeros((HAND.channels, 12, 14), np.float32)
    y, x = np.mgrid[:12, :14]
    maps[3] = 0.9 * np.exp(-np.hypot(x - column, y - row) / 3)
    maps[3, row, column] = 0.9
    (hand,) = decode_person(maps, HAND).keypoints
    assert np.abs(hand[3, :2] - (column, row)).max() <= 0.5
    assert hand[3, 2] == pytest.approx(0.9, rel=0.1)
    assert not np.delete(hand, 3, axis=0).any()


def test_a_map_that_is_flat_at_its_highest_gives_a_keypoint_on_the_plateau() -> None:
    maps = np.zeros((HAND.channels, 20, 20), np.float32)
    maps[0, 5:15, 6:16] = 0.8
    maps[1] = 0.8
    (hand,) = decode_person(maps, HAND).keypoints
    assert 5.5 <= hand[0, 0] <= 15.5
    assert 4.5 <= hand[0, 1] <= 14.5
    overshoot = oracle.enlarge(maps[:1]).max()  # at the plateau's rim
    assert 0.8 <= hand[0, 2] <= overshoot * 1.0001
    assert hand[1, 2] == pytest.approx(0.8)


def test_keypoints_at_or_below_the_threshold_are_missing() -> None:
    people = random_people(1, seed=5, scores=(0.6, 0.6))
    people[0, 4, 2] = 0.05
    maps = paint_maps(people, COCO)
    np.testing.assert_array_equal(decode_person(maps, COCO).found[0], np.arange(18) != 4)
    assert decode_person(maps, COCO, threshold=0.02).found.all()
    assert len(decode_person(maps, COCO, threshold=0.9)) == 0


def test_with_no_threshold_at_all_every_keypoint_has_a_place() -> None:
    maps = np.random.default_rng(1).normal(-1, 0.1, (HAND.channels, 10, 12)).astype(np.float32)
    (hand,) = decode_person(maps, HAND, threshold=-np.inf).keypoints
    assert np.isfinite(hand).all()
    assert (hand[:, 2] != 0).all()


def test_the_only_persons_score_is_the_mean_over_all_keypoints() -> None:
    people = random_people(1, seed=5, scores=(0.6, 0.9))
    people[0, [3, 4], 2] = 0
    found = decode_person(paint_maps(people, COCO), COCO)
    assert found.scores[0] == pytest.approx(found.keypoints[0, :, 2].sum() / 18)


def test_one_person_needs_heatmaps_alone() -> None:
    maps = scene("1 person").maps
    np.testing.assert_array_equal(decode_person(maps[:18], COCO).keypoints, decode_person(maps, COCO).keypoints)
    np.testing.assert_array_equal(decode_person(maps[:19], COCO).keypoints, decode_person(maps, COCO).keypoints)


# ------------------------------------------------------------------------------------------------------------- limbs


def bone_peaks(start: tuple[float, float], end: tuple[float, float]) -> Peaks:
    """One peak of each keypoint, in fine pixels."""
    return Peaks(
        np.array([0, 1]), np.array([start, end], np.float32), np.array([0.5, 0.5], np.float32), np.array([0, 1, 2])
    )


def bone_maps(rows: int = 20, columns: int = 60) -> Array:
    """A field that points right, strong to very strong, different everywhere."""
    maps = np.zeros((BONE.channels, rows, columns), np.float32)
    noise = np.random.default_rng(4).random((rows, columns)).astype(np.float32)
    maps[3] = 0.4 + 0.6 * cv2.GaussianBlur(noise, (0, 0), 1.5)
    return maps


def samples_between(start: tuple[float, float], end: tuple[float, float]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns and rows of the fine pixels that are read on a limb: the rule, in plain words.

    As many as the root of five times the longer side, at least 5, at most 25; the first on the start, none on the end.
    """
    way = np.subtract(end, start)
    count = int(np.clip(np.floor(np.sqrt(5 * np.abs(way).max()) + 0.5), 5, 25))
    points = np.array(start) + np.arange(count)[:, None] * way / count
    columns, rows = np.floor(points + 0.5).astype(np.intp).T
    return columns, rows


@pytest.mark.parametrize(
    ("dx", "dy", "count"),
    [
        (4.0, 0.0, 5),
        (14.25, 0.0, 8),
        (14.75, 0.0, 9),
        (20.0, -1.0, 10),
        (20.0, 15.0, 10),
        (125.0, 40.0, 25),
        (400.0, 0.0, 25),
    ],
)
def test_a_limbs_score_is_the_mean_of_its_samples_of_the_enlarged_field(dx: float, dy: float, count: int) -> None:
    maps, start = bone_maps(), (30.3, 61.4)
    end = (start[0] + dx, start[1] + dy)
    columns, rows = samples_between(start, end)
    assert len(columns) == count
    field_x, field_y = oracle.enlarge(maps[3:5])
    along = (field_x[rows, columns] * dx + field_y[rows, columns] * dy) / np.hypot(dx, dy)
    connections = connect(maps, BONE, bone_peaks(start, end), Thresholds())
    np.testing.assert_allclose(connections.score, [along.mean()], rtol=1e-4)


def test_samples_that_disagree_count_against_the_limb_and_not_in_its_mean() -> None:
    maps, start, end = bone_maps(), (30.0, 60.0), (430.0, 60.0)
    maps[3, :, 33] = -0.5  # one column of cells
    columns, rows = samples_between(start, end)
    along = oracle.enlarge(maps[3:4])[0][rows, columns]
    agreeing = along > Thresholds().inter_threshold
    count = np.count_nonzero(agreeing)
    assert 20 < count < 25 == len(along)
    for share, joined in (((count - 0.5) / 25, True), (count / 25, False), ((count + 0.5) / 25, False)):
        thresholds = replace(Thresholds(), inter_min_above=share)
        scores = connect(maps, BONE, bone_peaks(start, end), thresholds).score
        np.testing.assert_allclose(scores, [along[agreeing].mean()] * joined, rtol=1e-4)


def test_a_limb_against_the_field_or_across_it_is_none() -> None:
    maps = bone_maps()
    for end in ((30.0, 60.0), (230.0, 20.0), (230.0, 140.0)):
        assert len(connect(maps, BONE, bone_peaks((230.0, 60.0), end), Thresholds()).score) == 0


def test_peaks_close_together_join_without_a_field() -> None:
    maps = np.zeros((BONE.channels, 20, 60), np.float32)
    reach = np.sqrt(20 * STRIDE * 60 * STRIDE) / 150
    start, thresholds = (100.0, 80.0), Thresholds()
    near = connect(maps, BONE, bone_peaks(start, (100 + 0.99 * reach, 80)), thresholds)
    np.testing.assert_allclose(near.score, [thresholds.nms_threshold + 1e-6])
    for end in ((100 + 1.01 * reach, 80.0), start):  # too far; on the very same spot
        assert len(connect(maps, BONE, bone_peaks(start, end), thresholds).score) == 0


def test_limbs_at_the_edge_of_the_maps_read_its_last_pixels() -> None:
    maps = bone_maps()
    start, end = (2.0, 0.4), (476.0, 1.0)
    columns, rows = samples_between(start, end)
    dx, dy = np.subtract(end, start)
    field_x, _ = oracle.enlarge(maps[3:5])
    along = field_x[rows, columns] * dx / np.hypot(dx, dy)
    connections = connect(maps, BONE, bone_peaks(start, end), Thresholds())
    np.testing.assert_allclose(connections.score, [along.mean()], rtol=1e-4)


def test_every_pair_of_peaks_is_a_limb_where_the_field_allows_it() -> None:
    maps = bone_maps()
    starts = np.array([[20 + 3 * index, 4 + 7 * index] for index in range(20)], np.float32)
    ends = starts + np.array([250, 0], np.float32)
    xy = np.concatenate([starts, ends])
    peaks = Peaks(np.repeat([0, 1], 20), xy, np.full(40, 0.5, np.float32), np.array([0, 20, 40]))
    connections = connect(maps, BONE, peaks, Thresholds())
    assert sorted(zip(connections.start, connections.end, strict=True)) == [
        (start, end) for start in range(20) for end in range(20, 40)
    ]


@pytest.mark.parametrize("share", [0.95, 0.75])
def test_the_connections_of_a_crowd_are_the_oracles(share: float) -> None:
    people = random_people(60, COCO, (40, 50), seed=2)
    maps = paint_maps(people, COCO, (40, 50), blur=1.0)
    thresholds = replace(COCO.thresholds, inter_min_above=share)
    peaks = find_peaks(maps[:18], thresholds.nms_threshold)
    xy, score = peaks.xy, peaks.score
    listed = [
        [oracle.Peak(xy[at, 0], xy[at, 1], score[at]) for at in range(peaks.first[keypoint], peaks.first[keypoint + 1])]
        for keypoint in range(18)
    ]
    expected = {}
    for each in oracle.find_connections(oracle.enlarge(maps), listed, COCO, thresholds):
        start, end = COCO.limbs[each.limb]
        expected[each.limb, peaks.first[start] + each.start, peaks.first[end] + each.end] = each.paf_score
    found = connect(maps, COCO, peaks, thresholds)
    assert len(expected) > 1000
    scores = dict(zip(zip(found.limb, found.start, found.end, strict=True), found.score, strict=True))
    same = scores.keys() & expected.keys()
    # A sample beside the threshold, or a start between two pixels, may fall on either side in float32.
    assert len(same) > 0.995 * max(len(scores), len(expected))
    np.testing.assert_allclose([scores[key] for key in same], [expected[key] for key in same], atol=0.03)


# ---------------------------------------------------------------------------------------------------------- grouping


def chain_peaks() -> Peaks:
    """Three peaks of each keypoint of CHAIN, all of score 0.5."""
    scores = np.full(12, 0.5, np.float32)
    return Peaks(np.repeat(np.arange(4), 3), np.zeros((12, 2), np.float32), scores, np.arange(0, 13, 3))


def connections_of(*rows: tuple[int, int, int, float]) -> Connections:
    """Limb, start and end counted within their keypoint, score."""
    limb, start, end, score = (np.array(column) for column in zip(*rows, strict=True))
    first = np.arange(0, 13, 3)
    start_of, end_of = np.array(CHAIN.limbs).T
    return Connections(limb, first[start_of[limb]] + start, first[end_of[limb]] + end, score.astype(np.float32))


def test_two_halves_of_a_person_merge() -> None:
    connections = connections_of((0, 0, 0, 0.9), (2, 1, 1, 0.8), (1, 0, 1, 0.7))
    members, scores = group(connections, chain_peaks(), CHAIN, EVERYBODY)
    np.testing.assert_array_equal(members, [[0, 3, 7, 10]])
    assert scores[0] == pytest.approx(4 * 0.5 + 0.9 + 0.8 + 0.7)


def test_two_people_with_the_same_keypoint_are_kept_apart() -> None:
    connections = connections_of((0, 0, 0, 0.9), (1, 1, 1, 0.8), (1, 0, 1, 0.7))
    members, _ = group(connections, chain_peaks(), CHAIN, EVERYBODY)
    np.testing.assert_array_equal(members, [[0, 3, -1, -1], [-1, 4, 7, -1]])


def test_the_stronger_connection_takes_the_peak() -> None:
    connections = connections_of((0, 0, 0, 0.6), (0, 1, 0, 0.9))
    members, _ = group(connections, chain_peaks(), CHAIN, EVERYBODY)
    np.testing.assert_array_equal(members, [[1, 3, -1, -1]])


def test_a_ring_of_limbs_adds_to_the_score_and_no_keypoint() -> None:
    connections = connections_of((0, 0, 0, 0.9), (1, 0, 0, 0.8), (2, 0, 0, 0.7), (3, 0, 0, 0.6))
    members, scores = group(connections, chain_peaks(), CHAIN, EVERYBODY)
    np.testing.assert_array_equal(members, [[0, 3, 6, 9]])
    assert scores[0] == pytest.approx(4 * 0.5 + 0.9 + 0.8 + 0.7 + 0.6)


def test_random_connections_give_the_oracles_groups() -> None:
    random = np.random.default_rng(6)
    for _ in range(200):
        rows = [(k, a, b) for k in range(4) for a in range(3) for b in range(3) if random.random() < 0.4]
        if not rows:
            continue
        scores = random.integers(1, 9, len(rows)) / 8  # ties among them
        peaks = chain_peaks()._replace(score=(random.integers(1, 5, 12) / 4).astype(np.float32))
        connections = connections_of(*((*row, score) for row, score in zip(rows, scores, strict=True)))
        members, totals = group(connections, peaks, CHAIN, EVERYBODY)
        assert as_groups(members, totals) == sorted(oracles_groups(rows, scores, peaks))


def as_groups(members: NDArray[np.intp], totals: Array) -> list[tuple[list[int], float]]:
    return sorted((row.tolist(), round(float(total), 4)) for row, total in zip(members, totals, strict=True))


def oracles_groups(
    rows: list[tuple[int, int, int]], scores: NDArray[np.float64], peaks: Peaks
) -> Iterator[tuple[list[int], float]]:
    lists = [
        [oracle.Peak(peaks.xy[3 * k + i, 0], peaks.xy[3 * k + i, 1], peaks.score[3 * k + i]) for i in range(3)]
        for k in range(4)
    ]
    share = np.float32(EVERYBODY.peak_share)
    connections = []
    for (limb, a, b), score in zip(rows, scores.astype(np.float32), strict=True):
        start, end = CHAIN.limbs[limb]
        total = score + share * lists[start][a].score + share * lists[end][b].score
        connections.append(oracle.Connection(total, score, limb, a, b))
    for person in oracle.group(sorted(connections, reverse=True), lists, CHAIN):
        yield [3 * k + person.peaks[k] if k in person.peaks else -1 for k in range(4)], round(float(person.score), 4)


# ------------------------------------------------------------------------------------------------------------ people


def test_people_come_in_order_of_falling_score() -> None:
    scores = decode_people(scene("20 people").maps, COCO).scores
    assert (np.diff(scores) <= 0).all()
    assert scores[0] > scores[-1]


@BODIES
def test_where_no_map_has_a_peak_there_is_nobody(skeleton: Skeleton) -> None:
    for maps in (np.zeros((skeleton.channels, 46, 82)), scene("nobody", skeleton).maps):
        people = decode_people(maps, skeleton)
        assert len(people) == 0
        assert people.keypoints.shape == (0, len(skeleton.keypoints), 3)
    assert len(decode_person(np.zeros((skeleton.channels, 46, 82)), skeleton)) == 0


@pytest.mark.parametrize("x", [20.0, 20.5])
@pytest.mark.parametrize("y", [11.0, 11.5])
@pytest.mark.parametrize("sigma", [0.875, 1.0, 1.5])
def test_a_bump_as_high_on_both_sides_of_its_middle_is_one_peak(x: float, y: float, sigma: float) -> None:
    rows, columns = np.mgrid[:24, :40]
    bump = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)
    peaks = find_peaks(bump[None], 0.05)
    assert len(peaks.score) == 1
    np.testing.assert_allclose(to_cells(peaks.xy), [[x, y]], atol=1 / STRIDE)  # the first of equals is half a pixel off


@pytest.mark.parametrize("refinement", ["centroid", "parabola"])
def test_a_refined_peak_lies_within_half_a_fine_pixel_of_the_maximum(refinement: str) -> None:
    rows, columns = np.mgrid[:24, :40]
    random = np.random.default_rng(3)
    for x, y in random.uniform([4, 4], [35, 19], (50, 2)):
        bump = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2).astype(np.float32)
        peaks = find_peaks(bump[None], 0.05, refinement)
        enlarged = cv2.resize(bump, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)
        row, column = np.unravel_index(enlarged.argmax(), enlarged.shape)
        assert np.abs(peaks.xy - [column, row]).max() <= 0.5


@pytest.mark.parametrize("refinement", ["centroid", "parabola"])
def test_peaks_of_a_map_that_is_flat_but_for_rounding_lie_where_the_map_is_highest(refinement: str) -> None:
    rng = np.random.default_rng(4)
    step = np.spacing(np.float32(0.9))
    rough = np.float32(0.9) + step * rng.integers(0, 3, (200, 12, 12)).astype(np.float32)
    peaks = find_peaks(rough, 0.1, refinement)
    assert len(peaks.keypoint) > 1000
    cells = to_cells(peaks.xy).round().astype(int)
    height = rough[peaks.keypoint, cells[:, 1], cells[:, 0]]
    assert np.isfinite(peaks.xy).all()
    assert (height > np.float32(0.9)).mean() > 0.9


def test_a_parabola_follows_a_bump_more_closely_than_the_centroid() -> None:
    rows, columns = np.mgrid[:24, :40]
    errors: dict[str, list[float]] = {"centroid": [], "parabola": []}
    for x in np.linspace(20, 20 + 2 / STRIDE, 33):
        bump = np.exp(-((columns - x) ** 2 + (rows - 11.3) ** 2) / 2).astype(np.float32)
        for refinement, found in errors.items():
            found.append(abs(float(to_cells(find_peaks(bump[None], 0.05, refinement).xy)[0, 0]) - x))
    assert np.mean(errors["parabola"]) < np.mean(errors["centroid"])


@pytest.mark.parametrize("decode", [decode_people, decode_person])
def test_an_unknown_refinement_is_named(decode: Callable[..., People]) -> None:
    with pytest.raises(InputError, match="refinement 'spline' is unknown"):
        decode(np.zeros((57, 6, 8), np.float32), COCO, refinement="spline")


@pytest.mark.parametrize("value", [-1, 0.3, 0.7, 1, 1e6])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (12, 20)])
def test_maps_of_one_value_everywhere_have_nobody(size: tuple[int, int], value: float) -> None:
    assert len(decode_people(np.full((COCO.channels, *size), value), COCO)) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2), (3, 5)])
def test_maps_of_a_few_cells_are_decoded_without_complaint(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(7).random((COCO.channels, *size))
    assert np.isfinite(decode_people(maps, COCO).keypoints).all()
    found = decode_person(maps, COCO, threshold=0)
    assert found.found.all()
    assert np.isfinite(found.keypoints).all()


@pytest.mark.parametrize("decode", [decode_people, decode_person])
@pytest.mark.parametrize(
    "values", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]], ids=["nan", "inf", "-inf", "inf and -inf"]
)
def test_maps_that_are_not_finite_are_refused(decode: object, values: list[float]) -> None:
    assert callable(decode)
    maps = scene("1 person").maps.copy()
    maps[5, 10, 10 : 10 + len(values)] = values
    with pytest.raises(InputError, match="not finite"):
        decode(maps, COCO)


@pytest.mark.parametrize("shape", [(56, 4, 6), (57, 6), (57,), (2, 57, 4, 6), (57, 0, 6), (57, 4, 0), ()], ids=str)
def test_maps_of_another_shape_are_refused_with_it_and_the_right_one(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="57") as caught:
        decode_people(np.zeros(shape), COCO)
    assert str(shape) in str(caught.value)
    assert "coco" in str(caught.value)


def test_one_person_needs_a_heatmap_a_keypoint() -> None:
    with pytest.raises(InputError, match="18"):
        decode_person(np.zeros((17, 4, 6)), COCO)


def test_people_cannot_be_told_apart_without_fields() -> None:
    with pytest.raises(InputError, match="decode_person"):
        decode_people(np.zeros((HAND.channels, 4, 6)), HAND)


def test_an_unknown_threshold_is_named() -> None:
    with pytest.raises(UsageError, match="unknown threshold nonsense; did you mean nms_threshold or "):
        decode_people(scene("1 person").maps, COCO, nonsense=1)


def test_maps_in_any_form_give_the_same_people() -> None:
    maps = scene("5 people").maps
    expected = decode_people(maps, COCO)
    in_rows = np.ascontiguousarray(maps.transpose(1, 2, 0)).transpose(2, 0, 1)
    spread = np.repeat(maps, 2, axis=2)[:, :, ::2]
    turned = np.ascontiguousarray(maps[:, ::-1])[:, ::-1]
    for same in (maps.astype(np.float64), np.asfortranarray(maps), in_rows, spread, turned, maps[None]):
        people = decode_people(same, COCO)
        np.testing.assert_array_equal(people.keypoints, expected.keypoints)
        np.testing.assert_array_equal(people.scores, expected.scores)
        np.testing.assert_array_equal(decode_person(same, COCO).keypoints, decode_person(maps, COCO).keypoints)


def test_what_follows_the_skeletons_channels_is_not_looked_at() -> None:
    maps = scene("5 people").maps
    more = np.concatenate([maps, np.ones((3, *maps.shape[1:]), np.float32)])
    np.testing.assert_array_equal(decode_people(more, COCO).keypoints, decode_people(maps, COCO).keypoints)


def test_the_maps_are_left_as_they_are() -> None:
    maps = scene("5 people").maps.copy()
    before = maps.copy()
    decode_people(maps, COCO)
    decode_person(maps, COCO)
    np.testing.assert_array_equal(maps, before)


def test_the_answer_is_float32_and_its_own() -> None:
    maps = scene("5 people").maps
    for people in (decode_people(maps, COCO), decode_person(maps, COCO)):
        assert people.keypoints.dtype == people.scores.dtype == np.float32
        assert people.keypoints.flags.writeable
        assert people.skeleton is COCO


def test_decoding_again_and_again_takes_no_more_memory() -> None:
    maps = scene("5 people").maps

    def held_after(rounds: int) -> int:
        for _ in range(rounds):
            decode_people(maps, COCO)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = held_after(20)
        after = held_after(200)
    finally:
        tracemalloc.stop()
    assert after - before < 200 * 100  # less than a hundred bytes a picture: not one array of them is kept
