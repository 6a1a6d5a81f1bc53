"""A slow decoder, written from OpenPose's rules and from nothing else, to judge the fast one by.

It enlarges every map to network size by bicubic interpolation and then walks over peaks, limbs, samples and
connections one by one in float32. Positions inside are pixels of the enlarged maps; `to_cells` turns them back.
Sources: Cao et al., CVPR 2017, and the rules of OpenPose 1.7 as its CUDA build applies them: strict maxima (all of
them, where OpenPose's buffer holds 127), a 7 x 7 centroid, 5 to 25 samples of the part affinity field, greedy grouping
over all limbs at once with merging, and a filter that does not count feet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.people import People
from posecv.skeletons import Skeleton, Thresholds

Array = NDArray[np.float32]

ENLARGED = 8  # network pixels in a cell
LEAST_SCORE = 1e-6  # a connection exceeds this, and two peaks of a limb are further apart than this


class Peak(NamedTuple):
    """A maximum of an enlarged heatmap: position in its pixels, height."""

    x: np.float32
    y: np.float32
    score: np.float32


class Connection(NamedTuple):
    """Two peaks that a limb may join; compares by what orders the grouping."""

    total: np.float32
    paf_score: np.float32
    limb: int
    start: int
    end: int


@dataclass
class Group:
    """A person in the making: the peak of each keypoint, how often one was added, what was collected."""

    peaks: dict[int, int]
    count: int
    score: np.float32


def to_cells(pixel: np.float32) -> np.float32:
    """The cell coordinate of a pixel of the enlarged maps; the centre of the first cell is 0."""
    return np.float32((pixel + np.float32(0.5)) / np.float32(ENLARGED) - np.float32(0.5))


def enlarge(maps: Array) -> Array:
    """Enlarge (C, h, w) maps to (C, 8h, 8w)."""
    size = (maps.shape[2] * ENLARGED, maps.shape[1] * ENLARGED)
    return np.stack([cv2.resize(channel, size, interpolation=cv2.INTER_CUBIC) for channel in maps])


def find_peaks(heatmap: Array, threshold: float) -> list[Peak]:
    """The pixels, row by row, that exceed the threshold and all of their 8 neighbours, made finer."""
    height, width = heatmap.shape
    inner = heatmap[1:-1, 1:-1]
    is_peak = inner > np.float32(threshold)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            if (dy, dx) != (1, 1):
                is_peak &= inner > heatmap[dy : height - 2 + dy, dx : width - 2 + dx]
    rows, columns = np.nonzero(is_peak)
    return [refine(heatmap, int(x), int(y)) for y, x in zip(rows + 1, columns + 1, strict=True)]


def refine(heatmap: Array, x: int, y: int) -> Peak:
    """The mean position of the 7 x 7 pixels round a peak, weighted by their positive values, and its height."""
    sum_x = sum_y = weight = np.float32(0)
    for row in range(max(y - 3, 0), min(y + 4, heatmap.shape[0])):
        for column in range(max(x - 3, 0), min(x + 4, heatmap.shape[1])):
            value = heatmap[row, column]
            if value > 0:
                sum_x += np.float32(column) * value
                sum_y += np.float32(row) * value
                weight += value
    return Peak(sum_x / weight, sum_y / weight, heatmap[y, x])


def count_samples(dx: float, dy: float) -> int:
    """How many samples are read between two peaks."""
    return max(5, min(25, int(math.sqrt(5 * max(abs(dx), abs(dy))) + 0.5)))


def limb_score(field_x: Array, field_y: Array, start: Peak, end: Peak, thresholds: Thresholds) -> np.float32:
    """How well a limb's enlarged field agrees with the line from one peak to another; 0 where it does not."""
    height, width = field_x.shape
    dx, dy = end.x - start.x, end.y - start.y
    length: np.float32 = np.sqrt(dx * dx + dy * dy)
    if length <= LEAST_SCORE:
        return np.float32(0)
    samples = count_samples(float(dx), float(dy))
    steps = np.arange(samples, dtype=np.float32)  # 0 to n - 1 of n: the end itself is never read
    x = np.clip((start.x + steps * (dx / np.float32(samples)) + np.float32(0.5)).astype(int), 0, width - 1)
    y = np.clip((start.y + steps * (dy / np.float32(samples)) + np.float32(0.5)).astype(int), 0, height - 1)
    along = dx / length * field_x[y, x] + dy / length * field_y[y, x]
    kept = along[along > np.float32(thresholds.inter_threshold)]
    if np.float32(len(kept)) / np.float32(samples) > np.float32(thresholds.inter_min_above):
        return np.float32(np.cumsum(kept)[-1] / np.float32(len(kept)))
    if length < math.sqrt(width * height) / 150:
        return np.float32(thresholds.nms_threshold + LEAST_SCORE)
    return np.float32(0)


def find_connections(
    enlarged: Array, peaks: list[list[Peak]], skeleton: Skeleton, thresholds: Thresholds
) -> list[Connection]:
    """Every pair of peaks that some limb may join, best first."""
    connections = []
    share = np.float32(thresholds.peak_share)
    for limb, ((start, end), channel) in enumerate(zip(skeleton.limbs, skeleton.paf_channels, strict=True)):
        for a, peak_a in enumerate(peaks[start]):
            for b, peak_b in enumerate(peaks[end]):
                score = limb_score(enlarged[channel], enlarged[channel + 1], peak_a, peak_b, thresholds)
                if score > LEAST_SCORE:
                    total = score + share * peak_a.score + share * peak_b.score
                    connections.append(Connection(total, score, limb, a, b))
    return sorted(connections, reverse=True)


def group(connections: list[Connection], peaks: list[list[Peak]], skeleton: Skeleton) -> list[Group]:
    """Join connections to people, best first; a peak belongs to one person at most."""
    groups: list[Group | None] = []
    owner: dict[tuple[int, int], int] = {}  # (keypoint, peak) -> index of its group
    for connection in connections:
        start, end = skeleton.limbs[connection.limb]
        a, b = (start, connection.start), (end, connection.end)
        owner_a, owner_b = owner.get(a), owner.get(b)
        if owner_a is None and owner_b is None:
            score = peaks[start][connection.start].score + peaks[end][connection.end].score + connection.paf_score
            owner[a] = owner[b] = len(groups)
            groups.append(Group(dict([a, b]), 2, score))
        elif owner_a is None or owner_b is None:
            index = owner_b if owner_a is None else owner_a
            keypoint, peak = a if owner_a is None else b
            person = groups[index] if index is not None else None
            if index is None or person is None or keypoint in person.peaks:
                continue
            person.peaks[keypoint] = peak
            person.count += 1
            person.score += peaks[keypoint][peak].score + connection.paf_score
            owner[keypoint, peak] = index
        elif owner_a == owner_b:
            person = groups[owner_a]
            assert person is not None
            person.score += connection.paf_score
        else:
            low, high = sorted((owner_a, owner_b))
            person, other = groups[low], groups[high]
            assert person is not None
            assert other is not None
            if person.peaks.keys() & other.peaks.keys():
                continue
            person.peaks |= other.peaks
            person.count += other.count
            person.score = person.score + other.score + connection.paf_score
            for item in other.peaks.items():
                owner[item] = low
            groups[high] = None
    return [person for person in groups if person is not None]


def is_kept(person: Group, skeleton: Skeleton, thresholds: Thresholds, *, foot_rule: bool) -> bool:
    """Whether a group has enough keypoints and score to be a person."""
    count = person.count
    if foot_rule:
        feet = len(skeleton.feet & person.peaks.keys())
        count -= feet
        if feet and count <= 4:
            return False
    if count < thresholds.min_subset_cnt:
        return False
    return bool(person.score / np.float32(count) >= np.float32(thresholds.min_subset_score))


def filter_groups(groups: list[Group], skeleton: Skeleton, thresholds: Thresholds) -> list[Group]:
    """The groups that are people; feet alone count only where nobody else is there."""
    for foot_rule in (True, False):
        kept = [person for person in groups if is_kept(person, skeleton, thresholds, foot_rule=foot_rule)]
        if kept:
            return kept
    return []


def decode(maps: Array, skeleton: Skeleton, thresholds: Thresholds | None = None) -> People:
    """Find the people in (C, h, w) maps; cells, best first, missing keypoints 0, 0, 0."""
    thresholds = skeleton.thresholds if thresholds is None else thresholds
    enlarged = enlarge(maps)
    peaks = [find_peaks(heatmap, thresholds.nms_threshold) for heatmap in enlarged[: len(skeleton.keypoints)]]
    connections = find_connections(enlarged, peaks, skeleton, thresholds)
    people = filter_groups(group(connections, peaks, skeleton), skeleton, thresholds)
    people.sort(key=lambda person: -person.score)
    keypoints = np.zeros((len(people), len(skeleton.keypoints), 3), np.float32)
    for index, person in enumerate(people):
        for keypoint, peak in person.peaks.items():
            x, y, score = peaks[keypoint][peak]
            keypoints[index, keypoint] = to_cells(x), to_cells(y), score
    divisor = np.float32(len(skeleton.keypoints) + len(skeleton.limbs))
    return People(keypoints, np.array([person.score / divisor for person in people], np.float32), skeleton)


def strongest_peaks(maps: Array, skeleton: Skeleton, threshold: float = 0.1) -> Array:
    """The highest peak of each keypoint: (K, 3) x, y in cells, score; 0, 0, 0 where none exceeds the threshold."""
    strongest = np.zeros((len(skeleton.keypoints), 3), np.float32)
    for keypoint, heatmap in enumerate(enlarge(maps[: len(skeleton.keypoints)])):
        peaks = find_peaks(heatmap, threshold)
        if peaks:
            x, y, score = max(peaks, key=lambda peak: peak.score)
            strongest[keypoint] = to_cells(x), to_cells(y), score
    return strongest


def match_people(a: People, b: People) -> list[tuple[int, int]]:
    """Pair the people of two answers who have the same keypoints in about the same places, nearest first."""
    pairs = []
    for i, one in enumerate(a.keypoints):
        for j, other in enumerate(b.keypoints):
            found = a.found[i]
            if found.any() and np.array_equal(found, b.found[j]):
                distance = float(np.hypot(*(one - other)[found, :2].T).mean())
                if distance < 1:  # cells: further apart it is somebody else
                    pairs.append((distance, i, j))
    matched: list[tuple[int, int]] = []
    for _, i, j in sorted(pairs):
        if all(i != taken_i and j != taken_j for taken_i, taken_j in matched):
            matched.append((i, j))
    return sorted(matched)


def distances(a: People, b: People) -> Array:
    """Distances in cells between the keypoints of all matched people, one after the other."""
    parts = [np.hypot(*(a.keypoints[i] - b.keypoints[j])[a.found[i], :2].T) for i, j in match_people(a, b)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def same_people(a: People, b: People, tolerance: float = 0.5 / ENLARGED, share: float = 1.0) -> bool:
    """Whether two answers hold the same set of people.

    Parameters
    ----------
    a, b : People
        In cells, in any order.
    tolerance : float
        Cells that a keypoint may lie away from its counterpart; by default half a network pixel.
    share : float
        Share of keypoints that must lie within the tolerance.
    """
    everybody = len(a) == len(b) == len(match_people(a, b))
    return everybody and bool(np.count_nonzero(distances(a, b) < tolerance) >= share * np.count_nonzero(a.found))
