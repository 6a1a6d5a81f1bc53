"""Scenes: painted maps (`benchmarks.painted`) whose people are known and who are hard to tell apart, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from benchmarks.painted import (
    BONES,
    HEAD,
    HIP,
    SHOULDER,
    SIGMA,
    SIZE,
    Array,
    Scene,
    paint_maps,
    random_people,
    turn,
)
from posecv.skeletons import BODY_25, COCO, MPI, MPI_4_STAGES, Skeleton

__all__ = ["SCENES", "SIGMA", "SKELETONS", "Scene", "paint_maps", "random_people", "scene"]


def _standing(neck: tuple[float, float], height: float, skeleton: Skeleton, *, score: float = 0.9) -> Array:
    """One figure (K, 3) that stands straight with its arms out: horizontal arms, vertical legs.

    Positions are rounded to pixels of maps enlarged by 8, so that "exactly horizontal" holds for them too.
    """
    points = HEAD | {"mid_hip": (0.0, HIP[1]), "chest": (0.0, 0.34)}
    for side, sign in (("right", -1), ("left", 1)):
        arm, leg = sign * SHOULDER[0], sign * HIP[0]
        points |= {
            f"{side}_shoulder": (arm, 0.18),
            f"{side}_elbow": (arm + sign * BONES["elbow"], 0.18),
            f"{side}_wrist": (arm + sign * (BONES["elbow"] + BONES["wrist"]), 0.18),
            f"{side}_hip": (leg, HIP[1]),
            f"{side}_knee": (leg, HIP[1] + BONES["knee"]),
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
        person[:, :2] = person[neck, :2] + np.stack([turn(vector, angle) for vector in away])
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
