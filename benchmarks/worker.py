"""A network in its own process, which imports only what any program that uses posecv imports.

    python -m benchmarks.worker '{"files": ["light_body"], "options": {}, "maps": false,
                                  "engine": "opencv", "height": 256, "width": 352}'

Its first output line comes after the first result and names what runs the network, or the reason why nothing does.
Then it answers each input line with the milliseconds of one or more results. With `maps`, only the network runs, on
noise: decoding the maps of random weights would mean nothing.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np

import posecv
from benchmarks import ROOT
from posecv.arrays import Array
from posecv.engines.network import Network
from posecv.estimators import Estimator
from posecv.estimators.single_pass import Everybody, OneHand
from posecv.memory import keep_buffers

A_TURN = 2  # results that count; one before them fills the caches again

Times = dict[str, float]


def timed(network: Network, took: Times) -> Network:
    """The same network, which records the milliseconds of each forward pass."""

    def forward(blob: Array) -> Sequence[Array]:
        start = perf_counter()
        maps = network.engine.forward(blob)
        took["network"] = 1000 * (perf_counter() - start)
        return maps

    return replace(network, engine=replace(network.engine, forward=forward))


def program(network: Network, job: dict[str, Any]) -> Callable[[], Times]:
    """The timed function: with `maps` only the network, otherwise all from a sample image to people or a hand."""
    took: Times = {}
    network = timed(network, took)
    blob = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, job["height"], job["width"])).astype(np.float32)
    kind, name = (Everybody, "team.jpg") if network.has_fields else (OneHand, "hand.jpg")
    estimator: Estimator = kind(network, net_size=(job["width"], job["height"]))
    frame = cv2.imread(str(ROOT / "samples" / name))

    def run_network() -> Times:
        network.maps(blob)
        return dict(took)

    def run_all() -> Times:
        start = perf_counter()
        result = estimator(frame)
        return took | {"decoding": 1000 * result.seconds["decoding"], "total": 1000 * (perf_counter() - start)}

    return run_network if job["maps"] else run_all


def peak_memory() -> float:
    """The process's maximum memory in MB. (getrusage's figure includes the parent's memory.)"""
    status = Path("/proc/self/status")
    if not status.is_file():  # not Linux
        return math.nan
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+)", status.read_text(encoding="ascii"))
    return int(kilobytes) / 1024


def turn(run: Callable[[], Times]) -> list[Times]:
    """The times of several results, without the first."""
    run()
    return [run() for _ in range(A_TURN)]


def engine_version(engine: str) -> str:
    """The version of the engine's package."""
    package = engine.split("-")[0]
    return str(cv2.__version__) if package == "opencv" else version(package)


def main() -> int:
    """Answer line by line."""
    job = json.loads(sys.argv[1])
    keep_buffers()
    try:
        network = posecv.load_network(*job["files"], engine=job["engine"], device="cpu", **job["options"])
        run = program(network, job)
        run()
    except posecv.PoseError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return error.exit_code
    print(json.dumps({"version": engine_version(job["engine"])}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"times": turn(run), "memory": peak_memory()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
