"""From which mean score on a crop shows a hand: true hands that a gate keeps, and crops without hands that it rejects.

    python benchmarks/hand_gate.py --model light_hand

Hands are the validation crops of `training/hand`. Crops without hands are squares of the pictures of `training/coco`
that our own networks never saw: anywhere, and on noses, knees and ankles, since that is where arms that were found
wrongly end. None lies near a labelled wrist, or on anybody whose wrists are not both labelled. Needs the shared data
(`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import posecv  # noqa: E402
from benchmarks import accuracy  # noqa: E402
from posecv.network import Network  # noqa: E402
from posecv.skeletons import COCO_17  # noqa: E402

GATES = np.arange(0.05, 0.51, 0.05)
SIDES = 40.0, 200.0  # pixels of squares, by their logarithm even
TRIES = 40  # squares a picture, of which those without hands are taken
ELSEWHERE = [COCO_17.index(name) for name in ("nose", "left_knee", "right_knee", "left_ankle", "right_ankle")]
WRISTS = [COCO_17.index(name) for name in ("left_wrist", "right_wrist")]

Floats = NDArray[np.float64]


def mean_score(network: Network, frame: accuracy.Frame, box: tuple[float, float, float, float], left: bool) -> float:
    """The mean score of the hand that a network finds in a box, as `posecv.estimate_hands` gates it."""
    found = posecv.estimate_hand(network, frame, box, left)
    return float(found.keypoints[..., 2].mean()) if len(found) else 0.0


def true_hands(network: Network) -> Floats:
    """Mean scores on crops of hands."""
    scores = []
    for row, frame in accuracy.crops("hand", "val"):
        height, width = frame.shape[:2]
        scores.append(mean_score(network, frame, (0, 0, width, height), row["hand"] == "left"))
    return np.array(scores)


def empty(square: tuple[float, float, float], people: list[dict[str, Any]]) -> bool:
    """Whether a square x, y, side can have no hand in it."""
    x, y, side = square
    for person in people:
        wrists = np.array(person["keypoints"]).reshape(-1, 3)[WRISTS]
        if (wrists[:, 2] > 0).all():  # a hand reaches about as far beyond its wrist as half its square
            if (np.abs(wrists[:, :2] - (x + side / 2, y + side / 2)).max(axis=1) < side).any():
                return False
        else:
            left, top, width, height = person["bbox"]
            if x < left + width and y < top + height and x + side > left and y + side > top:
                return False
    return True


def squares(people: list[dict[str, Any]], size: tuple[int, int], rng: np.random.Generator) -> Iterator[Any]:
    """Squares of a picture without hands, and whether each lies on somebody."""
    points = np.concatenate([np.array(person["keypoints"]).reshape(-1, 3)[ELSEWHERE] for person in people])
    points = points[points[:, 2] > 0, :2]
    for index in range(TRIES):
        side = float(np.exp(rng.uniform(*np.log(SIDES))))
        on_body = bool(index % 2 and len(points))
        centre = points[rng.integers(len(points))] if on_body else rng.uniform(0, size)
        square = (float(centre[0]) - side / 2, float(centre[1]) - side / 2, side)
        if empty(square, people):
            yield square, on_body


def crops_without_hands(network: Network, each: int) -> tuple[Floats, Floats]:
    """Mean scores on crops anywhere, and on crops on bodies, at most `each` of a picture."""
    truth, pictures = accuracy.tuning_set(held_out=True)
    rng = np.random.default_rng(0)
    scores: dict[bool, list[float]] = {False: [], True: []}
    for image, frame in pictures:
        people = [row for row in truth["annotations"] if row["image_id"] == image]
        counts = {False: 0, True: 0}
        for (x, y, side), on_body in squares(people, frame.shape[1::-1], rng) if people else ():
            if counts[on_body] < each:
                counts[on_body] += 1
                scores[on_body].append(mean_score(network, frame, (x, y, side, side), bool(rng.integers(2))))
    return np.array(scores[False]), np.array(scores[True])


def report(true: Floats, anywhere: Floats, on_bodies: Floats) -> str:
    """A row a gate, and the gate that is right most often of hands and of crops without one."""
    false = np.concatenate([anywhere, on_bodies])
    rows = [
        (f"{gate:.2f}", float((true >= gate).mean()), float((anywhere < gate).mean()), float((on_bodies < gate).mean()))
        for gate in GATES
    ]
    others = f"rejected of {len(anywhere)} anywhere", f"of {len(on_bodies)} on bodies"
    header = ("gate", f"kept of {len(true)} hands", *others)
    every = np.unique(np.concatenate([true, false]))
    right = [(true >= gate).mean() + (false < gate).mean() for gate in every]
    best = every[int(np.argmax(right))]
    said = f"{(true >= best).mean():.3f} of the hands kept, {(false < best).mean():.3f} of the others rejected"
    return f"{accuracy.table(header, rows)}\n\nright most often: {best:.3f} ({said})"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light_hand", help=accuracy.MODEL)
    parser.add_argument("--each", type=int, default=2, metavar="N", help="crops of each kind a picture")
    options = parser.parse_args()
    network = accuracy.load(options.model)
    print(report(true_hands(network), *crops_without_hands(network, options.each)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
