"""Drawn videos: by PyAV where it is installed (H.264, exact times, sound), otherwise by OpenCV.

A video is written as NAME.part.EXT and gets its name when it is whole. What happens to an unfinished one depends on its
format: AVI, WebM, Matroska and PyAV's MP4, which is written in fragments, play up to where they end; OpenCV's MP4 does
not play at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.drawing.style import Style
from posecv.errors import OutputError, UsageError, reason
from posecv.outputs.files import Kind
from posecv.outputs.growing import part_of
from posecv.result import Result
from posecv.sources.films import pyav
from posecv.terminal import quiet_stderr, say

__all__ = ["CODECS", "KIND", "DrawnFilm", "check_codec", "default_suffix"]

# What each suffix holds, the first that works being taken. H.264 takes PyAV: OpenCV's wheels cannot write it, and their
# mp4v does not play in browsers.
CODECS = {
    ".mp4": ("h264", "mp4v"),
    ".avi": ("mjpg", "xvid"),
    ".webm": ("vp8", "vp9"),
    ".mkv": ("h264", "mjpg", "vp8"),
    ".mov": ("h264", "mjpg"),
}
FOURCC = {"mp4v": "mp4v", "mjpg": "MJPG", "xvid": "XVID", "vp8": "VP80", "vp9": "VP90", "ffv1": "FFV1"}
KIND = Kind("output", ending="_pose", suffixes=frozenset(CODECS))
RATE = 25.0  # frames a second, where the source has no rate
CHECKED = 100  # frames between two looks at the disk
LEAST_FREE = 1 << 20  # bytes
ARRIVED = 0.9  # share of the frames that a whole file holds by its header, which counts by time in some formats
TICKS = 90_000  # a second, of PyAV's videos: every usual frame rate is a whole number of them
QUALITY = "20"  # of H.264: 0 is lossless, 23 the usual


class _Writer(Protocol):
    """Writes frames of one size into a file."""

    def write(self, frame: Frame, time: float) -> None:
        """Add a frame that is shown from a time on, in seconds."""

    def close(self) -> None:
        """Finish the file."""


def default_suffix() -> str:
    """The format of videos in a folder: one that browsers play, where PyAV is installed, or the one that is safest."""
    return ".mp4" if pyav() else ".avi"


class DrawnFilm:
    """Draws the people on copies of the frames and writes a video, as fast and as large as its source.

    Parameters
    ----------
    path : str or Path
        The file; its suffix says the format.
    codec : str or None
        One of `CODECS` or four characters; by default the first that the suffix allows and that is installed.
    style : Style
        How people are shown.
    """

    wants_view = interactive = False

    def __init__(self, path: str | Path, codec: str | None = None, style: Style | None = None) -> None:
        self.path, self.codec, self.style = Path(path), codec, style or Style()
        self._writer: _Writer | None = None
        self._size = 0, 0
        self._count = 0
        self._begin = 0.0
        self._whole = True
        self._there = self.path.exists()

    def write(self, result: Result) -> None:
        """Add a frame; OutputError where that fails."""
        drawn = self.style.drawn(result)
        try:
            if self._writer is None:
                self._size = _even(drawn.shape[1]), _even(drawn.shape[0])
                self._begin = result.time
                self._writer = _opened(part_of(self.path), self._size, result, self._codecs())
            rate = result.rate or RATE
            time = result.time - self._begin if result.number is not None else self._count / rate
            self._writer.write(_fitted(drawn, self._size), time)
        except OSError as error:
            self._whole = False
            raise OutputError(f"{part_of(self.path)} cannot be written ({reason(error)})") from None
        except OutputError:
            self._whole = False
            raise
        self._count += 1

    def has(self, number: int | None) -> bool:
        """Whether the video is there, which is so only when it is whole."""
        return self._there

    def _codecs(self) -> Sequence[str]:
        if self.codec:
            return (self.codec,)
        return CODECS[self.path.suffix.lower()]

    def close(self) -> None:
        """Finish the video and give it its name; one that could not be written as a whole keeps the other."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        part = part_of(self.path)
        try:
            writer.close()
            if self._whole:
                os.replace(part, self.path)
        except OSError as error:
            raise OutputError(f"{part} cannot be finished ({reason(error)})") from None

    def __enter__(self) -> DrawnFilm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_codec(path: Path, codec: str | None) -> None:
    """UsageError where a video of that name cannot be written here."""
    av = pyav()
    for name in [codec] if codec else CODECS[path.suffix.lower()]:
        if name == "h264" and not av:
            continue
        if name == "h264" or name in FOURCC or len(name) == 4:
            return
        raise UsageError(f"codec={name}: known are {', '.join(['h264', *FOURCC])}, and any four characters")
    raise UsageError(f"{path}: h264 takes PyAV; pip install av, or choose another codec or .avi")


def _opened(part: Path, size: tuple[int, int], result: Result, codecs: Sequence[str]) -> _Writer:
    """A writer with the first codec that works here."""
    part.parent.mkdir(parents=True, exist_ok=True)
    rate = result.rate or RATE
    av = pyav()
    for codec in codecs:
        if codec == "h264":
            if av:
                return _AvWriter(av, part, size, rate, result)
            continue
        writer = _OpenCvWriter.opened(part, size, rate, codec)
        if writer:
            _tell(part.suffix.lower(), result.number is not None)
            return writer
    raise OutputError(f"{part}: OpenCV writes no {part.suffix} with {' or '.join(codecs)} here; try .avi")


@cache
def _tell(suffix: str, of_film: bool) -> None:
    """What a video that OpenCV writes lacks, once."""
    lacks = ["it does not play in browsers, nor at all until it is finished"] if suffix in (".mp4", ".mov") else []
    lacks += ["it has no sound"] if of_film else []
    if lacks:
        better = ".mp4 does better" if pyav() else ".mp4 with PyAV does better: pip install av"
        say(f"OpenCV writes the {suffix}: {'; '.join(lacks)} ({better})")


class _OpenCvWriter:
    """OpenCV's writer; it never says what goes wrong, so disk and file are looked at."""

    def __init__(self, part: Path, writer: cv2.VideoWriter) -> None:
        self._part, self._writer = part, writer
        self._written = 0

    @classmethod
    def opened(cls, part: Path, size: tuple[int, int], rate: float, codec: str) -> _OpenCvWriter | None:
        """A writer, if OpenCV has that codec."""
        fourcc = cv2.VideoWriter.fourcc(*FOURCC.get(codec, codec))
        with quiet_stderr():  # FFmpeg remarks on the tags that it gives
            writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, fourcc, rate, size)
        return cls(part, writer) if writer.isOpened() else None

    def write(self, frame: Frame, time: float) -> None:
        self._writer.write(frame)
        self._written += 1
        if self._written % CHECKED == 0 and shutil.disk_usage(self._part.parent).free < LEAST_FREE:
            raise OutputError(f"{self._part}: the disk is full")

    def close(self) -> None:
        self._writer.release()
        capture = cv2.VideoCapture(str(self._part), cv2.CAP_FFMPEG)
        arrived = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if arrived < ARRIVED * self._written:
            told = f"its header tells of {max(arrived, 0)} of {self._written} frames"
            raise OutputError(f"{self._part} cannot be finished: {told}; is the disk full?")


class _AvWriter:
    """PyAV's writer: H.264 in fragments, frames at their own times, the source's sound."""

    def __init__(self, av: Any, part: Path, size: tuple[int, int], rate: float, result: Result) -> None:
        self._av = av
        options = {"flush_packets": "1"}  # a small video would stay in FFmpeg's buffer until its end
        if part.suffix.lower() != ".mkv":
            options["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
        try:
            self._container = av.open(str(part), "w", options=options)
            self._stream = self._container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001))
        except av.error.FFmpegError as error:
            raise OutputError(f"{part}: PyAV cannot write it ({error})") from None
        self._part = part
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream.codec_context.gop_size = max(1, round(rate))  # what a crash may cost: a second
        # Without B-frames, since a fragmented file that begins with one plays shifted by two frames.
        self._stream.options = {"crf": QUALITY, "preset": "veryfast", "bf": "0"}
        self._last = -1
        self._sound = _Sound.of(av, self._container, result)

    def write(self, frame: Frame, time: float) -> None:
        if self._sound:
            self._sound.copy(time)
        still = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")
        self._last = max(round(time * TICKS), self._last + 1)
        still.pts, still.time_base = self._last, Fraction(1, TICKS)
        self._mux(self._stream.encode(still))

    def _mux(self, packets: Any) -> None:
        try:
            self._container.mux(packets)
        except self._av.error.FFmpegError as error:
            raise OutputError(f"{self._part} cannot be written ({error.strerror.lower()})") from None

    def close(self) -> None:
        if self._sound:
            self._sound.copy(self._last / TICKS + 1 / self._stream.codec_context.framerate)
            self._sound.close()
        self._mux(self._stream.encode(None))
        self._container.close()


class _Sound:
    """The sound of a video, copied as it is beside the frames that are written."""

    def __init__(self, source: Any, container: Any, begin: float) -> None:
        self._source, self._container, self._begin = source, container, begin
        stream = source.streams.audio[0]
        self._stream = container.add_stream_from_template(stream)
        self._packets = (packet for packet in source.demux(stream) if packet.dts is not None)
        self._next = next(self._packets, None)

    @classmethod
    def of(cls, av: Any, container: Any, result: Result) -> _Sound | None:
        """The sound from a result on; None where there is none that the container holds."""
        if result.number is None or not result.source.is_file():
            return None
        try:
            source = av.open(str(result.source))
        except av.error.FFmpegError:
            return None
        try:
            return cls(source, container, result.time) if source.streams.audio else None
        except (av.error.FFmpegError, ValueError):
            say(f"{result.source}: its sound does not fit into the film, which has none")
            return None

    def copy(self, time: float) -> None:
        """Copy what is heard before a time of the new video, in seconds."""
        while self._next is not None:
            begins = float(self._next.dts * self._next.time_base) - self._begin
            if begins >= time:
                return
            if begins >= 0:
                shift = round(self._begin / self._next.time_base)
                self._next.dts -= shift
                self._next.pts = None if self._next.pts is None else self._next.pts - shift
                self._next.stream = self._stream
                self._container.mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        self._source.close()


def _fitted(frame: Frame, size: tuple[int, int]) -> Frame:
    """The frame at the video's size: its last row or column twice where that was odd, between bars where it differs."""
    width, height = size
    tall, wide = frame.shape[:2]
    if (_even(wide), _even(tall)) != size:
        scale = min(width / wide, height / tall)
        inner = max(1, round(wide * scale)), max(1, round(tall * scale))
        frame = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
        bars = top, height - inner[1] - top, left, width - inner[0] - left
        return cv2.copyMakeBorder(frame, *bars, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    if (wide, tall) == size:
        return frame
    return cv2.copyMakeBorder(frame, 0, height - tall, 0, width - wide, cv2.BORDER_REPLICATE)


def _even(side: int) -> int:
    """The next even number: most codecs share a colour among 2 x 2 pixels."""
    return side + side % 2
