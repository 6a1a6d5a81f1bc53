"""Accuracy on crops of hands: the share of keypoints near their labels (PCK), by source, side, size and keypoint.

    python -m benchmarks.hands --model light_hand
    python -m benchmarks.hands --model light_hand --mediapipe PYTHON    # and MediaPipe, from that Python
    python -m benchmarks.hands --model light_hand --gloves              # the same hands with their skin recoloured

Needs the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import posecv
from benchmarks import shared
from benchmarks.program import one_line
from benchmarks.shared import Crop
from posecv.arrays import Frame
from posecv.engines.network import Network
from posecv.evaluation import markdown
from posecv.evaluation.single import pck
from posecv.evaluation.single import size_of as size
from posecv.skeletons import HAND
from training.mediapipe_hands import MediaPipeHands

BOX_SHARE = 0.2  # of the longer side of the box round the labels, within which a keypoint is right
GROUPS = ("source", "hand")
SIZES = (0, 32, 48, 64, 96, math.inf)  # pixels of the crop, longer side of the box round the labels
GLOVES = (40, 40, 40), (235, 235, 235), (160, 90, 30), (40, 190, 230), (60, 60, 200)  # BGR, one hand after the other
FINGER = 0.09  # of the hand's box: how far from its bones skin may lie
LIKE_SKIN = 14  # distance of Cr and Cb from the hand's own, up to which a pixel is its skin
MISSED = np.full((len(HAND.keypoints), 2), np.nan)

Floats = NDArray[np.float64]


def right(found: Floats, labels: Floats) -> Floats:
    """Whether each of (21, 2) keypoints lies near its label: 1 or 0, NaN where (21, 3) has no label."""
    away = np.where(labels[:, 2] > 0, np.nan_to_num(np.linalg.norm(found - labels[:, :2], axis=1), nan=np.inf), np.nan)
    return pck(away, size(labels), BOX_SHARE)


def gloved(frame: Frame, labels: Floats, color: tuple[int, int, int]) -> Frame:
    """A copy in which skin near the labelled bones has another colour but the same shading."""
    points = np.rint(labels[:, :2]).astype(int)
    there = labels[:, 2] > 0
    height, width = frame.shape[:2]
    near = np.zeros((height, width), np.uint8)
    thickness = max(1, round(2 * FINGER * size(labels)))
    for start, end in HAND.limbs:
        if there[start] and there[end]:
            cv2.line(near, points[start].tolist(), points[end].tolist(), 1, thickness)
    ycc = cv2.cvtColor(frame, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    inside = np.clip(points[there], 0, [width - 1, height - 1])
    skin = np.median(ycc[inside[:, 1], inside[:, 0]], axis=0)
    changed = (near > 0) & (np.linalg.norm(ycc[..., 1:] - skin[1:], axis=-1) < LIKE_SKIN)
    shade = ycc[changed, :1] / max(float(skin[0]), 1.0)
    result = frame.copy()
    result[changed] = np.clip(shade * np.array(color), 0, 255)
    return result


def by_network(network: Network, crop: Crop, net_size: str | None) -> Floats:
    """Keypoints that a hand network finds in a whole crop; a hand of unknown side counts as a right one."""
    row, frame = crop
    box = (0, 0, frame.shape[1], frame.shape[0])
    hands = posecv.estimate_hand(network, frame, box, row["hand"] == "left", net_size=net_size)
    return hands.keypoints[0, :, :2].astype(np.float64) if len(hands) else MISSED


def by_mediapipe(python: str, frames: list[Frame], confidence: float) -> list[Floats]:
    """Keypoints that MediaPipe finds."""
    with MediaPipeHands(python, confidence=confidence) as look:
        return [hands[0][1] if hands else MISSED for hands in map(look, frames)]


def table(first: str, groups: dict[str, NDArray[np.bool_]], rights: dict[str, Floats]) -> str:
    """A row for each group of crops or keypoints, a (crops, 21) mask: labels, and the correct share of each method."""
    labelled = ~np.isnan(next(iter(rights.values())))
    rows = [
        (name, int((labelled & mask).sum()), *(float(np.mean(each[labelled & mask])) for each in rights.values()))
        for name, mask in groups.items()
        if (labelled & mask).any()
    ]
    return markdown.table((first, "labels", *rights), rows)


def report(rows: list[dict[str, Any]], rights: dict[str, Floats]) -> str:
    """The tables: by each of `GROUPS`, by size, then by keypoint, with all of them last."""
    whole = np.ones((len(rows), len(HAND.keypoints)), bool)
    tables = []
    for key in GROUPS:
        values = np.array([row[key] or "unknown" for row in rows])
        groups = {str(value): whole & (values == value)[:, None] for value in sorted(set(values))}
        tables.append(table(key, groups, rights))
    sizes = np.array([size(np.array(row["keypoints"], float)) for row in rows])
    steps = {}
    for low, high in itertools.pairwise(SIZES):
        name = f"{low} and more" if high == math.inf else f"{low} to {high}"
        steps[name] = whole & ((sizes >= low) & (sizes < high))[:, None]
    tables.append(table("pixels", steps, rights))
    columns = np.eye(len(HAND.keypoints), dtype=bool)
    keypoints = {name: whole & column for name, column in zip(HAND.keypoints, columns, strict=True)}
    return "\n\n".join([*tables, table("keypoint", keypoints | {"all": whole}, rights)])


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help=f"{shared.MODEL} (default: light_hand, without --mediapipe)")
    parser.add_argument("--split", choices=("test", "val"), default="test")
    parser.add_argument("--net-size", help="size of the network's input (default: that of posecv.estimate_hand)")
    parser.add_argument("--mediapipe", metavar="PYTHON", help="a Python that has mediapipe, to run it too")
    parser.add_argument("--confidence", type=float, default=0.5, help="MediaPipe's min_detection_confidence")
    parser.add_argument("--gloves", action="store_true", help="give the skin of all hands the colour of gloves")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N crops alone")
    options = parser.parse_args(argv)
    hands = shared.crops("hand", options.split, options.limit)
    if options.gloves:
        colors = itertools.cycle(GLOVES)
        hands = [(row, gloved(frame, np.array(row["keypoints"], float), next(colors))) for row, frame in hands]
    found: dict[str, list[Floats]] = {}
    if options.model or not options.mediapipe:
        network = shared.load(options.model or "light_hand")
        found[network.model.name] = [by_network(network, hand, options.net_size) for hand in hands]
    if options.mediapipe:
        found["MediaPipe"] = by_mediapipe(options.mediapipe, [frame for _, frame in hands], options.confidence)
    rows = [row for row, _ in hands]
    labels = np.array([row["keypoints"] for row in rows], np.float64)
    rights = {name: np.array(list(map(right, each, labels))) for name, each in found.items()}
    for name, each in found.items():
        print(f"{name}: {sum(bool(np.isnan(hand).any()) for hand in each)} of {len(hands)} hands missed")
    print("\n" + report(rows, rights))
    return 0


if __name__ == "__main__":
    sys.exit(main())
