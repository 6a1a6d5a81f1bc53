"""How long decoding takes in posecv and in a reference decoder, and a network's forward time.

    python -m benchmarks.decode            # a table
    python -m benchmarks.decode --profile  # and where posecv's time goes

Both decode the same painted maps of 57 x 46 x 82 (a 656 x 368 input). They take turns in
each round, so that the machine is in the same state for both; a row shows medians over the rounds.
"""

from __future__ import annotations

import argparse
import cProfile
import platform
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

import posecv
from benchmarks import shared, yardstick
from benchmarks.painted import Scene, paint_maps, random_people
from benchmarks.program import one_line
from posecv.people import People
from posecv.skeletons import COCO

LEAST_RATIO = {1: 8.0, 5: 8.0, 20: 4.5, 50: 5.0}  # what the decoder is built to reach, by number of people
NEAR = 0.5  # cells within which a painted keypoint counts as found
MOST = 0.9  # share of a painted person's keypoints that somebody found must have


def milliseconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def surroundings() -> str:
    """The versions and the machine that the times depend on."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, OpenCV {cv2.__version__}"
    return f"{versions}, {cv2.getNumThreads()} threads, {platform.machine()}"


def painted(count: int) -> Scene:
    """A scene with that many people."""
    people = random_people(count, COCO, seed=4)
    return Scene(f"{count} people", COCO, people, paint_maps(people, COCO))


def recovered(scene: Scene, people: People) -> int:
    """How many of the painted people are found."""
    away = np.linalg.norm(
        scene.people[:, None, :, :2] - people.keypoints[None, ..., :2], axis=-1
    )  # (painted, found, K)
    near = (away <= NEAR) & people.found & (scene.people[:, None, :, 2] > 0)
    there = np.count_nonzero(scene.people[..., 2], axis=1)
    return int((np.count_nonzero(near, axis=2) >= MOST * there[:, None]).any(axis=1).sum())


def row(scene: Scene, rounds: int) -> str:
    """Measure one scene; a line of the table."""

    def ours() -> People:
        return posecv.decode_people(scene.maps, scene.skeleton)

    def theirs() -> People:
        return yardstick.decode(scene.maps, scene.skeleton)

    found = [recovered(scene, decode()) for decode in (ours, theirs, ours, theirs)]  # twice: the first call warms up
    times = [(milliseconds(ours), milliseconds(theirs)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in times)
    our_time, their_time = (statistics.median(column) for column in zip(*times, strict=True))
    count = len(scene.people)
    goal = f"{LEAST_RATIO[count]:.1f}" if count in LEAST_RATIO else "-"
    times_found = f"{our_time:>7.2f} ms  {their_time:>7.2f} ms  {found[0]:>6}  {found[1]:>9}"
    return f"{count:>6}  {ratio:>6.1f}  {goal:>5}  {times_found}"


def forward_time(rounds: int) -> str:
    """A sentence about the time that a real network takes for the same maps."""
    folder = shared.folder() / "models" / "light-coco"
    if not (folder / "pose.caffemodel").is_file():
        return "network: not measured (no models/light-coco in POSECV_SHARED)"
    network = posecv.load_network(folder / "pose.prototxt", folder / "pose.caffemodel", device="cpu")
    blob = np.zeros((1, 3, 368, 656), np.float32)
    network.maps(blob)
    times = [milliseconds(lambda: network.maps(blob)) for _ in range(rounds)]
    return f"network: light-coco takes {statistics.median(times):.0f} ms for 656 x 368 on {network.device}"


def profile(scene: Scene, rounds: int) -> None:
    """Print the functions in which posecv spends its time on a scene."""
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(rounds):
        posecv.decode_people(scene.maps, scene.skeleton)
    profiler.disable()
    print(f"\n{len(scene.people)} people, {rounds} times:")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(14)


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure decoding beside the yardstick.")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 5, 20, 50], help="people in the painted scenes")
    parser.add_argument("--rounds", type=int, default=31, help="how often each scene is decoded (default: 31)")
    parser.add_argument("--profile", action="store_true", help="show where posecv's time goes")
    options = parser.parse_args(argv)

    print(surroundings())
    print("people   ratio   goal      posecv    yardstick  posecv  yardstick")
    print("                                                 found      found")
    scenes = [painted(count) for count in options.people]
    for scene in scenes:
        print(row(scene, options.rounds), flush=True)
    print(forward_time(max(3, options.rounds // 6)))
    if options.profile:
        for scene in scenes:
            profile(scene, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
