"""Accuracy on COCO photographs: average precision of `posecv.estimate_people` with its default options.

    python -m benchmarks.accuracy --model light-coco              evaluation set
    python -m benchmarks.accuracy --model light-coco --tune       part of the training set, to choose constants on
    python -m benchmarks.accuracy --model light_body --held-out   the part that our own networks never saw
    python -m benchmarks.accuracy --model light-coco --tune --set inter_min_above=0.8 --net-size=-1x256

Needs pycocotools and the shared data (`POSECV_SHARED`, default ../shared). Never choose constants on the
evaluation set.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks import shared
from benchmarks.program import one_line
from posecv import geometry
from posecv.engines.network import Network
from posecv.estimators.single_pass import Everybody
from posecv.evaluation import coco
from posecv.models import NET_SIDE


def run(
    network: Network, data: shared.Data, net_size: str, *, scale_number: int = 1, **thresholds: Any
) -> dict[str, float]:
    """Estimate every image and score the people."""
    truth, pictures = data
    limits = replace(network.model.thresholds, **thresholds)
    everybody = Everybody(network, net_size, scale_number, thresholds=limits)
    results = []
    seconds = {"network": 0.0, "decoding": 0.0}
    for image, frame in pictures:
        result = everybody(frame)
        seconds = {name: seconds[name] + result.seconds[name] for name in seconds}
        results += coco.records(image, result.people)
    count = len(truth["images"])
    times = {f"{name} ms": 1000 * total / count for name, total in seconds.items()}
    return coco.average_precision(truth, results) | times


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print a row of figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light-coco", help=shared.MODEL)
    parser.add_argument("--tune", action="store_true", help="use a part of the training set")
    parser.add_argument("--held-out", action="store_true", help="use the part that our own networks never saw")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N photographs of the evaluation set alone")
    parser.add_argument("--stages", type=int, metavar="N", help="run the first N stages of the network alone")
    parser.add_argument("--net-size", default=f"-1x{NET_SIDE}")
    parser.add_argument("--scale-number", type=int, default=1, help="at how many scales each photograph is looked at")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a constant of the decoder")
    parser.add_argument("--step", type=float, help="geometry.SMALLEST_STEP: 0 never averages a frame that shrinks")
    options = parser.parse_args(argv)
    coco.require_pycocotools()
    if options.step is not None:
        geometry.SMALLEST_STEP = options.step
    given = (pair.split("=") for pair in options.set)
    thresholds = {name: value if name == "refinement" else float(value) for name, value in given}
    start = time.perf_counter()
    tuning = options.tune or options.held_out
    data = shared.tuning_set(held_out=options.held_out) if tuning else shared.evaluation_set(options.limit)
    network = shared.load(options.model, stages=options.stages)
    figures = run(network, data, options.net_size, scale_number=options.scale_number, **thresholds)
    print(
        "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), f" ({time.perf_counter() - start:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
