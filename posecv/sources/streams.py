"""Sources that are not files: cameras, network streams, standard input."""

from __future__ import annotations

import math
import os
import re
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.errors import InputError, reason
from posecv.sources import Still
from posecv.sources.films import FASTEST, pyav
from posecv.sources.interlaced import LINE, MAY_FAIL, is_progressive, loses_frames
from posecv.sources.pictures import decode_picture, jpegs
from posecv.sources.selection import Selection
from posecv.terminal import quiet_stderr, say

__all__ = ["Camera", "StandardInput", "Stream", "live_source", "pipe"]


PATIENCE = 30  # failed reads in a row that a camera is allowed: some need a second to start
DAMAGED = 10  # failed reads in a row of a stream: a damaged frame fails, the ones after it may be whole
STALLED = 5.0  # seconds of a failed read after which a stream is broken, not a frame of it
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before each attempt to reopen a stream
HELD = 8  # frames of a stream that are held back while all are equal: then OpenCV may not have converted them
SILENCE = 10.0  # seconds after which nobody is taken to write into a pipe
TIMEOUT = 30.0  # seconds without data after which PyAV takes a stream for broken
NAMED = 5  # damaged images on standard input that get a line each
CAMERA_DIGITS = 9  # a longer number is a file name
CAMERAS = range(8)  # numbers to try for the list of cameras, if the requested one is missing
ADDRESS = re.compile(r"[a-z]{2,}://", re.IGNORECASE)


def opened_camera(number: int) -> cv2.VideoCapture:
    """Open a camera; on Windows by DirectShow, because Media Foundation takes minutes for some cameras."""
    if sys.platform == "win32":
        capture = cv2.VideoCapture(number, cv2.CAP_DSHOW)
        if capture.isOpened():
            return capture
    return cv2.VideoCapture(number)


@dataclass(frozen=True)
class Camera:
    """A camera of this computer.

    Attributes
    ----------
    number : int
        The camera's number.
    selection : Selection
        Which of its frames to use.
    size : (int, int) or None
        Width and height to request.
    rate : float or None
        Frames per second to request.
    live : bool
        True: frames that are not taken in time are dropped.
    has_frames : bool
        True: it is a video.
    opened : callable
        Opens the camera with a number, or returns a closed capture.
    """

    number: int
    selection: Selection = field(default_factory=Selection)
    size: tuple[int, int] | None = None
    rate: float | None = None
    live: bool = True
    has_frames: bool = True
    opened: Callable[[int], cv2.VideoCapture] = opened_camera

    @property
    def path(self) -> Path:
        """The name in results and messages."""
        return Path(f"camera_{self.number}")

    def expected(self) -> None:
        """Unknown."""

    def stills(self) -> Iterator[Still]:
        """The frames; InputError if the camera does not exist, or stops."""
        with self._capture() as capture:
            yield from _wanted(_read(capture), self.path, self.selection, _rate(capture))
        raise InputError(f"camera {self.number} delivers no frames; is it unplugged or used by another program?")

    @contextmanager
    def _capture(self) -> Iterator[cv2.VideoCapture]:
        with quiet_stderr():  # every backend that OpenCV tries prints long warnings
            capture = self.opened(self.number)
        try:
            if not capture.isOpened():
                raise InputError(f"camera {self.number} cannot be opened; {_there_are(self.opened)}")
            if self.size:
                capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.size[0])
                capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.size[1])
            if self.rate:
                capture.set(cv2.CAP_PROP_FPS, self.rate)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a buffered frame is an old one
            yield capture
        finally:
            capture.release()


def _there_are(opened: Callable[[int], cv2.VideoCapture]) -> str:
    """The cameras that can be opened, in words."""
    with quiet_stderr():
        captures = {number: opened(number) for number in CAMERAS}
    numbers = [str(number) for number, capture in captures.items() if capture.isOpened()]
    for capture in captures.values():
        capture.release()
    if not numbers:
        return "no camera was found; is it plugged in, not in use, and permitted?"
    return f"available: {', '.join(numbers)}"


@dataclass(frozen=True)
class Stream:
    """A stream or video at an address, which is reopened when the connection breaks.

    Attributes
    ----------
    address : str
        rtsp://, http:// or another protocol that FFmpeg supports.
    selection : Selection
        Which of its frames to use.
    pauses : tuple of float
        Seconds to wait before each attempt to reopen it; after the last one, it gives up.
    live : bool
        True: frames that are not taken in time are dropped.
    has_frames : bool
        True: it is a video.
    """

    address: str
    selection: Selection = field(default_factory=Selection)
    pauses: tuple[float, ...] = PAUSES
    live: bool = True
    has_frames: bool = True

    @property
    def path(self) -> Path:
        """Its name: host and path, without a password."""
        parts = urlsplit(self.address)
        return Path(re.sub(r"[^\w.-]+", "_", f"{parts.hostname or ''}{parts.path}".rstrip("/")) or "stream")

    def expected(self) -> None:
        """Unknown."""

    def stills(self) -> Iterator[Still]:
        """The frames; InputError if it cannot be opened or reopened."""
        return _wanted(self._frames(), self.path, self.selection, 0.0)

    def _frames(self) -> Iterator[Frame]:
        failures, ever = 0, False
        while True:
            for frame in self._connection():
                failures, ever = 0, True
                yield frame
            if not ever:
                raise InputError(f"{self.path}: cannot read a stream at this address")
            if failures == len(self.pauses):
                raise InputError(f"{self.path}: the stream broke and could not be reopened")
            say(f"{self.path}: the stream broke; reconnecting in {self.pauses[failures]:g} s")
            time.sleep(self.pauses[failures])
            failures += 1


    def _connection(self) -> Iterator[Frame]:
        """The frames until the connection breaks."""
        capture = cv2.VideoCapture(self.address, cv2.CAP_FFMPEG)
        try:
            frames = _read(capture, DAMAGED, STALLED)
            if not MAY_FAIL or is_progressive(capture):
                yield from frames
                return
            held = list(islice(_while_equal(frames), HELD))
            if len(held) < HELD or not loses_frames(self.address):
                yield from held
                yield from frames
                return
        finally:
            capture.release()
        if not pyav():
            raise InputError(f"{self.path}: this stream is {LINE}; pip install av")
        yield from _by_pyav(self.address)


def _while_equal(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The frames up to the first one that differs from the one before, and this one."""
    before = None
    for frame in frames:
        yield frame
        if before is not None and not np.array_equal(frame, before):
            return
        before = frame


def _by_pyav(address: str) -> Iterator[Frame]:
    """A stream's frames by PyAV, until the connection breaks."""
    av = pyav()
    try:
        with av.open(address, timeout=TIMEOUT) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="bgr24")
    except (av.error.FFmpegError, ValueError):
        return


@dataclass(frozen=True)
class StandardInput:
    """Images on standard input: one of any format, or consecutive JPEGs as in Motion JPEG.

    Attributes
    ----------
    selection : Selection
        Which of them to use.
    file : callable
        Returns the binary input stream.
    live : bool
        False: the writer waits.
    has_frames : bool
        False: its images are separate results.
    path : Path
        The name in results and messages.
    """

    selection: Selection = field(default_factory=Selection)
    file: Callable[[], IO[bytes]] = lambda: sys.stdin.buffer
    live: bool = False
    has_frames: bool = False
    path: Path = Path("stdin")

    def expected(self) -> None:
        """Unknown."""

    def stills(self) -> Iterator[Still]:
        """The images; InputError if there is none. A damaged one among others is left out, with a line."""
        file = self.file()
        try:
            yield from self._of(file)
        finally:
            if sys.stdin is None or file is not sys.stdin.buffer:
                file.close()

    def _of(self, file: IO[bytes]) -> Iterator[Still]:
        number, good, told = -1, False, 0
        damaged: list[int] = []
        first = ""  # what is wrong with the first damaged one
        for number, data in enumerate(jpegs(file)):
            if not self.selection.wants(number):
                continue
            try:
                frame = self.selection.turned(decode_picture(self.path, data))
            except InputError as error:
                first = first or str(error)
                damaged.append(number)
            else:
                good = True
                yield Still(frame, self.path, number)
            if good:
                for index in damaged[told:NAMED]:
                    say(f"{self.path}: image {index} is damaged and was left out")
                told = min(len(damaged), NAMED)
        if damaged and not good:
            raise InputError(first)
        if len(damaged) > NAMED:
            say(f"{self.path}: {len(damaged)} of {number + 1} images are damaged and were left out")
        if number < 0:
            raise InputError(f"{self.path} is empty; pipe images or Motion JPEG into it")


def pipe(path: Path, selection: Selection, silence: float = SILENCE) -> StandardInput | None:
    """A pipe with a name, such as /dev/stdin or that of `<(command)`, as a source; None for anything else.

    Nobody is taken to write into it if nothing comes for `silence` seconds.
    """
    try:
        is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return None
    return StandardInput(selection, partial(_opened, path, silence), path=path) if is_pipe else None


def _opened(path: Path, silence: float) -> IO[bytes]:
    """Open a pipe for reading; InputError if nobody writes into it."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    if not select.select([number], [], [], silence)[0]:
        os.close(number)
        raise InputError(f"{path}: nobody writes into this pipe")
    os.set_blocking(number, True)
    return open(number, "rb")  # its reader closes it


def live_source(word: str, selection: Selection) -> Camera | Stream | StandardInput | None:
    """The source that a value of `--input` means, or None for files."""
    if word == "-":
        return StandardInput(selection)
    if word.isdecimal() and len(word) <= CAMERA_DIGITS and not os.path.exists(word):
        return Camera(int(word), selection)
    return Stream(word, selection) if ADDRESS.match(word) else None


def _read(
    capture: cv2.VideoCapture,
    patience: int = PATIENCE,
    longest: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """Read until no more frames arrive: after `patience` failures in a row, or one that took longer than `longest`."""
    failures = 0
    while failures < patience:
        begin = clock()
        read, frame = capture.read()
        failures = 0 if read else failures + 1
        if read:
            yield frame.astype(np.uint8, copy=False)
        elif clock() - begin > longest:
            return


def _wanted(frames: Iterator[Frame], path: Path, selection: Selection, rate: float) -> Iterator[Still]:
    """The selected frames with their numbers, and times from the clock."""
    begin = None
    for number, frame in enumerate(frames):
        now = time.perf_counter()
        begin = now if begin is None else begin
        if selection.wants(number):
            yield Still(selection.turned(frame), path, number, now - begin, rate / selection.step)
        if selection.last is not None and number >= selection.last:
            return


def _rate(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate <= FASTEST else 0.0
