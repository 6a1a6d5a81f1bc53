"""Films of somebody painted who walks, so that the place tells the frame's number, and the words that run on them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import Pair, black, paint_person, standing_person
from posecv.arrays import Frame
from posecv.skeletons import COCO

WIDTH, HEIGHT = 176, 192


def walker(number: int) -> NDArray[Any]:
    """Somebody who walks two pixels a frame to the right and, after 40 frames, again."""
    person = standing_person(COCO, 84, 44) * np.array([0.5, 0.5, 1], np.float32)
    person[:, 0] += 2 * (number % 40)
    return person


def walk(number: int) -> Frame:
    """That frame."""
    return paint_person(black(WIDTH, HEIGHT), walker(number), COCO, radius=6)


def film(path: Path, count: int, codec: str = "FFV1") -> Path:
    """So many frames, ten a second, without loss."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (WIDTH, HEIGHT))
    frames = [walk(number) for number in range(min(count, 40))]
    for number in range(count):
        writer.write(frames[number % 40])
    writer.release()
    return path


def unsteady_film(path: Path, frames: Sequence[Frame], milliseconds: Sequence[int], codec: str, pixels: str) -> None:
    """Frames at times of their own; skips the test where PyAV, which can write such films, is missing."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame, at in zip(frames, milliseconds, strict=True):
            shown = av.VideoFrame.from_ndarray(frame, format="bgr24")
            shown.pts, shown.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))


def pictures(folder: Path, count: int) -> None:
    """The first frames as p0.png, p1.png, ..."""
    for number in range(count):
        cv2.imwrite(str(folder / f"p{number}.png"), walk(number))


def words(pair: Pair, *more: str | Path, net_size: int = 192) -> list[str]:
    """The options of a run with that network."""
    return ["-p", str(pair[0]), "-m", str(pair[1]), "--net-size", str(net_size), *map(str, more)]
