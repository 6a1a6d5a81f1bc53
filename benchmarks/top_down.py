"""Accuracy of finding people top-down: boxes first, then the keypoints of each person in a crop.

    python -m benchmarks.top_down --teacher                       PicoDet-S 320 and TinyPose 256x192
    python -m benchmarks.top_down --pose light_pose               a second look at each of light_body's people
    python -m benchmarks.top_down --pose light_pose --boxes picodet --held-out

Needs pycocotools and the shared data (`POSECV_SHARED`, default ../shared), and ONNX Runtime for the teacher's networks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import shared
from benchmarks.program import one_line
from posecv.engines.layouts import crop_layout
from posecv.engines.network import Network
from posecv.errors import UsageError
from posecv.estimators.single_pass import Everybody
from posecv.estimators.top_down import BoxesOfBodies, BoxList, BoxMaps, CropNetwork, Detector, TopDown
from posecv.evaluation import coco
from posecv.geometry import NetSize
from training import teacher


def run(estimator: TopDown, data: shared.Data) -> dict[str, float]:
    """Estimate every image and score the people."""
    truth, pictures = data
    results = []
    seconds = {"detector": 0.0, "network": 0.0, "decoding": 0.0}
    for image, frame in pictures:
        result = estimator(frame)
        seconds = {name: seconds[name] + result.seconds[name] for name in seconds}
        results += coco.records(image, result.people)
    count = len(truth["images"])
    return coco.average_precision(truth, results) | {f"{name} ms": 1000 * s / count for name, s in seconds.items()}


def crop_network(network: Network) -> CropNetwork:
    """What looks at crops with a network that was loaded without a detector."""
    return CropNetwork(network.engine, network.model.preprocessing, crop_layout(network.model, network.engine))


def _teachers() -> Path:
    return shared.there(shared.folder() / "training" / "teacher")


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print a row of figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--teacher", action="store_true", help="PicoDet and TinyPose")
    parser.add_argument("--pose", metavar="NAME|P,M", help="the network that looks at each person; " + shared.MODEL)
    parser.add_argument(
        "--boxes", default="light_body", metavar="WHAT", help="light_body, picodet, or a detector: " + shared.MODEL
    )
    parser.add_argument("--net-size", help="size of the detector's input (default: its own)")
    parser.add_argument("--box-threshold", type=float, default=0.4, help="lowest score of a detector's boxes")
    parser.add_argument("--pad", type=float, help="sides of a crop relative to the box (default: the network's)")
    parser.add_argument("--tune", action="store_true", help="use a part of the training set")
    parser.add_argument("--held-out", action="store_true", help="use the part that our own networks never saw")
    options = parser.parse_args(argv)
    coco.require_pycocotools()
    if not options.teacher and not options.pose:
        raise UsageError("name a network with --pose, or take the teacher's with --teacher")
    network = None if options.teacher else shared.load(options.pose)
    pose = crop_network(network) if network else teacher.pose(_teachers())
    detector: Detector
    if options.teacher or options.boxes == "picodet":
        detector = teacher.detector(_teachers(), options.box_threshold)
    elif options.boxes == "light_body":
        detector = BoxesOfBodies(Everybody(shared.load("light_body")))
    else:
        detector = TopDown.of(shared.load(options.pose or "light_pose", detector=options.boxes)).detector
        assert isinstance(detector, (BoxMaps, BoxList))
        detector = replace(detector, threshold=options.box_threshold)
        if isinstance(detector, BoxMaps) and options.net_size:
            detector = replace(detector, net_size=NetSize.parse(options.net_size))
    tuning = options.tune or options.held_out
    data = shared.tuning_set(held_out=options.held_out) if tuning else shared.evaluation_set()
    figures = run(TopDown(detector, pose, pad=options.pad), data)
    print("  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
