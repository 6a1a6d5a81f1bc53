"""Videos: frames with their exact numbers and times, read by PyAV if it is installed, otherwise by OpenCV.

PyAV knows the exact time of every frame, also if the frame rate varies or the header is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.sources import Still
from posecv.sources.pictures import check_file
from posecv.sources.selection import TURNS, Selection

__all__ = ["Film", "pyav"]

Grabbed = tuple[float, Callable[[], Frame | None]]  # a frame's time in seconds, and a function that decodes it

FASTEST = 1000.0  # the highest plausible frame rate; headers without a rate contain about 90000


@dataclass(frozen=True)
class Film:
    """A video in a file.

    Attributes
    ----------
    path : Path
        The file.
    selection : Selection
        Which of its frames to use.
    live : bool
        False: a file can wait.
    has_frames : bool
        True: it is a video.
    """

    path: Path
    selection: Selection = field(default_factory=Selection)
    live: bool = False
    has_frames: bool = True

    def expected(self) -> int | None:
        """The approximate number of stills according to the header, which may be wrong."""
        try:
            with _opened(self.path) as reader:
                count = reader.count
        except InputError:
            return None
        return self.selection.of(int(count)) if 0 < count < 1e9 else None

    def stills(self) -> Iterator[Still]:
        """The selected frames, upright, with their numbers and times.

        It reads all frames in order: seeking to a frame number is not exact in videos with a variable frame rate.

        Raises
        ------
        InputError
            If there is no video, or no selected frame in it.
        """
        wanted = self.selection
        read = given = 0
        with _opened(self.path) as reader:
            rate = reader.rate if 0 < reader.rate <= FASTEST else 0.0
            for number, (time, decode) in enumerate(islice(reader.frames(), wanted.end)):
                read += 1
                if wanted.wants(number) and (frame := decode()) is not None:
                    given += 1
                    yield Still(wanted.turned(frame), self.path, number, max(time, 0.0), rate / wanted.step)
        if not read:
            raise InputError(f"{self.path}: this video has no frames; it is damaged, or was never finished")
        if not given:
            raise InputError(f"{self.path}: none of the requested frames exists; the video has {read} frames")


class _Reader(Protocol):
    """Reads a video from its beginning; `count` and `rate` come from its header, 0 if missing."""

    count: float
    rate: float

    def frames(self) -> Iterator[Grabbed]:
        """The frames in order, upright; decode each one before taking the next, or not at all."""

    def close(self) -> None:
        """Close the file."""


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    """Open the video; InputError if it is not a video."""
    check_file(path)
    av = pyav()
    reader: _Reader = _AvReader(av, path) if av else _OpenCvReader(path)
    try:
        yield reader
    finally:
        reader.close()


class _OpenCvReader:
    """OpenCV's reader; OpenCV rotates frames upright itself."""

    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"{path}: not a video that OpenCV can read, or damaged")
        self.count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.rate = self._capture.get(cv2.CAP_PROP_FPS)

    def frames(self) -> Iterator[Grabbed]:
        while self._capture.grab():
            yield self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, self._decoded

    def _decoded(self) -> Frame | None:
        whole, frame = self._capture.retrieve()
        return frame.astype(np.uint8, copy=False) if whole else None

    def close(self) -> None:
        self._capture.release()


class _AvReader:
    """PyAV's reader."""

    def __init__(self, av: Any, path: Path) -> None:
        self._error = av.error.FFmpegError
        try:
            self._container = av.open(str(path))
        except self._error:
            raise InputError(f"{path}: not a video that FFmpeg can read, or damaged") from None
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path}: not a video, it contains no images")
        self._stream = self._container.streams.best("video")
        self._stream.thread_type = "AUTO"
        self._reformatter = av.video.reformatter.VideoReformatter()
        self.rate = float(self._stream.guessed_rate or 0)
        self.count = self._stream.frames or (self._container.duration or 0) / av.time_base * self.rate

    def frames(self) -> Iterator[Grabbed]:
        begin = self._stream.start_time or 0
        for number, frame in enumerate(self._decoded()):
            unit = frame.time_base or self._stream.time_base
            time = number / (self.rate or 1) if frame.pts is None else float((frame.pts - begin) * unit)
            yield time, partial(self._upright, frame)

    def _decoded(self) -> Iterator[Any]:
        """PyAV's frames; damaged packets are skipped, and the video ends where it cannot be read any further."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, self._error):
                return
            try:
                frames = packet.decode()
            except self._error:
                continue
            yield from frames

    def _upright(self, frame: Any) -> Frame:
        pixels = self._reformatter.reformat(frame, format="bgr24").to_ndarray()
        turn = -round(frame.rotation) % 360  # counterclockwise to clockwise
        return cv2.rotate(pixels, TURNS[turn]).astype(np.uint8, copy=False) if turn in TURNS else pixels

    def close(self) -> None:
        self._container.close()


def pyav() -> Any:
    """The optional package PyAV; None if it is not installed."""
    try:
        import av
    except ImportError:
        return None
    return av
