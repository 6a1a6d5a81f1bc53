"""Painted scenes: maps whose people are known, made the way a network's training targets are.

A scene's people are (N, K, 3) arrays of x, y, score in cells: the centre of the first cell is 0, 0, the score is the
height of the keypoint's Gaussian, and score 0 means missing. Source of the recipe: Cao et al., CVPR 2017, sections
2.2 (heatmaps, the greatest of all people's Gaussians) and 2.3 (unit vectors near a limb, averaged where people
overlap).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.skeletons import BODY_25, COCO, MPI, MPI_4_STAGES, Skeleton

Array = NDArray[np.float32]

SIGMA = 0.875  # cells: the 7 network pixels that OpenPose's networks were trained with, at stride 8
LIMB_WIDTH = 1.0  # cells to either side of a limb
SIZE = (46, 82)  # rows, columns of the maps of a 656 x 368 input


@dataclass(frozen=True, eq=False)
class Scene:
    """Painted maps and the people in them.

    Attributes
    ----------
    name : str
        What is special about it.
    skeleton : Skeleton
        What the channels mean.
    people : (N, K, 3) float32 array
        x, y in cells, score; score 0 is missing.
    maps : (C, h, w) float32 array
        Read-only.
    """

    name: str
    skeleton: Skeleton
    people: Array
    maps: Array


def paint_maps(
    people: Array,
    skeleton: Skeleton,
    size: tuple[int, int] = SIZE,
    *,
    sigma: float = SIGMA,
    limb_width: float = LIMB_WIDTH,
    blur: float = 0.0,
    ceiling: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Array:
    """Paint the maps that a perfect network would give for these people.

    Parameters
    ----------
    people : (N, K, 3) array
        x, y in cells, height of the Gaussian; height 0 paints nothing, nor do limbs that end there.
    skeleton : Skeleton
        Order of the channels.
    size : (rows, columns)
        Cells of a map.
    sigma : float
        Of the Gaussians, in cells.
    limb_width : float
        A limb's unit vectors fill the cells within this distance (cells) of it.
    blur : float
        Sigma in cells of a blur over the part affinity fields; 0 leaves their edges sharp.
    ceiling : float
        Heatmaps are cut off above this: flat tops.
    noise : float
        Standard deviation of the normal noise added to every value of every channel.
    seed : int
        Of the noise.

    Returns
    -------
    (C, rows, columns) float32 array
        Heatmaps, background (1 - greatest heatmap), fields.
    """
    people = np.asarray(people, np.float32)
    maps = np.zeros((skeleton.channels, *size), np.float32)
    keypoints = len(skeleton.keypoints)
    _paint_heatmaps(maps[:keypoints], people, sigma)
    np.minimum(maps[:keypoints], ceiling, out=maps[:keypoints])
    maps[keypoints] = 1 - maps[:keypoints].max(axis=0)
    if skeleton.paf_channels:
        channels = np.add.outer(skeleton.paf_channels, (0, 1))  # (L, 2)
        maps[channels] = _fields(people, skeleton, size, limb_width)
    if blur > 0:
        for field in maps[skeleton.heatmaps :]:
            field[:] = cv2.GaussianBlur(field, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    if noise > 0:
        maps += noise * np.random.default_rng(seed).standard_normal(maps.shape, np.float32)
    return maps


def _paint_heatmaps(heatmaps: Array, people: Array, sigma: float) -> None:
    """Paint the greatest of all people's Gaussians into (K, rows, columns) heatmaps."""
    rows, columns = (np.arange(length, dtype=np.float32) for length in heatmaps.shape[1:])
    across = np.exp(-((columns - people[..., :1]) ** 2) / (2 * sigma**2))  # (N, K, columns)
    down = np.exp(-((rows - people[..., 1:2]) ** 2) / (2 * sigma**2)) * people[..., 2:]  # (N, K, rows)
    for one_across, one_down in zip(across, down, strict=True):
        np.maximum(heatmaps, one_down[:, :, None] * one_across[:, None, :], out=heatmaps)


def _fields(people: Array, skeleton: Skeleton, size: tuple[int, int], limb_width: float) -> Array:
    """Unit vectors along every limb, averaged over the people who have one there: (L, 2, rows, columns)."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    starts, ends = np.transpose(skeleton.limbs)
    total = np.zeros((len(skeleton.limbs), 2, *size), np.float32)
    count = np.zeros((len(skeleton.limbs), *size), np.float32)
    for person in people:
        vectors = person[ends, :2] - person[starts, :2]  # (L, 2)
        lengths = np.hypot(*vectors.T)
        seen = (person[starts, 2] > 0) & (person[ends, 2] > 0) & (lengths > 0)
        units = vectors / np.where(seen, lengths, 1)[:, None]
        unit_x, unit_y, length = units[:, 0, None, None], units[:, 1, None, None], lengths[:, None, None]
        from_x, from_y = x - person[starts, 0, None, None], y - person[starts, 1, None, None]  # (L, rows, columns)
        along = from_x * unit_x + from_y * unit_y
        across = from_x * unit_y - from_y * unit_x
        beyond = along - np.clip(along, 0, length)  # how far past an end
        inside = (across**2 + beyond**2 <= limb_width**2) & seen[:, None, None]
        total += np.where(inside[:, None], units[:, :, None, None], 0)
        count += inside
    total /= np.maximum(count, 1)[:, None]
    return total


# A standing figure that faces us, in units of its height: right is on the left of the picture.
_HEAD = {
    "head": (0.0, 0.0), "nose": (0.0, 0.08), "neck": (0.0, 0.18),
    "right_eye": (-0.03, 0.055), "left_eye": (0.03, 0.055), "right_ear": (-0.065, 0.065), "left_ear": (0.065, 0.065),
}  # fmt: skip
_SHOULDER, _HIP = (0.12, 0.19), (0.08, 0.51)
_BONES = {"elbow": 0.17, "wrist": 0.16, "knee": 0.23, "ankle": 0.22}


def _turn(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Rotate a vector by an angle in radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def _figure(random: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Every keypoint that a skeleton may ask for, of one figure of height 1 in a random pose."""
    lean = random.normal(0, 0.12)
    width = random.uniform(0.55, 1.1) * random.choice([-1, 1])  # turned to a side, or seen from behind
    trunk = {name: np.array([x * width, y]) for name, (x, y) in _HEAD.items()}
    for side, sign in (("right", -1), ("left", 1)):
        trunk[f"{side}_shoulder"] = np.array([sign * _SHOULDER[0] * width, _SHOULDER[1]])
        trunk[f"{side}_hip"] = np.array([sign * _HIP[0] * width, _HIP[1]])
    trunk["mid_hip"] = np.array([0.0, _HIP[1]])
    trunk["chest"] = np.array([0.0, 0.34])
    figure = {name: _turn(point, lean) for name, point in trunk.items()}
    for side, sign in (("right", -1), ("left", 1)):
        outward = sign * math.copysign(1, width)
        for chain, spread in ((("shoulder", "elbow", "wrist"), 0.9), (("hip", "knee", "ankle"), 0.3)):
            angle = abs(random.normal(0, spread)) * -outward
            for near, far in pairwise(chain):
                figure[f"{side}_{far}"] = figure[f"{side}_{near}"] + _BONES[far] * _turn(np.array([0.0, 1.0]), angle)
                angle += random.normal(0, 0.8 * spread)
        ankle = figure[f"{side}_ankle"]
        figure[f"{side}_heel"] = ankle + np.array([-0.01 * outward, 0.03])
        figure[f"{side}_big_toe"] = ankle + np.array([0.03 * outward, 0.06])
        figure[f"{side}_small_toe"] = ankle + np.array([0.055 * outward, 0.045])
    return figure


def random_people(
    count: int,
    skeleton: Skeleton = COCO,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    *,
    heights: tuple[float, float] | None = None,
    scores: tuple[float, float] = (0.6, 1.0),
    missing: float = 0.0,
    margin: float = 1.0,
) -> Array:
    """Stick figures of varied size and pose, kept as far from each other as the picture allows.

    Parameters
    ----------
    count : int
        How many.
    skeleton : Skeleton
        A body's: which keypoints they have.
    size : (rows, columns)
        Cells of the maps that they stand in.
    seed : int
        Equal seeds give equal people.
    heights : (least, most), optional
        Height of a figure in cells; by default what lets `count` people share the picture.
    scores : (least, most)
        Score of a keypoint.
    missing : float
        Share of keypoints that are not there.
    margin : float
        Cells between a figure and the border; negative values let the border cut people.

    Returns
    -------
    (count, K, 3) float32 array
        x, y in cells, score; 0, 0, 0 where missing or outside.
    """
    random = np.random.default_rng(seed)
    rows, columns = size
    if heights is None:
        most = min(0.85 * rows, 1.6 * math.sqrt(rows * columns / max(count, 1)))
        heights = (0.65 * most, most)
    people = np.zeros((count, len(skeleton.keypoints), 3), np.float32)
    for index in range(count):
        figure = _figure(random)
        pose = np.stack([figure[name] for name in skeleton.keypoints]) * random.uniform(*heights)
        low, high = pose.min(axis=0), pose.max(axis=0)
        room = np.array([columns, rows]) - 1 - 2 * margin
        scale = min(1.0, *(room / np.maximum(high - low, 1e-6)))
        pose, low, high = pose * scale, low * scale, high * scale
        spots = random.uniform(margin - low, margin - low + np.maximum(room - (high - low), 0), (40, 2))
        away = pose + spots[:, None, None] - people[None, :index, :, :2]  # (spots, people, K, 2)
        nearest = np.hypot(away[..., 0], away[..., 1]).min(axis=(1, 2), initial=np.inf)
        people[index, :, :2] = pose + spots[nearest.argmax()]
        people[index, :, 2] = random.uniform(*scores, len(pose))
    hidden = random.random(people.shape[:2]) < missing
    outside = ((people[..., :2] < -0.5) | (people[..., :2] > np.array([columns, rows]) - 0.5)).any(axis=2)
    people[hidden | outside] = 0
    return people


def _standing(neck: tuple[float, float], height: float, skeleton: Skeleton, *, score: float = 0.9) -> Array:
    """One figure (K, 3) that stands straight with its arms out: horizontal arms, vertical legs.

    Positions are rounded to pixels of maps enlarged by 8, so that "exactly horizontal" holds for them too.
    """
    points = _HEAD | {"mid_hip": (0.0, _HIP[1]), "chest": (0.0, 0.34)}
    for side, sign in (("right", -1), ("left", 1)):
        arm, leg = sign * _SHOULDER[0], sign * _HIP[0]
        points |= {
            f"{side}_shoulder": (arm, 0.18),
            f"{side}_elbow": (arm + sign * _BONES["elbow"], 0.18),
            f"{side}_wrist": (arm + sign * (_BONES["elbow"] + _BONES["wrist"]), 0.18),
            f"{side}_hip": (leg, _HIP[1]),
            f"{side}_knee": (leg, _HIP[1] + _BONES["knee"]),
            f"{side}_ankle": (leg, 0.96),
            f"{side}_heel": (leg, 0.99),
            f"{side}_big_toe": (leg + sign * 0.05, 0.99),
            f"{side}_small_toe": (leg + sign * 0.09, 0.99),
        }
    person = np.zeros((len(skeleton.keypoints), 3), np.float32)
    xy = np.array([points[name] for name in skeleton.keypoints]) - points["neck"]
    person[:, :2] = (np.rint((xy * height + neck + 0.5) * 8 - 0.5) + 0.5) / 8 - 0.5
    person[:, 2] = score - 0.01 * np.arange(len(person))  # no two alike, so that no order hangs on a tie
    return person


def _crowd(count: int, seed: int, blur: float = 0.0) -> Callable[[Skeleton], Scene]:
    def paint(skeleton: Skeleton) -> Scene:
        least = max(0.6, skeleton.thresholds.nms_threshold + 0.1)
        people = random_people(count, skeleton, seed=seed, scores=(least, 1.0))
        return Scene("", skeleton, people, paint_maps(people, skeleton, blur=blur))

    return paint


def _faint(skeleton: Skeleton) -> Scene:
    """Peaks little above the threshold."""
    threshold = skeleton.thresholds.nms_threshold
    people = random_people(8, skeleton, seed=10, scores=(1.1 * threshold, 1.1 * threshold + 0.3))
    return Scene("", skeleton, people, paint_maps(people, skeleton, blur=0.8))


def _noise(skeleton: Skeleton) -> Scene:
    people = random_people(6, skeleton, seed=31, scores=(0.75, 1.0))
    return Scene("", skeleton, people, paint_maps(people, skeleton, blur=0.6, noise=0.02, seed=38))


def _nobody(skeleton: Skeleton) -> Scene:
    people = random_people(0, skeleton)
    return Scene("", skeleton, people, paint_maps(people, skeleton))


def _only_noise(skeleton: Skeleton) -> Scene:
    people = random_people(0, skeleton)
    return Scene("", skeleton, people, paint_maps(people, skeleton, (30, 41), noise=0.025, seed=37))


def _cut_by_border(skeleton: Skeleton) -> Scene:
    people = np.stack(
        [
            _standing((40.4, -1.2), 24, skeleton),  # no head
            _standing((20.3, 38.7), 26, skeleton),  # no legs
            _standing((1.2, 15.4), 22, skeleton),  # no right arm
            _standing((80.6, 14.6), 22, skeleton),  # no left arm
            _standing((60.2, 20.8), 28, skeleton),  # ankles in the last row
        ]
    )
    outside = ((people[..., :2] < -0.5) | (people[..., :2] > np.array(SIZE[::-1]) - 0.5)).any(axis=2)
    people[outside] = 0
    return Scene("", skeleton, people, paint_maps(people, skeleton, blur=0.5))


def _crossing_limbs(skeleton: Skeleton) -> Scene:
    """Two whose arms cross in an X, one whose own arms and legs cross, and two people one over the other."""
    people = np.stack([_standing(neck, 30, skeleton) for neck in ((14, 12), (29, 12), (44, 14), (63, 12), (66, 17))])
    for person, side, sign in ((people[0], "left", 1), (people[1], "right", -1)):  # inner arms
        shoulder = person[skeleton.keypoints.index(f"{side}_shoulder"), :2]
        for joint, reach in (("elbow", 5), ("wrist", 10)):
            person[skeleton.keypoints.index(f"{side}_{joint}"), :2] = (
                shoulder + np.array([sign, 0.3], np.float32) * reach
            )
    for joint in ("wrist", "ankle"):
        left, right = (skeleton.keypoints.index(f"{side}_{joint}") for side in ("left", "right"))
        people[2, [left, right], 0] = people[2, [right, left], 0]
    return Scene("", skeleton, people, paint_maps(people, skeleton))


def _horizontal_and_vertical(skeleton: Skeleton) -> Scene:
    places = (((20, 10), 34), ((45, 9), 22), ((66, 14), 28))
    people = np.stack([_standing(neck, height, skeleton) for neck, height in places])
    return Scene("", skeleton, people, paint_maps(people, skeleton))


def _wide(skeleton: Skeleton) -> Scene:
    """Eight people left and right of x = 127 and two who stand further left."""
    size = (46, 180)
    people = random_people(8, skeleton, (46, 120), seed=34, scores=(0.75, 1.0))
    people[..., 0] += 60
    standing = np.stack([_standing(neck, 30, skeleton) for neck in ((14, 12), (42, 12))])
    people = np.concatenate([people, standing])
    return Scene("", skeleton, people, paint_maps(people, skeleton, size))


def _tall(skeleton: Skeleton) -> Scene:
    size = (150, 30)
    people = random_people(8, skeleton, size, seed=35, scores=(0.75, 1.0))
    return Scene("", skeleton, people, paint_maps(people, skeleton, size))


def _sharing_a_neck(skeleton: Skeleton) -> Scene:
    """Two people who lean apart from one and the same neck."""
    random = np.random.default_rng(36)
    people = np.stack([_standing((30, 14), 32, skeleton), _standing((30, 14), 32, skeleton)])
    neck = skeleton.keypoints.index("neck")
    for person, angle in zip(people, (0.6, -0.6), strict=True):
        away = person[:, :2] - person[neck, :2]
        person[:, :2] = person[neck, :2] + np.stack([_turn(vector, angle) for vector in away])
        person[:, 2] = random.uniform(0.75, 1.0, len(person))
    return Scene("", skeleton, people, paint_maps(people, skeleton))


def _sharing_a_spot(skeleton: Skeleton) -> Scene:
    """Every keypoint of the second person lies less than a cell and a half from the first person's."""
    first = random_people(1, skeleton, seed=37, scores=(0.8, 1.0))
    people = np.concatenate([first, first + np.array([1.1, 0.7, -0.05], np.float32)])
    return Scene("", skeleton, people, paint_maps(people, skeleton))


def _plateaus(skeleton: Skeleton) -> Scene:
    """Flat tops of one to four cells, as a saturated network gives."""
    people = random_people(5, skeleton, seed=38, scores=(0.9, 1.0))
    return Scene("", skeleton, people, paint_maps(people, skeleton, ceiling=0.75))


def _wide_plateaus(skeleton: Skeleton) -> Scene:
    """Flat tops of about nine cells, on which enlargement draws ripples."""
    people = random_people(3, skeleton, seed=39, scores=(0.9, 1.0))
    return Scene("", skeleton, people, paint_maps(people, skeleton, sigma=1.5, ceiling=0.7))


# Seeds are chosen so that no peak and no neighbour of one differ by a millionth or less: a strict maximum among such
# pixels hangs on how an implementation rounds. `test_oracle.py` keeps watch.
_SCENES: dict[str, Callable[[Skeleton], Scene]] = {
    "1 person": _crowd(1, 1),
    "5 people": _crowd(5, 2),
    "20 people": _crowd(20, 3),
    "50 people": _crowd(50, 5),
    "1 person, smooth": _crowd(1, 5, 0.8),
    "5 people, smooth": _crowd(5, 6, 0.8),
    "20 people, smooth": _crowd(20, 7, 0.8),
    "50 people, smooth": _crowd(50, 9, 0.8),
    "faint people": _faint,
    "nobody": _nobody,
    "noise": _noise,
    "only noise": _only_noise,
    "cut by the border": _cut_by_border,
    "crossing limbs": _crossing_limbs,
    "horizontal and vertical": _horizontal_and_vertical,
    "wide": _wide,
    "tall": _tall,
    "sharing a neck": _sharing_a_neck,
    "sharing a spot": _sharing_a_spot,
    "plateaus": _plateaus,
    "wide plateaus": _wide_plateaus,
}

SCENES = tuple(_SCENES)
SKELETONS = (COCO, BODY_25, MPI, MPI_4_STAGES)


@cache
def scene(name: str, skeleton: Skeleton = COCO) -> Scene:
    """Paint one of `SCENES` for one of `SKELETONS`; painted once, so its arrays are read-only."""
    painted = _SCENES[name](skeleton)
    painted.people.setflags(write=False)
    painted.maps.setflags(write=False)
    return Scene(name, skeleton, painted.people, painted.maps)
