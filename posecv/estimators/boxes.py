"""Where to search for hands and faces: squares computed from a body's keypoints, by OpenPose's rules.

A square is x, y of its upper left corner and its side, in pixels of the frame; it may reach beyond the frame. A square
with side 0 is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.people import People

__all__ = ["face_boxes", "hand_boxes"]

HAND_SCORE = 0.03  # wrist, elbow and shoulder must exceed this
BEYOND = 0.33  # distance of a hand's centre from the wrist, as a share of the forearm
UPPER_ARM = 0.9  # length of a forearm as a share of the upper arm, which may be less foreshortened
HAND_SIDE = 1.5  # side of the square as a multiple of the longer of the two
LEAST_HAND = 10.0**0.5  # pixels

FACE_SCORE = 0.25  # neck, nose, eyes and ears must exceed this
LEAST_FACE = 40.0  # pixels

Point = NDArray[np.float64]


def hand_boxes(people: People) -> Array:
    """(N, 2, 3) squares of the left and the right hand of each person."""
    boxes = np.zeros((len(people), 2, 3), np.float32)
    names = people.skeleton.keypoints
    for side, name in enumerate(("left", "right")):
        if f"{name}_wrist" not in names:
            continue
        parts = [names.index(f"{name}_{part}") for part in ("wrist", "elbow", "shoulder")]
        wrist, elbow, shoulder = people.keypoints[:, parts, :2].transpose(1, 0, 2)
        forearm = np.linalg.norm(wrist - elbow, axis=1)
        upper = np.linalg.norm(elbow - shoulder, axis=1)
        length = HAND_SIDE * np.maximum(forearm, UPPER_ARM * upper)
        corner = wrist + BEYOND * (wrist - elbow) - length[:, None] / 2
        seen = (people.keypoints[:, parts, 2] > HAND_SCORE).all(axis=1) & (length > LEAST_HAND)
        boxes[:, side] = np.where(seen[:, None], np.concatenate([corner, length[:, None]], axis=1), 0)
    return boxes


def face_boxes(people: People) -> Array:
    """(N, 3) squares of the faces."""
    boxes = [_face_box(person, people.skeleton.keypoints) for person in people.keypoints]
    return np.array(boxes, np.float32).reshape(-1, 3)


def _face_box(person: Array, names: tuple[str, ...]) -> tuple[float, float, float]:
    """The mean of the face's estimates from neck and nose, from the eyes, and from the ears."""
    seen = {name: place[:2].astype(float) for name, place in zip(names, person, strict=True) if place[2] > FACE_SCORE}
    guesses = _guesses(seen)
    if not guesses:
        return 0, 0, 0
    middle = np.mean([guess[0] for guess in guesses], axis=0)
    side = float(np.mean([guess[1] for guess in guesses]))
    if side <= LEAST_FACE:
        return 0, 0, 0
    x, y = middle - side / 2
    return x, y, side


def _guesses(seen: dict[str, Point]) -> list[tuple[Point, float]]:
    """Centre and side of a face, estimated from each pair of keypoints."""

    def far(one: str, other: str) -> float:
        return float(np.linalg.norm(seen[one] - seen[other]))

    guesses = []
    if {"neck", "nose"} <= seen.keys():
        sides = [side for side in ("left", "right") if {f"{side}_eye", f"{side}_ear"} <= seen.keys()]
        others = {f"{side}_{part}" for side in ("left", "right") for part in ("eye", "ear") if side not in sides}
        if len(sides) == 1 and not others & seen.keys():  # a profile
            eye, ear = f"{sides[0]}_eye", f"{sides[0]}_ear"
            middle = (seen[eye] + seen[ear] + seen["nose"]) / 3
            guesses.append((middle, 0.85 * (far("nose", eye) + far("nose", ear) + far("neck", "nose"))))
        else:
            guesses.append(((seen["neck"] + seen["nose"]) / 2, 2 * far("neck", "nose")))
    for part, factor in (("eye", 3), ("ear", 2)):
        left, right = f"left_{part}", f"right_{part}"
        if {left, right} <= seen.keys():
            guesses.append(((seen[left] + seen[right]) / 2, factor * far(left, right)))
    if {"neck", "head"} <= seen.keys():  # MPI
        guesses.append((seen["head"], 1.33 * far("neck", "head")))
    return guesses
