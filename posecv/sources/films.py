"""Videos: frames with their true numbers and times, read by PyAV where it is installed, otherwise by OpenCV.

PyAV knows every frame's own time, also where frames come at no steady rate and where the header is wrong about it.
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

Grabbed = tuple[float, Callable[[], Frame | None]]  # a frame's time in seconds, and what decodes it, if it can be

FASTEST = 1000.0  # frames a second that a header may say; containers without a rate say 90000 or so


@dataclass(frozen=True)
class Film:
    """A video in a file.

    Attributes
    ----------
    path : Path
        The file.
    selection : Selection
        Which of its frames are wanted.
    live : bool
        False: a file waits until its frames are taken.
    has_frames : bool
        True: it is a video.
    """

    path: Path
    selection: Selection = field(default_factory=Selection)
    live: bool = False
    has_frames: bool = True

    def expected(self) -> int | None:
        """About how many stills there will be, by the header, which may err."""
        try:
            with _opened(self.path) as reader:
                count = reader.count
        except InputError:
            return None
        return self.selection.of(int(count)) if 0 < count < 1e9 else None

    def stills(self) -> Iterator[Still]:
        """The wanted frames, upright, with their numbers and times.

        All frames before a wanted one are decoded too: jumping to a frame number misses in videos whose frames do not
        come at one rate.

        Raises
        ------
        InputError
            Where there is no video, or no wanted frame in it.
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
            raise InputError(f"{self.path}: there are no frames in this film; it is damaged, or was never finished")
        if not given:
            raise InputError(f"{self.path}: the film has {read} frames, none of them is among those asked for")


class _Reader(Protocol):
    """Reads a video from its beginning; `count` and `rate` are what its header says, 0 where it says nothing."""

    count: float
    rate: float

    def frames(self) -> Iterator[Grabbed]:
        """The frames in order, upright; each is decoded before the next one is taken, or never."""

    def close(self) -> None:
        """Let go of the file."""


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    """The video, open; InputError where it is none."""
    check_file(path)
    av = pyav()
    reader: _Reader = _AvReader(av, path) if av else _OpenCvReader(path)
    try:
        yield reader
    finally:
        reader.close()


class _OpenCvReader:
    """OpenCV's reader, which turns frames upright by itself."""

    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"{path}: this is no film that OpenCV reads, or it is damaged")
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
            raise InputError(f"{path}: this is no film that FFmpeg reads, or it is damaged") from None
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path}: this is no film, it has no pictures")
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
        """PyAV's frames; packets that are damaged are left out, and what cannot be read any more ends the video."""
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
        turn = -round(frame.rotation) % 360  # it counts the other way round
        return cv2.rotate(pixels, TURNS[turn]).astype(np.uint8, copy=False) if turn in TURNS else pixels

    def close(self) -> None:
        self._container.close()


def pyav() -> Any:
    """PyAV, which is not required; None where it is missing."""
    try:
        import av
    except ImportError:
        return None
    return av
