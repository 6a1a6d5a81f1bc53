"""What a frame costs besides the network: its blob, decoding and drawing, compared with the forward pass.

    python -m benchmarks.overhead                  light_body in OpenCV, a 640 x 480 frame at -1x368
    python -m benchmarks.overhead --model light-coco --engine openvino

Two scenes: samples/team.jpg with the people that the network finds, and painted maps of five people, drawn on the same
photograph. Each round performs all steps of a frame one after the other, as a run does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

import posecv
from benchmarks import ROOT, decode, shared
from benchmarks.painted import paint_maps, random_people
from benchmarks.program import one_line
from posecv.drawing.style import Style
from posecv.engines import ENGINES
from posecv.engines.network import Network
from posecv.evaluation import markdown
from posecv.geometry import STRIDE, Fit, NetSize
from posecv.memory import keep_buffers
from posecv.result import Result

Frame = NDArray[np.uint8]
Maps = NDArray[np.float32]

WIDTH, HEIGHT = 640, 480
NET_SIZE = "-1x368"
PAINTED = 5
STEPS = "blob", "forward", "decoding", "drawing"
WARM_UP = 3  # rounds that do not count


def photograph() -> Frame:
    """The sample with the most people, in the size of a webcam's frames."""
    picture = cv2.imread(str(ROOT / "samples" / "team.jpg"))
    assert picture is not None
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def one_round(network: Network, frame: Frame, painted: Maps | None) -> tuple[list[float], int]:
    """Milliseconds of each of `STEPS`, and the number of drawn people; painted maps replace the network's."""
    times = [perf_counter()]
    fit = Fit.of_frame(frame, NetSize.parse(NET_SIZE))
    blob = fit.blob(frame, network.model.preprocessing)
    times.append(perf_counter())
    maps = network.maps(blob)
    times.append(perf_counter())
    cells = posecv.decode_people(
        maps if painted is None else painted, network.skeleton, **vars(network.model.thresholds)
    )
    xy = np.where(cells.keypoints[..., 2:] > 0, fit.to_frame(cells.keypoints[..., :2]), 0)
    people = replace(cells, keypoints=np.concatenate([xy, cells.keypoints[..., 2:]], axis=-1))
    times.append(perf_counter())
    Style().drawn(Result(people, frame))
    times.append(perf_counter())
    return [1000 * float(step) for step in np.diff(times)], len(people)


def row(name: str, rounds: Sequence[tuple[list[float], int]]) -> tuple[object, ...]:
    """A scene's line of the table: medians, and the median of the other steps' time as a share of the forward pass.

    The first `WARM_UP` rounds do not count.
    """
    results = rounds[WARM_UP:]
    medians = [statistics.median(step) for step in zip(*(times for times, _ in results), strict=True)]
    share = statistics.median((sum(times) - times[1]) / times[1] for times, _ in results)
    return name, results[0][1], *medians, share


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light_body", help=shared.MODEL)
    parser.add_argument("--engine", default="opencv", choices=[*ENGINES, "auto"])
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args(argv)
    keep_buffers()  # as the scripts do
    network, frame = shared.load(options.model, options.engine), photograph()
    width, height = NetSize.parse(NET_SIZE).of_frame(WIDTH, HEIGHT)
    cells = height // STRIDE, width // STRIDE
    painted = paint_maps(random_people(PAINTED, network.skeleton, cells, seed=4), network.skeleton, cells)
    scenes = (("team.jpg", None), ("painted", painted))
    count = WARM_UP + options.rounds
    rows = [row(name, [one_round(network, frame, maps) for _ in range(count)]) for name, maps in scenes]
    print(f"{decode.surroundings()}, {network.model.name} in {network.engine.name}, input {height} x {width}\n")
    print(markdown.table(("scene", "people", *(f"{step} (ms)" for step in STEPS), "besides / forward"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
