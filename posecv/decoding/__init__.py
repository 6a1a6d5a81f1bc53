"""From maps to people, on the grid of the maps.

    maps -> peaks -> limbs -> groups -> People

The functions here work on arrays from anywhere. Their coordinates are cells of the given maps: the centre of the first
cell is 0, 0, and a cell counts as `stride` pixels of the network's input in the rules that need pixels.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from posecv.arrays import Array
from posecv.checks import check_number, known_arguments
from posecv.decoding.grouping import group
from posecv.decoding.limbs import connect
from posecv.decoding.peaks import FINE, find_peaks, to_cells
from posecv.decoding.single import strongest_peaks
from posecv.errors import InputError, UsageError
from posecv.people import People
from posecv.skeletons import REFINEMENTS, Skeleton, Thresholds, checked_skeleton

__all__ = ["decode_people", "decode_person"]

LARGEST = np.finfo(np.float32).max  # OpenCV 5 turns NaN into this


@known_arguments
def decode_people(
    maps: ArrayLike, skeleton: Skeleton, *, stride: int = FINE, **thresholds: float | str
) -> People:
    """Decode the maps of a network into people.

    Parameters
    ----------
    maps : (C, h, w) array
        Heatmaps, background, part affinity fields in the skeleton's order. A batch of one, (1, C, h, w), works too.
    skeleton : Skeleton
        What the channels are.
    stride : int
        Pixels of the network's input per cell, for the rules that count in pixels.
    **thresholds
        Fields of `posecv.skeletons.Thresholds` that replace the skeleton's own values.

    Returns
    -------
    People
        In cells, best first. A person's score is the sum of the scores of its peaks and connections divided by the
        number of keypoints and limbs that a person can have.

    Raises
    ------
    InputError
        If the array has another shape, or values that are not finite.
    UsageError
        If a threshold is unknown or not a number, or `skeleton` is something else.

    Notes
    -----
    OpenPose's algorithm (Cao et al., CVPR 2017), as its CUDA build implements it.
    """
    if not checked_skeleton(skeleton).paf_channels:
        raise InputError(f"{skeleton.name} has no part affinity fields to tell people apart; use decode_person")
    maps = _checked(maps, skeleton.channels, skeleton)
    check_number("stride", stride)
    if stride <= 0:
        raise UsageError(f"stride={stride}: give the network's pixels per cell, such as 8")
    limits = _limits(skeleton, thresholds)
    peaks = find_peaks(maps[: len(skeleton.keypoints)], limits.nms_threshold, _known(limits.refinement))
    members, scores = group(connect(maps, skeleton, peaks, limits, stride=stride), peaks, skeleton, limits)
    table = np.zeros((len(peaks.score) + 1, 3), np.float32)                       # last row: missing ones
    table[:-1, :2], table[:-1, 2] = to_cells(peaks.xy), peaks.score
    scores = scores / np.float32(len(skeleton.keypoints) + len(skeleton.limbs))
    order = np.argsort(-scores, kind="stable")
    return People(table[members[order]], scores[order], skeleton)


@known_arguments
def decode_person(
    maps: ArrayLike, skeleton: Skeleton, *, threshold: float = 0.1, refinement: str = "centroid"
) -> People:
    """Decode the maps of a network into one person: the strongest peak of each heatmap.

    Parameters
    ----------
    maps : (C, h, w) array
        Heatmaps in the skeleton's order; channels after them are ignored.
    skeleton : Skeleton
        What the channels are.
    threshold : float
        Keypoints that score this or less are missing.
    refinement : {"centroid", "parabola"}
        How a peak is located between cells, as in `posecv.skeletons.Thresholds`.

    Returns
    -------
    People
        In cells; one person, or nobody if no keypoint was found. The score is the mean over all keypoints; missing
        keypoints count as 0.

    Raises
    ------
    InputError
        If the array has another shape, or values that are not finite.
    """
    maps = _checked(maps, len(checked_skeleton(skeleton).keypoints), skeleton)
    check_number("threshold", threshold)
    keypoints = strongest_peaks(maps[: len(skeleton.keypoints)], threshold, _known(refinement))[None]
    if not keypoints.any():
        return People.empty(skeleton)
    return People(keypoints, keypoints[..., 2].mean(axis=1), skeleton)


def _limits(skeleton: Skeleton, thresholds: Mapping[str, float | str]) -> Thresholds:
    """The skeleton's constants, some of them replaced."""
    known = vars(skeleton.thresholds)
    for name in thresholds:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1) or list(known)
            raise UsageError(f"unknown threshold {name}; did you mean {' or '.join(nearest)}?")
    return Thresholds(**(known | dict(thresholds)))


def _known(refinement: str) -> str:
    if refinement not in REFINEMENTS:
        raise InputError(f"refinement {refinement!r} is unknown; choose one of {', '.join(REFINEMENTS)}")
    return refinement


def _checked(maps: ArrayLike, channels: int, skeleton: Skeleton) -> Array:
    """The maps as a (C, h, w) float32 array of at least `channels` channels."""
    try:
        if np.iscomplexobj(maps):
            raise InputError("maps hold complex numbers; give real ones")
        array = np.asarray(maps, np.float32)
    except (TypeError, ValueError):
        raise InputError(f"maps must be an array of numbers, not {type(maps).__name__} {str(maps)[:20]!r}") from None
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or len(array) < channels or not array.size:
        raise InputError(f"maps of shape {np.shape(maps)}: {skeleton.name} needs ({channels}, height, width)")
    if not -LARGEST < array.min() <= array.max() < LARGEST:
        raise InputError("maps hold values that are not finite: the network's weights or its precision are broken")
    return array
