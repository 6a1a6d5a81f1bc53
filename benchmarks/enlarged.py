"""Stability: how far keypoints move when a photograph is enlarged by 2, although the network sees the same image.

    python -m benchmarks.enlarged --refinement parabola

Needs the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

import posecv
from benchmarks import shared
from benchmarks.program import one_line
from posecv.engines.network import Network
from posecv.skeletons import REFINEMENTS

SIZE = 480, 640
SURE = 0.3  # keypoints above this score are compared,
TOGETHER = 6  # of people who have so many in both images


def moved(network: Network, frame: NDArray[np.uint8], interpolation: int, refinement: str) -> list[float]:
    """Distances, in pixels of the frame, between keypoints of the frame and of its enlargement."""
    larger = cv2.resize(frame, None, fx=2, fy=2, interpolation=interpolation)
    small, large = (posecv.estimate_people(network, each, refinement=refinement).keypoints for each in (frame, larger))
    distances: list[float] = []
    for person in small:
        candidates = []
        for other in large:
            both = (person[:, 2] > SURE) & (other[:, 2] > SURE)
            if np.count_nonzero(both) >= TOGETHER:
                candidates.append(np.hypot(*(other[both, :2] / 2 - person[both, :2]).T))
        if candidates:
            distances += min(candidates, key=np.median).tolist()
    return distances


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--refinement", choices=REFINEMENTS, default="parabola")
    options = parser.parse_args(argv)
    network = shared.load("light-coco", "auto")
    distances: list[float] = []
    photographs = 0
    for path in sorted(shared.there(shared.folder() / "data" / "coco" / "images").glob("*.jpg")):
        frame = cv2.imread(str(path))
        if frame is not None and frame.shape[:2] == SIZE:
            photographs += 1
            for interpolation in (cv2.INTER_LINEAR, cv2.INTER_CUBIC):
                distances += moved(network, frame, interpolation, options.refinement)
    median, most = np.percentile(distances, [50, 95])
    share = np.mean(np.array(distances) > 1)
    print(f"{photographs} photographs, {len(distances)} keypoints, {options.refinement}: "
          f"median {median:.2f} pixels, 95 % within {most:.2f}, {share:.0%} over 1")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
