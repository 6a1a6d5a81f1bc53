"""Videos: frames with their exact numbers and times, read by PyAV if it is installed, otherwise by OpenCV.

PyAV knows the exact time of every frame, also if the frame rate varies or the header is wrong.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.sources import Still
from posecv.sources.animations import animation_frames, needs_pillow
from posecv.sources.clock import Clock, format_of, is_broadcast, longest_gap
from posecv.sources.display import UPRIGHT, Turn, pixel_aspect, turn_in_header
from posecv.sources.interlaced import LINE, MAY_FAIL, is_progressive, loses_frames, loses_frames_at
from posecv.sources.pictures import check_file
from posecv.sources.selection import Selection
from posecv.terminal import say

__all__ = ["Film", "NoneRequestedError", "is_unicode", "length_of", "pyav", "zero_of"]

Grabbed = tuple[float | None, Callable[[], Frame | None]]  # a frame's stamp in seconds, and a function that decodes it

TRIES = 100  # failed reads in a row after which a damaged video has ended
CHECKS = 3  # frames equal to the one before that are looked into, as each takes a while in a long video
ROWS = 8  # every so many rows are compared
TIMEOUT = 30.0  # seconds without data after which a server is given up
LONGEST = 1e9  # seconds; OpenCV gives such times to frames that have none
FASTEST = 1000.0  # the highest plausible frame rate; headers without a rate contain about 90000


class NoneRequestedError(InputError):
    """A video ends before the first of its frames that were asked for."""


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
    address : str or None
        Where it is, if it is not a file; `path` is its name then.
    """

    path: Path
    selection: Selection = field(default_factory=Selection)
    live: bool = False
    has_frames: bool = True
    address: str | None = None

    def expected(self) -> int | None:
        """The approximate number of stills according to the header, which may be wrong."""
        try:
            with _opened(self.path, self.address) as reader:
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
        with _opened(self.path, self.address) as reader:
            rate = reader.rate if 0 < reader.rate <= FASTEST else 0.0
            for number, time, decode in _numbered(reader, rate):
                if wanted.end is not None and number >= wanted.end:
                    break
                read = number + 1
                if wanted.wants(number) and (frame := decode()) is not None:
                    given += 1
                    aspect = reader.aspect_after(wanted.rotate)
                    yield Still(wanted.turned(frame), self.path, number, time, rate / wanted.step, aspect)
            else:
                self._tell_missing(reader)
        if not read:
            raise InputError(f"{self.path}: this video has no frames; it is damaged, or was never finished")
        if not given:
            raise NoneRequestedError(f"{self.path}: none of the requested frames exists; the video has {read} frames")

    def _tell_missing(self, reader: _Reader) -> None:
        """Say how many frames are missing in a video that was read to its end."""
        told = round(reader.count) if reader.is_exact else 0
        if told > reader.decoded and (reader.lost or reader.ended_early()):
            say(f"{self.path}: the header says {told} frames, {reader.decoded} could be decoded")
        elif missing := max(reader.lost, reader.numbered - reader.decoded):
            say(f"{self.path}: damaged; {reader.decoded} frames could be decoded, about {missing} could not")


def _numbered(reader: _Reader, rate: float) -> Iterator[tuple[int, float, Callable[[], Frame | None]]]:
    """The numbers and times of a video's frames, also behind those that cannot be decoded."""
    clock = Clock(rate, longest_gap(reader.format), steady=is_broadcast(reader.format))
    for grabbed in reader.frames():
        if grabbed is None:
            reader.lost += 1
            clock.lose()
        elif ticked := clock.tick(grabbed[0]):
            reader.decoded += 1
            number, reader.end = ticked
            reader.numbered = number + 1
            yield number, reader.end, grabbed[1]


class _Reader:
    """Reads a video from its beginning.

    Attributes
    ----------
    count, rate : float
        Frames, and frames per second, according to its header; 0 if missing.
    is_exact : bool
        Whether the header tells the number of frames itself.
    aspect : float
        The width of a pixel divided by its height, in the file.
    swapped : bool
        Whether the frames are turned by 90 or 270 degrees when they are decoded; known with the first one.
    format : str
        FFmpeg's name of its format, if it is known.
    decoded, lost, numbered : int
        Frames so far that could be decoded, that could not, and all with those that are missing.
    duration, end : float
        Seconds according to the header, 0 if unknown, and the time of the last frame so far.
    """

    def __init__(self) -> None:
        self.count = self.rate = self.duration = self.end = 0.0
        self.is_exact = False
        self.aspect, self.swapped, self.format = 1.0, False, ""
        self.decoded = self.lost = self.numbered = 0

    def frames(self) -> Iterator[Grabbed | None]:
        """The frames in order, upright, and None for each that is damaged.

        Decode each one before taking the next, or not at all.
        """
        raise NotImplementedError

    def aspect_after(self, rotate: int) -> float:
        """The width of a pixel divided by its height in upright frames that are rotated then."""
        return 1 / self.aspect if self.swapped != (rotate in (90, 270)) else self.aspect

    def ended_early(self) -> bool:
        """Whether the last frame came more than two frames before the end that the header tells."""
        return self.rate > 0 and self.end + 3 / self.rate < self.duration

    def close(self) -> None:
        """Close the file."""


@contextmanager
def _opened(path: Path, address: str | None = None) -> Iterator[_Reader]:
    """Open the video; InputError if it is not a video."""
    av = pyav()
    if address is None:
        check_file(path)
    reader: _Reader
    if address is None and needs_pillow(path, bool(av)):
        reader = _AnimationReader(path)
    else:
        reader = _AvReader(av, path, address) if av else _OpenCvReader(path, address)
    try:
        yield reader
    finally:
        reader.close()


def length_of(address: str) -> float:
    """About how many frames a video at an address has; 0 for a stream without an end."""
    try:
        with _opened(Path("video"), address) as reader:
            return reader.count if 0 < reader.count < 1e9 else 0.0
    except InputError:
        return 0.0


class _AnimationReader(_Reader):
    """Reads animated images that FFmpeg cannot read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._frames = animation_frames(path)
        self._first = next(self._frames, None)
        if self._first and self._first[0] > 0:
            self.rate = 1 / self._first[0]

    def frames(self) -> Iterator[Grabbed | None]:
        time = 0.0
        for duration, frame in chain([self._first] if self._first else [], self._frames):
            yield time, partial(lambda frame: frame, frame)
            time += duration


class _OpenCvReader(_Reader):
    """OpenCV's reader."""

    def __init__(self, path: Path, address: str | None = None) -> None:
        super().__init__()
        if not is_unicode(path):  # OpenCV crashes
            raise InputError(f"{path}: OpenCV cannot open this name, which is not UTF-8; rename it, or pip install av")
        self._capture = cv2.VideoCapture(address or os.path.abspath(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"{path}: not a video that OpenCV can read, or damaged")
        self._path, self._place = path, address or path
        self._checks = CHECKS if MAY_FAIL and not is_progressive(self._capture) else 0
        if self._checks and loses_frames(self._place):
            raise InputError(f"{path}: this video is {LINE}; pip install av")
        self._was_equal = False
        self._before: Frame | None = None  # some rows of the frame before
        self.format = "" if address else format_of(_head(path))
        self.count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.is_exact = 0 < self.count < 1e9
        # OpenCV 4.11 does not turn frames, and no version mirrors them.
        self._turn = None if address else turn_in_header(path)
        if self._turn is None and self.rate > 0:  # an MP4 may list frames that are not to be shown
            self.duration = self.count / self.rate
        if self._turn is not None:
            self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        width, height = (self._capture.get(name) for name in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
        self.aspect = pixel_aspect(width, height)
        self.swapped = self._turn.swapped if self._turn else self._meta() in (90, 270)

    def frames(self) -> Iterator[Grabbed | None]:
        failures, begin = 0, None
        while failures < TRIES:
            if self._capture.grab():
                yield from [None] * failures
                failures = 0
                stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if abs(stamp) > LONGEST:
                    yield None, self._decoded
                    continue
                begin = stamp if begin is None else begin
                yield stamp - begin, self._decoded
            else:
                failures += 1

    def _meta(self) -> float:
        return self._capture.get(cv2.CAP_PROP_ORIENTATION_META)

    def _decoded(self) -> Frame | None:
        whole, frame = self._capture.retrieve()
        if not whole:
            return None
        frame = frame.astype(np.uint8, copy=False)
        if self._checks:
            self._check(frame[::ROWS])
        return self._turn(frame) if self._turn else frame

    def _check(self, rows: Frame) -> None:
        """Refuse a frame that is the one before once more, if the video has become interlaced."""
        equal = self._before is not None and np.array_equal(rows, self._before)
        if equal and not self._was_equal:
            self._checks -= 1
            if loses_frames_at(self._place, self.numbered):
                said = f"from frame {self.numbered - 1} on, this video is {LINE}"
                raise InputError(f"{self._path}: {said}; pip install av")
        self._before, self._was_equal = rows.copy(), equal

    def close(self) -> None:
        self._capture.release()


def _head(path: Path) -> bytes:
    """The first bytes of a file."""
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError:
        return b""


class _AvReader(_Reader):
    """PyAV's reader."""

    def __init__(self, av: Any, path: Path, address: str | None) -> None:
        super().__init__()
        self._error = av.error.FFmpegError
        try:
            if address is None:
                self._container, self._tries = av.open(os.path.abspath(path)), TRIES
            else:
                self._container, self._tries = av.open(address, timeout=TIMEOUT), 1
        except (self._error, ValueError):
            raise InputError(f"{path}: not a video that FFmpeg can read, or damaged") from None
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path}: not a video, it contains no images")
        self._stream = self._container.streams.best("video")
        self._stream.thread_type = "AUTO"
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._read_header(av)

    def _read_header(self, av: Any) -> None:
        stream = self._stream
        self.rate = float(stream.guessed_rate or 0)
        self.is_exact = bool(stream.frames)
        if stream.frames and stream.average_rate:  # AVI counts fields
            self.count = stream.frames * self.rate / float(stream.average_rate)
        else:
            self.count = stream.frames or (self._container.duration or 0) / av.time_base * self.rate
        self.duration = float((stream.duration or 0) * stream.time_base)
        sides = stream.sample_aspect_ratio
        self.aspect = pixel_aspect(sides.numerator, sides.denominator) if sides else 1.0
        self.format = self._container.format.name
        # AVI has no times of display: FFmpeg takes those of packets, which are in another order.
        self._by_dts = self.format == "avi"

    def frames(self) -> Iterator[Grabbed | None]:
        zero = None if self._by_dts or self._stream.start_time is None else zero_of(self._stream)
        begun = False
        for frame in self._decoded():
            # Before the first whole frame, a decoder fills with grey what earlier frames would have shown.
            if frame is None or (frame.is_corrupt and not begun):
                yield None
                continue
            begun = True
            stamp = frame.dts if self._by_dts else frame.pts
            time = None
            if stamp is not None:
                time = float(stamp * (frame.time_base or self._stream.time_base))
                zero = time if zero is None else zero
                time -= zero
            yield time, partial(self._upright, frame)

    def _decoded(self) -> Iterator[Any]:
        """PyAV's frames, and None for each packet that is damaged, until the video cannot be read any further."""
        failures = 0
        packets = self._container.demux(self._stream)
        while failures < self._tries:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._error:
                failures += 1
                packets = self._container.demux(self._stream)
                continue
            failures = 0
            try:
                frames = packet.decode()
            except self._error:
                yield None
                continue
            yield from frames

    def _upright(self, frame: Any) -> Frame | None:
        try:
            pixels = self._reformatter.reformat(frame, format="bgr24").to_ndarray()
        except (self._error, ValueError):
            return None
        turn = _turn_of(frame)
        self.swapped = turn.swapped
        return turn(pixels)

    def close(self) -> None:
        self._container.close()


def _turn_of(frame: Any) -> Turn:
    """How a frame of PyAV must be turned and mirrored."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    return Turn.of(a, b, c, d)


def zero_of(stream: Any) -> float:
    """The time stamp, in seconds, at which a stream of PyAV begins; the times of a video's frames count from it."""
    return float((stream.start_time or 0) * stream.time_base)


def is_unicode(path: Path) -> bool:
    """Whether the name of a file, and those of its folders, can be encoded as UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in os.path.abspath(path))


def pyav() -> Any:
    """The optional package PyAV; None if it is not installed."""
    try:
        import av
    except ImportError:
        return None
    return av
