"""Grouping: from connections to people.

The strongest connections of all limbs come first. Each joins its two peaks unless a person would get the same keypoint
twice. This is the grouping of OpenPose's CUDA build, in which a peak belongs to at most one person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posecv.arrays import Array
from posecv.decoding.limbs import Connections
from posecv.decoding.peaks import Index, Peaks
from posecv.skeletons import Skeleton, Thresholds

FEWEST_WITH_FEET = 4  # a person needs more keypoints than this besides the feet


@dataclass(slots=True)
class _Group:
    """Peaks that belong together: keypoint -> peak, with OpenPose's counter and the sum of scores."""

    peaks: dict[int, int]
    count: int
    score: float


def group(connections: Connections, peaks: Peaks, skeleton: Skeleton, thresholds: Thresholds) -> tuple[Index, Array]:
    """Group connections into people.

    Returns
    -------
    members : (N, K) int array
        Index of the peak of each keypoint of each person; -1 if missing.
    scores : (N,) float32 array
        Sum of the scores of a person's peaks and connections.
    """
    groups = _join(connections, peaks, skeleton, thresholds.peak_share)
    people = [g for g in groups if _is_person(g, skeleton.feet, thresholds)]
    if not people:
        people = [g for g in groups if _is_person(g, frozenset(), thresholds)]
    members = np.full((len(people), len(skeleton.keypoints)), -1, np.intp)
    for row, person in zip(members, people, strict=True):
        row[list(person.peaks)] = list(person.peaks.values())
    return members, np.array([person.score for person in people], np.float32)


def _join(connections: Connections, peaks: Peaks, skeleton: Skeleton, peak_share: float) -> list[_Group]:
    """Go through the connections, strongest first, and start, extend or merge groups."""
    limb, start, end, score = connections
    share = np.float32(peak_share)
    rank = score + share * peaks.score[start] + share * peaks.score[end]
    order = np.lexsort((end, start, limb, score, rank))[::-1]
    peak_scores = peaks.score.tolist()
    owner: dict[int, _Group] = {}
    groups: list[_Group] = []
    for k, a, b, field in zip(*(values[order].tolist() for values in connections), strict=True):
        start_keypoint, end_keypoint = skeleton.limbs[k]
        one, other = owner.get(a), owner.get(b)
        if one is None and other is None:
            new = _Group({start_keypoint: a, end_keypoint: b}, 2, peak_scores[a] + peak_scores[b] + field)
            owner[a] = owner[b] = new
            groups.append(new)
        elif one is None or other is None:
            (keypoint, peak), grown = ((start_keypoint, a), other) if one is None else ((end_keypoint, b), one)
            if grown and keypoint not in grown.peaks:
                grown.peaks[keypoint] = peak
                grown.count += 1
                grown.score += peak_scores[peak] + field
                owner[peak] = grown
        elif one is other:
            one.score += field
        elif one.peaks.keys().isdisjoint(other.peaks):
            one.peaks.update(other.peaks)
            one.count += other.count
            one.score += other.score + field
            owner.update(dict.fromkeys(other.peaks.values(), one))
            other.count = 0  # merged, so no longer a person
    return [each for each in groups if each.count]


def _is_person(candidate: _Group, feet: frozenset[int], thresholds: Thresholds) -> bool:
    """OpenPose's final check: enough keypoints, without the feet, and a high enough mean score."""
    on_feet = len(feet & candidate.peaks.keys())
    count = candidate.count - on_feet
    if on_feet and count <= FEWEST_WITH_FEET:
        return False
    return count >= thresholds.min_subset_cnt and candidate.score / count >= thresholds.min_subset_score
