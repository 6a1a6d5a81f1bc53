"""Make `samples/clip.mp4` from the photographs beside it, by panning and zooming.

    python -m tools.make_clip

Four seconds in three shots: a group, a player, a skater. People move through the frame and grow, as in a video, while
nobody needs to be filmed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.terminal import ends_unread

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SIZE = (480, 320)
RATE = 25


@dataclass(frozen=True)
class Shot:
    """A camera's way over a photograph.

    Attributes
    ----------
    picture : str
        Name of the photograph.
    frames : int
        How long the shot is.
    start, end : (float, float, float)
        What the camera sees first and last: left, top and width in pixels of the photograph.
    """

    picture: str
    frames: int
    start: tuple[float, float, float]
    end: tuple[float, float, float]


SHOTS = (
    Shot("team.jpg", 44, start=(0, 0, 480), end=(15, 33, 430)),
    Shot("player.jpg", 28, start=(0, 3.5, 480), end=(30, 0, 450)),
    Shot("skater.jpg", 28, start=(50, 20, 390), end=(0, 23, 480)),
)


def ease(time: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Start slowly and end slowly: 3t^2 - 2t^3 for t from 0 to 1."""
    return time * time * (3 - 2 * time)


def shoot(picture: NDArray[np.uint8], shot: Shot) -> Iterator[NDArray[np.uint8]]:
    """Yield the shot's frames, (320, 480, 3) each."""
    progress = ease(np.linspace(0, 1, shot.frames))[:, None]
    for left, top, width in (1 - progress) * shot.start + progress * np.array(shot.end):
        scale = width / SIZE[0]
        # Pixels are squares: the centre of the first lies half of its side from the view's corner.
        to_picture = np.array([[scale, 0, left + scale / 2 - 0.5], [0, scale, top + scale / 2 - 0.5]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frame = cv2.warpAffine(picture, to_picture, SIZE, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        yield np.asarray(frame, np.uint8)


def make_clip(output: Path) -> None:
    """Write the clip."""
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    if not writer.isOpened():
        raise SystemExit(f"this OpenCV cannot write {output}")
    for shot in SHOTS:
        picture = cv2.imread(str(SAMPLES / shot.picture))
        if picture is None:
            raise SystemExit(f"{SAMPLES / shot.picture} cannot be read; run python -m tools.make_samples first")
        for frame in shoot(np.asarray(picture, np.uint8), shot):
            writer.write(frame)
    writer.release()


@ends_unread
def main(arguments: list[str] | None = None) -> int:
    """Read the command line and make the clip."""
    parser = argparse.ArgumentParser(description="Make samples/clip.mp4 from the photographs of samples/.")
    parser.add_argument("-o", "--output", type=Path, default=SAMPLES / "clip.mp4", help="(default: samples/clip.mp4)")
    make_clip(parser.parse_args(arguments).output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
