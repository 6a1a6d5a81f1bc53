"""The gate for crops of hands or faces: which mean scores keep true ones and reject other crops.

    python -m benchmarks.gate --model light_hand
    python -m benchmarks.gate --model light_face

Hands and faces are the validation crops of `training/hand` and `training/face`. Crops without them are squares of the
images of `training/coco` that our own networks never saw: at any position, and on other keypoints of people, where
wrongly detected arms and heads lie. None of them lies near a labelled wrist (or nose), or on a person without labels
for the wrists (nose). Needs the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import shared
from benchmarks.program import one_line
from posecv.arrays import Frame
from posecv.engines.network import Network
from posecv.estimators.single_pass import OneHand
from posecv.evaluation import markdown
from posecv.skeletons import COCO_17

GATES = np.arange(0.2, 0.61, 0.05)
SIDES = 40.0, 200.0  # pixels of squares, by their logarithm even
TRIES = 40  # squares per image; those without hands or faces are used

Floats = NDArray[np.float64]
Square = tuple[float, float, float]  # x, y, side


class Part(NamedTuple):
    """Keypoints next to a hand or a face, and others that usually are not."""

    at: tuple[str, ...]
    elsewhere: tuple[str, ...]


LEGS = "left_knee", "right_knee", "left_ankle", "right_ankle"
PARTS = {
    "hand": Part(("left_wrist", "right_wrist"), ("nose", *LEGS)),
    "face": Part(("nose",), ("left_wrist", "right_wrist", *LEGS)),
}


def mean_score(network: Network, frame: Frame, box: tuple[float, float, float, float], left: bool) -> float:
    """The mean score of a network in a box, as in the gate of `posecv.estimate_hands` and `estimate_faces`."""
    found = OneHand(network, box, left)(frame).people
    return float(found.keypoints[..., 2].mean()) if len(found) else 0.0


def true_ones(network: Network) -> Floats:
    """Mean scores on crops of hands or faces."""
    scores = []
    for row, frame in shared.crops(network.skeleton.name, "val"):
        height, width = frame.shape[:2]
        scores.append(mean_score(network, frame, (0, 0, width, height), row.get("hand") == "left"))
    return np.array(scores)


def empty(square: Square, people: list[dict[str, Any]], part: Part) -> bool:
    """Whether there can be no hand, or no face, in a square."""
    x, y, side = square
    for person in people:
        places = _places(person, part.at)
        if (places[:, 2] > 0).all():  # a hand reaches about as far beyond its wrist as half its square
            if (np.abs(places[:, :2] - (x + side / 2, y + side / 2)).max(axis=1) < side).any():
                return False
        else:
            left, top, width, height = person["bbox"]
            if x < left + width and y < top + height and x + side > left and y + side > top:
                return False
    return True


def squares(
    people: list[dict[str, Any]], part: Part, size: tuple[int, int], rng: np.random.Generator
) -> Iterator[tuple[Square, bool]]:
    """Squares of an image without hands, or faces, and whether each lies on somebody."""
    points = np.concatenate([_places(person, part.elsewhere) for person in people])
    points = points[points[:, 2] > 0, :2]
    for index in range(TRIES):
        side = float(np.exp(rng.uniform(*np.log(SIDES))))
        on_body = bool(index % 2 and len(points))
        centre = points[rng.integers(len(points))] if on_body else rng.uniform(0, size)
        square = (float(centre[0]) - side / 2, float(centre[1]) - side / 2, side)
        if empty(square, people, part):
            yield square, on_body


def _places(person: dict[str, Any], names: tuple[str, ...]) -> Floats:
    """(N, 3) labels of somebody's keypoints."""
    labels = np.array(person["keypoints"], np.float64).reshape(-1, 3)
    return labels[[COCO_17.index(name) for name in names]]


def other_crops(network: Network, each: int) -> tuple[Floats, Floats]:
    """Mean scores on crops at any position, and on crops on bodies, at most `each` of them per image."""
    truth, pictures = shared.tuning_set(held_out=True)
    part = PARTS[network.skeleton.name]
    rng = np.random.default_rng(0)
    scores: dict[bool, list[float]] = {False: [], True: []}
    for image, frame in pictures:
        people = [row for row in truth["annotations"] if row["image_id"] == image]
        counts = {False: 0, True: 0}
        for (x, y, side), on_body in squares(people, part, frame.shape[1::-1], rng) if people else ():
            if counts[on_body] < each:
                counts[on_body] += 1
                scores[on_body].append(mean_score(network, frame, (x, y, side, side), bool(rng.integers(2))))
    return np.array(scores[False]), np.array(scores[True])


def report(name: str, true: Floats, anywhere: Floats, on_bodies: Floats) -> str:
    """A row for each gate, and the gate that is right most often on hands (or faces) and other crops."""
    false = np.concatenate([anywhere, on_bodies])
    rows = [
        (f"{gate:.2f}", float((true >= gate).mean()), float((anywhere < gate).mean()), float((on_bodies < gate).mean()))
        for gate in GATES
    ]
    others = f"rejected of {len(anywhere)} anywhere", f"of {len(on_bodies)} on bodies"
    header = ("gate", f"kept of {len(true)} {name}s", *others)
    every = np.unique(np.concatenate([true, false]))
    right = [(true >= gate).mean() + (false < gate).mean() for gate in every]
    best = every[int(np.argmax(right))]
    said = f"{(true >= best).mean():.3f} of the {name}s kept, {(false < best).mean():.3f} of the others rejected"
    return f"{markdown.table(header, rows)}\n\nright most often: {best:.3f} ({said})"


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light_hand", help=shared.MODEL)
    parser.add_argument("--each", type=int, default=2, metavar="N", help="crops of each kind per image")
    options = parser.parse_args(argv)
    network = shared.load(options.model)
    print(report(network.skeleton.name, true_ones(network), *other_crops(network, options.each)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
