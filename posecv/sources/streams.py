"""Sources that are no files: cameras, network streams, standard input."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.sources import Still
from posecv.sources.films import FASTEST
from posecv.sources.pictures import decode_picture, jpegs
from posecv.sources.selection import Selection
from posecv.terminal import quiet_stderr, say

__all__ = ["Camera", "StandardInput", "Stream", "live_source"]


PATIENCE = 30  # reads of a camera that may fail in a row: some need a second to wake up
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before a stream is opened again, until it is given up
CAMERAS = range(8)  # numbers that are tried where one is asked for that is not there
ADDRESS = re.compile(r"[a-z]{2,}://", re.IGNORECASE)


def opened_camera(number: int) -> cv2.VideoCapture:
    """A camera: by DirectShow on Windows, where Media Foundation takes minutes to open some of them."""
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
        Which one.
    selection : Selection
        Which of its frames are wanted.
    size : (int, int) or None
        Width and height to ask it for.
    rate : float or None
        Frames a second to ask it for.
    live : bool
        True: frames that nobody takes in time are left out.
    has_frames : bool
        True: it gives a video.
    opened : callable
        Opens the camera of a number, or tries to.
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
        """What it is called."""
        return Path(f"camera_{self.number}")

    def expected(self) -> None:
        """Nobody knows."""

    def stills(self) -> Iterator[Still]:
        """The frames; InputError where there is no such camera, or it stops."""
        with self._capture() as capture:
            yield from _wanted(_read(capture), self.path, self.selection, _rate(capture))
        raise InputError(f"camera {self.number} gives no frames; is it unplugged or used by another program?")

    @contextmanager
    def _capture(self) -> Iterator[cv2.VideoCapture]:
        with quiet_stderr():  # every backend that OpenCV tries complains at length
            capture = self.opened(self.number)
        try:
            if not capture.isOpened():
                raise InputError(f"no camera {self.number} can be opened; {_there_are(self.opened)}")
            if self.size:
                capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.size[0])
                capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.size[1])
            if self.rate:
                capture.set(cv2.CAP_PROP_FPS, self.rate)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a frame that has waited shows the past
            yield capture
        finally:
            capture.release()


def _there_are(opened: Callable[[int], cv2.VideoCapture]) -> str:
    """Which cameras can be opened, in words."""
    with quiet_stderr():
        captures = {number: opened(number) for number in CAMERAS}
    numbers = [str(number) for number, capture in captures.items() if capture.isOpened()]
    for capture in captures.values():
        capture.release()
    if not numbers:
        return "there is none; is it plugged in, free and allowed?"
    return f"there {'are' if len(numbers) > 1 else 'is'} {', '.join(numbers)}"


@dataclass(frozen=True)
class Stream:
    """A stream or video at an address, which is opened again when it breaks.

    Attributes
    ----------
    address : str
        rtsp://, http:// or another that FFmpeg knows.
    selection : Selection
        Which of its frames are wanted.
    pauses : tuple of float
        Seconds to wait before each attempt to open it again; after the last one it is given up.
    live : bool
        True: frames that nobody takes in time are left out.
    has_frames : bool
        True: it gives a video.
    """

    address: str
    selection: Selection = field(default_factory=Selection)
    pauses: tuple[float, ...] = PAUSES
    live: bool = True
    has_frames: bool = True

    @property
    def path(self) -> Path:
        """What it is called: host and path, without a password."""
        parts = urlsplit(self.address)
        return Path(re.sub(r"[^\w.-]+", "_", f"{parts.hostname or ''}{parts.path}".rstrip("/")) or "stream")

    def expected(self) -> None:
        """Nobody knows."""

    def stills(self) -> Iterator[Still]:
        """The frames; InputError where it cannot be opened, or not again."""
        return _wanted(self._frames(), self.path, self.selection, 0.0)

    def _frames(self) -> Iterator[Frame]:
        failures, ever = 0, False
        while True:
            capture = cv2.VideoCapture(self.address, cv2.CAP_FFMPEG)
            try:
                for frame in _read(capture, patience=1):
                    failures, ever = 0, True
                    yield frame
            finally:
                capture.release()
            if not ever:
                raise InputError(f"{self.path}: no stream can be read at this address")
            if failures == len(self.pauses):
                raise InputError(f"{self.path}: the stream broke and could not be opened again")
            say(f"{self.path}: the stream broke; it is opened again in {self.pauses[failures]:g} s")
            time.sleep(self.pauses[failures])
            failures += 1


@dataclass(frozen=True)
class StandardInput:
    """Images on standard input: one of any kind, or JPEGs one after the other, as Motion JPEG has them.

    Attributes
    ----------
    selection : Selection
        Which of them are wanted.
    file : callable
        Gives the bytes.
    live : bool
        False: who writes waits.
    has_frames : bool
        False: its images are results of their own.
    """

    selection: Selection = field(default_factory=Selection)
    file: Callable[[], IO[bytes]] = lambda: sys.stdin.buffer
    live: bool = False
    has_frames: bool = False

    @property
    def path(self) -> Path:
        """What it is called."""
        return Path("stdin")

    def expected(self) -> None:
        """Nobody knows."""

    def stills(self) -> Iterator[Still]:
        """The images; InputError where there is none, or one that is damaged."""
        number = -1
        for number, data in enumerate(jpegs(self.file())):
            if self.selection.wants(number):
                frame = self.selection.turned(decode_picture(self.path, data))
                yield Still(frame, self.path, number)
        if number < 0:
            raise InputError("standard input is empty; pipe pictures or Motion JPEG into it")


def live_source(word: str, selection: Selection) -> Camera | Stream | StandardInput | None:
    """The source that a value of `--input` means, if it is none of files."""
    if word == "-":
        return StandardInput(selection)
    if word.isdecimal() and not Path(word).exists():
        return Camera(int(word), selection)
    return Stream(word, selection) if ADDRESS.match(word) else None


def _read(capture: cv2.VideoCapture, patience: int = PATIENCE) -> Iterator[Frame]:
    """Read until nothing comes."""
    failures = 0
    while failures < patience:
        read, frame = capture.read()
        failures = 0 if read else failures + 1
        if read:
            yield frame.astype(np.uint8, copy=False)


def _wanted(frames: Iterator[Frame], path: Path, selection: Selection, rate: float) -> Iterator[Still]:
    """The wanted frames with their numbers, and times by the clock."""
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
