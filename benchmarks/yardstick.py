"""The reference for decoding speed: our implementation of Lightweight OpenPose's published decoder.

Osokin, "Real-time 2D Multi-Person Pose Estimation on CPU: Lightweight OpenPose", arXiv:1811.12004, and its
repository: all maps are enlarged by 4, peaks are maxima over whole heatmaps, each limb's pairs are scored by ten
samples in NumPy, all pairs of a limb at once, joined greedily, and people grow limb by limb. It is the best NumPy
decoder that we know of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.people import People
from posecv.skeletons import Skeleton

Array = NDArray[np.float32]
Indices = NDArray[np.intp]

ENLARGED = 4
PEAK_THRESHOLD = 0.1
PEAK_DISTANCE = 6  # pixels of the enlarged maps
SAMPLES = 10
SAMPLE_THRESHOLD = 0.05
AGREEING = 0.8
LEAST_KEYPOINTS = 3
LEAST_SCORE = 0.2  # of a person, a keypoint


@dataclass
class _Person:
    """A person that grows limb by limb: the peak of each keypoint, the number of keypoints, the score."""

    peaks: dict[int, int] = field(default_factory=dict)
    count: int = 0
    score: float = 0.0


def enlarge(maps: Array) -> Array:
    """(C, h, w) maps to (4h, 4w, C)."""
    rows = np.ascontiguousarray(maps.transpose(1, 2, 0))
    return cv2.resize(rows, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)


def find_peaks(heatmap: Array) -> Array:
    """(P, 3) x, y, score of the maxima among four neighbours, at least 6 pixels apart, from left to right."""
    framed = np.pad(np.where(heatmap < PEAK_THRESHOLD, 0, heatmap), 1)
    inner = framed[1:-1, 1:-1]
    beside = (inner > framed[1:-1, :-2]) & (inner > framed[1:-1, 2:])
    above = (inner > framed[:-2, 1:-1]) & (inner > framed[2:, 1:-1])
    rows, columns = np.nonzero(beside & above)
    peaks = sorted(zip(columns.tolist(), rows.tolist(), strict=True))  # by x, then y
    suppressed = [False] * len(peaks)
    kept = []
    for index, (x, y) in enumerate(peaks):
        if suppressed[index]:
            continue
        kept.append((x, y, heatmap[y, x]))
        for later in range(index + 1, len(peaks)):
            if math.hypot(peaks[later][0] - x, peaks[later][1] - y) < PEAK_DISTANCE:
                suppressed[later] = True
    return np.array(kept, np.float32).reshape(-1, 3)


def limb_scores(paf: Array, starts: Array, ends: Array) -> Array:
    """(S, E) scores of all pairs of a limb's peaks; at most 0 if they do not belong together."""
    vectors = ends[None, :, :2] - starts[:, None, :2]  # (S, E, 2)
    lengths = np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)
    steps = np.linspace(0, 1, SAMPLES, dtype=np.float32)  # both ends among them
    x, y = (
        np.rint(starts[:, axis, None, None] + vectors[..., axis, None] * steps).astype(np.intp) for axis in (0, 1)
    )  # (S, E, samples)
    units = vectors / np.maximum(lengths, 1e-6)[..., None]
    read = paf[y, x]  # (S, E, samples, 2)
    along = read[..., 0] * units[..., 0, None] + read[..., 1] * units[..., 1, None]
    agrees = along > SAMPLE_THRESHOLD
    count = agrees.sum(axis=-1)
    mean = (along * agrees).sum(axis=-1) / np.maximum(count, 1)
    penalty = np.minimum(paf.shape[0] // 2 / np.maximum(lengths, 1e-6) - 1, 0)  # for limbs over half an image
    return np.where((count > AGREEING * SAMPLES) & (lengths > 0), mean + penalty, 0)


def join(scores: Array) -> list[tuple[int, int, float]]:
    """Start, end and score of the pairs, chosen greedily, best first, each peak once."""
    starts, ends = np.nonzero(scores > 0)
    found = scores[starts, ends]
    order = np.argsort(-found, kind="stable")
    taken_starts: set[int] = set()
    taken_ends: set[int] = set()
    joined = []
    for start, end, score in zip(starts[order].tolist(), ends[order].tolist(), found[order].tolist(), strict=True):
        if start not in taken_starts and end not in taken_ends:
            taken_starts.add(start)
            taken_ends.add(end)
            joined.append((start, end, score))
    return joined


def find_limbs(pafs: Array, peaks: list[Array], skeleton: Skeleton) -> list[list[tuple[int, int, float]]]:
    """The joined pairs of every limb; none where one side has no peaks."""
    limbs = []
    for (start, end), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
        paf = pafs[:, :, channel - skeleton.heatmaps :][:, :, :2]
        both = len(peaks[start]) and len(peaks[end])
        limbs.append(join(limb_scores(paf, peaks[start], peaks[end])) if both else [])
    return limbs


def grow_people(limbs: list[list[tuple[int, int, float]]], peaks: list[Array], skeleton: Skeleton) -> list[_Person]:
    """Assemble people limb by limb; the ears' limbs only fill gaps, every other limb may start a person.

    Peaks without a partner at the limb's other end would only start people of one keypoint, which are dropped.
    """
    heights = [one[:, 2].tolist() for one in peaks]
    people: list[_Person] = []
    for limb, (a, b) in enumerate(skeleton.limbs):
        for start, end, score in limbs[limb]:
            if limb in skeleton.hidden_limbs:
                for person in people:
                    if person.peaks.get(a) == start and b not in person.peaks:
                        person.peaks[b] = end
                    elif person.peaks.get(b) == end and a not in person.peaks:
                        person.peaks[a] = start
                continue
            owners = [person for person in people if person.peaks.get(a) == start]
            if not owners:
                owners = [_Person({a: start}, 1, heights[a][start])]
                people += owners
            for person in owners:
                person.peaks[b] = end
                person.count += 1
                person.score += heights[b][end] + score
    return [p for p in people if p.count >= LEAST_KEYPOINTS and p.score / p.count >= LEAST_SCORE]


def decode(maps: Array, skeleton: Skeleton) -> People:
    """Find the people in (C, h, w) maps; cells, best first."""
    heatmaps = enlarge(maps[: skeleton.heatmaps])
    pafs = enlarge(maps[skeleton.heatmaps :])
    peaks = [find_peaks(heatmaps[:, :, keypoint]) for keypoint in range(len(skeleton.keypoints))]
    people = grow_people(find_limbs(pafs, peaks, skeleton), peaks, skeleton)
    people.sort(key=lambda person: -person.score)
    keypoints = np.zeros((len(people), len(skeleton.keypoints), 3), np.float32)
    for index, person in enumerate(people):
        for keypoint, peak in person.peaks.items():
            keypoints[index, keypoint] = peaks[keypoint][peak]
    found = keypoints[..., 2:] > 0
    keypoints[..., :2] = np.where(found, (keypoints[..., :2] + 0.5) / ENLARGED - 0.5, 0)
    return People(keypoints, np.array([person.score for person in people], np.float32), skeleton)
