"""Painted maps of known people, made like a network's training targets; tests use them too.

The people are (N, K, 3) arrays of x, y, score in cells: the centre of the first cell is 0, 0, the score is the
height of the keypoint's Gaussian, and score 0 means missing. Source of the recipe: Cao et al., CVPR 2017, sections
2.2 (heatmaps, the greatest of all people's Gaussians) and 2.3 (unit vectors near a limb, averaged where people
overlap).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.skeletons import COCO, Skeleton

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
        Its special feature.
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


# A standing figure that faces us, in units of its height: right is on the left of the image.
HEAD = {
    "head": (0.0, 0.0), "nose": (0.0, 0.08), "neck": (0.0, 0.18),
    "right_eye": (-0.03, 0.055), "left_eye": (0.03, 0.055), "right_ear": (-0.065, 0.065), "left_ear": (0.065, 0.065),
}  # fmt: skip
SHOULDER, HIP = (0.12, 0.19), (0.08, 0.51)
BONES = {"elbow": 0.17, "wrist": 0.16, "knee": 0.23, "ankle": 0.22}


def turn(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Rotate a vector by an angle in radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def _figure(random: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Every keypoint that a skeleton may ask for, of one figure of height 1 in a random pose."""
    lean = random.normal(0, 0.12)
    width = random.uniform(0.55, 1.1) * random.choice([-1, 1])  # turned to a side, or seen from behind
    trunk = {name: np.array([x * width, y]) for name, (x, y) in HEAD.items()}
    for side, sign in (("right", -1), ("left", 1)):
        trunk[f"{side}_shoulder"] = np.array([sign * SHOULDER[0] * width, SHOULDER[1]])
        trunk[f"{side}_hip"] = np.array([sign * HIP[0] * width, HIP[1]])
    trunk["mid_hip"] = np.array([0.0, HIP[1]])
    trunk["chest"] = np.array([0.0, 0.34])
    figure = {name: turn(point, lean) for name, point in trunk.items()}
    for side, sign in (("right", -1), ("left", 1)):
        outward = sign * math.copysign(1, width)
        for chain, spread in ((("shoulder", "elbow", "wrist"), 0.9), (("hip", "knee", "ankle"), 0.3)):
            angle = abs(random.normal(0, spread)) * -outward
            for near, far in pairwise(chain):
                figure[f"{side}_{far}"] = figure[f"{side}_{near}"] + BONES[far] * turn(np.array([0.0, 1.0]), angle)
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
    """Stick figures of varied size and pose, kept as far from each other as the image allows.

    Parameters
    ----------
    count : int
        Number of people.
    skeleton : Skeleton
        A body's: which keypoints they have.
    size : (rows, columns)
        Cells of the maps that they stand in.
    seed : int
        Equal seeds give equal people.
    heights : (least, most), optional
        Height of a figure in cells; by default what lets `count` people share the image.
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
