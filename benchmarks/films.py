"""The network's share of a video's wall time; reading, drawing, encoding and writing should overlap with it.

    python -m benchmarks.films                                 light-coco and light_body, every available codec
    python -m benchmarks.films --models light_body --codecs none mjpg --frames 300

It makes a 640 x 480 video that pans over samples/team.jpg and processes it as run_multi_pose.py does, with a JSON file
for each frame.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import ROOT, decode, shared
from benchmarks.program import one_line
from posecv.engines.network import Network
from posecv.errors import UsageError
from posecv.estimators import Setting
from posecv.estimators.single_pass import Everybody
from posecv.evaluation import markdown
from posecv.outputs import Output
from posecv.outputs.films import DrawnFilm, check_codec
from posecv.outputs.openpose_json import OpenPoseJson
from posecv.result import Result
from posecv.run import pipeline
from posecv.skeletons import Skeleton
from posecv.sources.films import Film

Frame = NDArray[np.uint8]

MODELS = ("light-coco", "light_body")
WIDTH, HEIGHT, RATE = 640, 480, 25
SUFFIXES = {"none": ".avi", "mjpg": ".avi", "mp4v": ".mp4", "vp8": ".webm", "vp9": ".webm", "h264": ".mp4"}


@dataclass(frozen=True)
class Run:
    """The times of a video.

    Attributes
    ----------
    frames : int
    wall, network, cpu : float
        Seconds: from the first frame to the last closed file; the part of it in the network, including its input;
        processor time of all threads.
    """

    frames: int
    wall: float
    network: float
    cpu: float

    @property
    def share(self) -> float:
        """The share of the wall time in the network."""
        return self.network / self.wall


@dataclass(frozen=True)
class Timed:
    """An estimator that records the seconds of each frame in the network."""

    everybody: Everybody
    spent: list[float] = field(default_factory=list)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the network."""
        return self.everybody.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The result of the estimator."""
        result = self.everybody(frame, before, **overrides)
        self.spent.append(result.seconds["network"])
        return result


def pan(path: Path, frames: int) -> Path:
    """Write a video that pans over a photograph and back at a constant speed."""
    picture = cv2.imread(str(ROOT / "samples" / "team.jpg"))
    assert picture is not None
    scale = 1.25 * max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    room = np.array([picture.shape[1] - WIDTH, picture.shape[0] - HEIGHT])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    for number in range(frames):
        x, y = np.rint(room * (1 - abs(1 - 2 * number / frames))).astype(int)
        writer.write(picture[y : y + HEIGHT, x : x + WIDTH])
    writer.release()
    return path


def measure(network: Network, film: Path, codec: str, folder: Path) -> Run:
    """Process a video as run_multi_pose.py does, with a loaded network."""
    outputs: list[Output] = [OpenPoseJson(folder / "film_keypoints.json")]
    if codec != "none":
        outputs.append(DrawnFilm(folder / f"film_pose{SUFFIXES[codec]}", codec))
    everybody = Everybody(network, "-1x368")
    everybody(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    timed = Timed(everybody)
    begin, used = perf_counter(), process_time()
    code = pipeline.run([pipeline.Job(Film(film), tuple(outputs), (folder,))], timed)
    if code:
        raise SystemExit(code)
    return Run(len(timed.spent), perf_counter() - begin, sum(timed.spent), process_time() - used)


def is_here(codec: str) -> bool:
    """Whether a codec is available; H.264 needs PyAV."""
    try:
        check_codec(Path(f"film{SUFFIXES[codec]}"), None if codec == "none" else codec)
    except UsageError:
        return False
    return True


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS, help=shared.MODEL)
    parser.add_argument("--codecs", nargs="+", default=list(SUFFIXES), choices=list(SUFFIXES))
    parser.add_argument("--frames", type=int, default=100)
    options = parser.parse_args(argv)
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as place:
        film = pan(Path(place) / "film.avi", options.frames)
        for model in options.models:
            network = shared.load(model)
            for codec in filter(is_here, options.codecs):
                folder = Path(place) / f"{len(rows)}"
                folder.mkdir()
                run = measure(network, film, codec, folder)
                times = (f"{1000 * seconds / run.frames:.1f}" for seconds in (run.wall, run.network, run.cpu))
                rows.append((network.model.name, codec, *times, f"{run.share:.3f}"))
    print(f"{decode.surroundings()}, {options.frames} frames of {WIDTH} x {HEIGHT}, milliseconds a frame\n")
    print(markdown.table(("network", "codec", "wall", "in the network", "all threads' CPU", "share"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
