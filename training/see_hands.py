"""Find hands in the photographs of people with MediaPipe, and store those that are certain.

    python -m training.see_hands --data ../shared/training --mediapipe PYTHON --to cache/seen_hands.jsonl.gz

`training.pack hand --seen` cuts crops of them. MediaPipe processes each training photograph, the square at the
end of each arm, and the mirror images of all these. A hand counts if both views show it in the same place. It takes ten
minutes on two cores.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.estimators.boxes import hand_boxes
from posecv.people import People
from posecv.skeletons import COCO
from posecv.terminal import ends_unread
from training.data import GREY, decoded
from training.mediapipe_hands import Hand, MediaPipeHands
from training.pack import Record, shared_body

Frame = NDArray[np.uint8]
Look = Callable[[Frame], list[Hand]]
Certain = list[tuple[str | None, NDArray[np.float64]]]  # side, if it is certain, and (21, 2) keypoints

LOOKERS = 3  # processes
CONFIDENCE = 0.2  # of the detector; what counts is that both views agree
LEAST_SQUARE = 56.0  # pixels, at the end of an arm
LARGE_SQUARE = 256.0  # pixels, to which a smaller one is enlarged
LEAST_HAND = 28.0  # pixels, the longer side of the box round its keypoints
AGREE = 0.06  # of that, how far a mirrored image's keypoints may lie from the image's, on average
SAME = 0.3  # of that, below which two hands are one


@ends_unread
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write down MediaPipe's hands in the photographs of people.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--mediapipe", metavar="PYTHON", required=True, help="a Python that has MediaPipe")
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        lookers = [
            stack.enter_context(MediaPipeHands(args.mediapipe, count=8, confidence=CONFIDENCE)) for _ in range(LOOKERS)
        ]
        total = write_hands(lookers, args.data, args.to)
    print(f"{total} hands in {args.to}")


def write_hands(lookers: Sequence[Look], data: Path, to: Path) -> int:
    """Store the hands that the lookers find, each in its own thread; return their number."""
    total = 0
    with gzip.open(to, "wt") as out, ThreadPoolExecutor(len(lookers)) as pool:
        pictures = (each for each in shared_body(data, None) if each[0]["split"] == "train")
        while chunk := list(itertools.islice(pictures, len(lookers))):
            found = pool.map(lambda look, each: hands_of(look, *each), lookers, chunk)
            for (record, _), hands in zip(chunk, found, strict=True):
                total += len(hands)
                told = [{"hand": side, "keypoints": points.round(2).tolist()} for side, points in hands]
                out.write(json.dumps({"file": record["file"], "hands": told}) + "\n")
    return total


def hands_of(look: Look, record: Record, content: bytes) -> Certain:
    """The hands of a photograph."""
    frame = decoded(content)
    height, width = frame.shape[:2]
    people = np.array(record["people"], np.float32).reshape(-1, len(COCO.keypoints), 3)
    squares = hand_boxes(People(people, np.ones(len(people), np.float32), COCO)).reshape(-1, 3)
    found: Certain = []
    for x, y, side in [(0, 0, 0), *squares[squares[:, 2] >= LEAST_SQUARE]]:
        view, scale, corner = frame, 1.0, np.zeros(2)
        if side:
            scale = max(1, LARGE_SQUARE / side)
            matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
            size = round(side * scale)
            view = cv2.warpAffine(frame, matrix, (size, size), borderValue=(GREY,) * 3)
            corner = np.array([x, y])
        for hand, points in certain(look, view):
            points = points / scale + corner
            inside = ((points >= 0) & (points < (width, height))).all()
            large = float(np.ptp(points, axis=0).max())
            if inside and large >= LEAST_HAND and not any(_away(points, other) < SAME * large for _, other in found):
                found.append((hand, points))
    return found


def certain(look: Look, view: Frame) -> Certain:
    """Hands that are found in both an image and its mirror image."""
    plain = look(view)
    if not plain:
        return []
    mirrored = [_mirrored(hand, view.shape[1]) for hand in look(np.ascontiguousarray(view[:, ::-1]))]
    found = []
    for side, points in plain:
        for other_side, other in mirrored:
            if _away(points, other) < AGREE * np.ptp(points, axis=0).max():
                found.append((side if side == other_side else None, (points + other) / 2))
                break
    return found


def _mirrored(hand: Hand, width: int) -> Hand:
    side, points = hand
    return "right" if side == "left" else "left", points * (-1, 1) + (width - 1, 0)


def _away(points: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(points - other, axis=1).mean())


if __name__ == "__main__":
    main()
