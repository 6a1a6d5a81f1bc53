"""Drawn videos, written by PyAV if it is installed (H.264, exact times, sound), otherwise by OpenCV.

A video is written as NAME.part.EXT and renamed when it is complete. Whether an unfinished one plays depends on its
format: AVI, WebM, Matroska and PyAV's MP4, which is written in fragments, play up to their end; OpenCV's MP4 does not
play at all.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.checks import check_number, checked_path, known_arguments
from posecv.drawing.style import Style
from posecv.errors import OutputError, UsageError, reason
from posecv.files import Owner, put_in_place
from posecv.outputs.files import Kind, is_filled
from posecv.outputs.gif import GifWriter, can_write_gif
from posecv.outputs.growing import part_of
from posecv.outputs.sound import Sound, SoundError, seems_to_sound, sounds_of
from posecv.result import Result
from posecv.sources.films import is_unicode, pyav
from posecv.terminal import quiet_stderr, say

__all__ = ["CODECS", "KIND", "DrawnFilm", "check_codec", "default_suffix"]

# The codecs of each suffix; the first that works is used. H.264 needs PyAV: OpenCV's wheels cannot write it, and their
# mp4v does not play in browsers.
CODECS = {
    ".mp4": ("h264", "mp4v"),
    ".avi": ("mjpg", "xvid"),
    ".webm": ("vp8", "vp9"),
    ".mkv": ("h264", "mjpg", "vp8"),
    ".mov": ("h264", "mjpg"),
    ".gif": ("gif",),
}
FOURCC = {"mp4v": "mp4v", "mjpg": "MJPG", "xvid": "XVID", "vp8": "VP80", "vp9": "VP90", "ffv1": "FFV1"}
KIND = Kind("output", ending="_pose", suffixes=frozenset(CODECS))
LATE = 0.75  # frames by which a frame may come late or early before another one is repeated or skipped
RATE = 25.0  # frames per second, if the source has no rate
CHECKED = 100  # frames between two checks of the disk space
LEAST_FREE = 1 << 20  # bytes
ARRIVED = 0.9  # a complete file's header lists at least this share of the frames; some formats count by time
TICKS = 90_000  # per second, in PyAV's videos: divisible by all common frame rates
QUALITY = "20"  # of H.264: 0 is lossless, 23 the default


class _Writer(Protocol):
    """Writes frames of the same size to a file.

    Attributes
    ----------
    size : (int, int)
        Width and height of the frames.
    aspect : float
        The width of their pixels divided by the height.
    """

    size: tuple[int, int]
    aspect: float

    def write(self, frame: Frame, time: float) -> None:
        """Add a frame that is shown from `time` on, in seconds."""

    def end_sound(self, time: float) -> None:
        """Write the sound up to a time, and no more: what follows is of another source."""

    def close(self) -> None:
        """Finish the file."""


def default_suffix() -> str:
    """The suffix of videos in a folder: one that browsers play if PyAV is installed, otherwise the safest one."""
    return ".mp4" if pyav() else ".avi"


class DrawnFilm:
    """Draws the people on copies of the frames and writes a video with its source's rate and size.

    Parameters
    ----------
    path : str or Path
        The file; its suffix determines the format.
    codec : str or None
        One of `CODECS` or four characters; by default the first of the format's codecs that is installed.
    style : Style
        How people are drawn.
    rate : float
        Images per second, if the video is made of images; videos keep their own rate.
    only_whole : bool
        Whether the video keeps its unfinished name if the run is stopped before its end, so that a resumed run makes
        it again.
    """

    wants_view = interactive = False
    wants_rate = True

    @known_arguments
    def __init__(
        self, path: str | Path, codec: str | None = None, style: Style | None = None, *, rate: float = RATE,
        only_whole: bool = False,
    ) -> None:  # fmt: skip
        self.path, self.codec, self.style, self.rate = checked_path(path), codec, style or Style(), rate
        check_number("rate", rate)
        if self.path.suffix.lower() not in CODECS:
            raise UsageError(f"{path} is not the name of a video; give a file that ends in {', '.join(CODECS)}")
        self._only_whole = only_whole
        self._writer: _Writer | None = None
        self._times = _Times()
        self._whole = True
        self._owner: Owner | None = None
        self._there = is_filled(self.path)

    def write(self, result: Result) -> None:
        """Add a frame; OutputError if that fails."""
        drawn = self.style.drawn(result)
        has_rate = result.rate > 0
        result = result if has_rate else replace(result, rate=self.rate)
        try:
            if self._writer is None:
                self._owner = self._owner or Owner(part_of(self.path))
                self._writer = _opened(part_of(self.path), drawn, result, self._codecs(), follows_times=has_rate)
            time = self._times.of(result)
            if self._times.is_new_source:
                self._writer.end_sound(time)
            square = _stretched(drawn, result.aspect / self._writer.aspect)
            self._writer.write(_fitted(square, self._writer.size), time)
        except OSError as error:
            self._whole = False
            raise OutputError(f"{part_of(self.path)} cannot be written ({reason(error)})") from None
        except OutputError:
            self._whole = False
            raise

    def has(self, number: int | None) -> bool:
        """Whether the video exists; it exists only when it is complete."""
        return self._there

    def _codecs(self) -> Sequence[str]:
        if self.codec:
            return (self.codec,)
        return CODECS[self.path.suffix.lower()]

    def close(self) -> None:
        """Finish the video and rename it; after an error it keeps its unfinished name."""
        try:
            self._finish()
        finally:
            if self._owner:
                self._owner.release()

    def _finish(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        part = part_of(self.path)
        try:
            writer.close()
            if self._whole:
                put_in_place(part, self.path)
        except OSError as error:
            raise OutputError(f"{part} cannot be finished ({reason(error)})") from None

    def cut_off(self) -> None:
        """Note that the run was stopped, so that frames are missing at the end."""
        if self._only_whole:
            self._whole = False

    def __enter__(self) -> DrawnFilm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Times:
    """When results are shown in a video: those of a source as in the source, those of the next one after them."""

    def __init__(self) -> None:
        self.is_new_source = False  # whether the last result is the first of a second or later video
        self._source: Path | None = None
        self._begin = 0.0  # what is subtracted from the source's times
        self._last: float | None = None
        self._step = 0.0

    def of(self, result: Result) -> float:
        """The time of a result in seconds."""
        time = 0.0 if self._last is None else self._last + self._step
        self.is_new_source = self._last is not None and result.source != self._source
        if result.number is not None and result.source == self._source:
            time = max(result.time - self._begin, self._last or 0.0)
        self._begin = result.time - time if result.source != self._source else self._begin
        self._source, self._last, self._step = result.source, time, 1 / result.rate
        return time


def check_codec(path: Path, codec: str | None) -> None:
    """Raise UsageError if a video with that name cannot be written here."""
    av = pyav()
    if path.suffix.lower() == ".gif":
        if codec not in (None, "gif"):
            raise UsageError(f"codec={codec}: a .gif has no codec but its own; omit it, or choose .avi")
        if not can_write_gif():
            raise UsageError(f"{path}: an animated GIF needs Pillow or PyAV; pip install pillow, or choose .avi")
        return
    for name in [codec] if codec else CODECS[path.suffix.lower()]:
        if name == "h264" and not av:
            continue
        if name == "h264" or name in FOURCC or len(name) == 4:
            return
        raise UsageError(f"codec={name}: use one of {', '.join(['h264', *FOURCC])}, or any four characters (FourCC)")
    raise UsageError(f"{path}: h264 needs PyAV; pip install av, or choose another codec or .avi")


def _opened(
    part: Path, drawn: Frame, result: Result, codecs: Sequence[str], *, follows_times: bool
) -> _Writer:
    """A writer for frames like the drawn one, with the first codec that works here."""
    part.parent.mkdir(parents=True, exist_ok=True)
    rate = result.rate
    av = pyav()
    for codec in codecs:
        if codec == "h264":
            if av:
                return _AvWriter(av, part, _even_size(drawn), rate, result)
            continue
        size = _even_size(_stretched(drawn, result.aspect))
        if codec == "gif" and can_write_gif():
            return GifWriter(part, size, rate)
        writer = _OpenCvWriter.opened(part, size, rate, codec, follows_times=follows_times)
        if writer:
            _tell(part.suffix.lower(), result.number is not None and seems_to_sound(result.source))
            return writer
    raise OutputError(f"{part}: OpenCV cannot write {part.suffix} with {' or '.join(codecs)} here; try .avi")


@cache
def _tell(suffix: str, silenced: bool) -> None:
    """Print, once, what a video written by OpenCV lacks."""
    lacks = ["it does not play in browsers, or before it is finished"] if suffix in (".mp4", ".mov") else []
    lacks += ["it lacks the original's sound"] if silenced else []
    if lacks:
        better = ".mp4 is better" if pyav() else ".mp4 with PyAV is better: pip install av"
        say(f"OpenCV writes the {suffix}: {'; '.join(lacks)} ({better})")


class _OpenCvWriter:
    """OpenCV's writer; it reports no errors, so the disk and the file are checked.

    It writes a constant rate: frames are repeated or skipped where the source has another one, unless it tells no rate.
    """

    aspect = 1.0

    def __init__(
        self, part: Path, writer: cv2.VideoWriter, size: tuple[int, int], rate: float, *, follows_times: bool
    ) -> None:
        self.size, self._follows_times = size, follows_times
        self._part, self._writer, self._rate = part, writer, rate
        self._written = 0
        self._held: Frame | None = None

    @classmethod
    def opened(
        cls, part: Path, size: tuple[int, int], rate: float, codec: str, *, follows_times: bool
    ) -> _OpenCvWriter | None:
        """A writer, or None if OpenCV does not have that codec."""
        if not is_unicode(part):  # OpenCV crashes
            raise OutputError(f"{part}: OpenCV cannot write this name, which is not UTF-8; choose another one")
        fourcc = cv2.VideoWriter.fourcc(*FOURCC.get(codec, codec))
        with quiet_stderr():  # FFmpeg comments on its own tags
            writer = cv2.VideoWriter(os.path.abspath(part), cv2.CAP_FFMPEG, fourcc, rate, size)
        return cls(part, writer, size, rate, follows_times=follows_times) if writer.isOpened() else None

    def write(self, frame: Frame, time: float) -> None:
        behind = time * self._rate - self._written if self._follows_times else 0.0
        if self._held is not None:
            for _ in range(math.floor(behind + 1 - LATE)):
                self._add(self._held)
        if behind > -LATE:
            self._add(frame)
        self._held = frame

    def _add(self, frame: Frame) -> None:
        self._writer.write(frame)
        self._written += 1
        if self._written % CHECKED == 0 and shutil.disk_usage(self._part.parent).free < LEAST_FREE:
            raise OutputError(f"{self._part}: the disk is full")

    def end_sound(self, time: float) -> None:
        pass

    def close(self) -> None:
        self._writer.release()
        capture = cv2.VideoCapture(os.path.abspath(self._part), cv2.CAP_FFMPEG)
        arrived = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if arrived < ARRIVED * self._written:
            told = f"its header lists {max(arrived, 0)} of {self._written} frames"
            raise OutputError(f"{self._part} cannot be finished: {told}; is the disk full?")


class _AvWriter:
    """PyAV's writer: H.264 in fragments, with the frames' exact times and the source's sound."""

    def __init__(self, av: Any, part: Path, size: tuple[int, int], rate: float, result: Result) -> None:
        self.size, self.aspect = size, result.aspect
        self._av, self._part, self._rate = av, part, rate
        self._last, self._count = -1, 0
        # A container whose header failed cannot be used any more, so each way to write the sound gets a new one.
        for way, add in sounds_of(av, part.suffix.lower(), result):
            try:
                self._container = self._opened(add)
            except (av.error.FFmpegError, ValueError, SoundError) as error:
                if way == "silence":
                    raise OutputError(f"{part}: PyAV cannot write it ({error})") from None
                continue
            return

    def _opened(self, add_sound: Callable[[Any], Sound | None]) -> Any:
        """A container with a picture and sound, after its header has been written."""
        options = {"flush_packets": "1"}  # otherwise a small video stays in FFmpeg's buffer until the end
        if self._part.suffix.lower() != ".mkv":
            options["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
        container = self._av.open(os.path.abspath(self._part), "w", options=options)
        try:
            self._stream = self._added(container)
            self._sound = add_sound(container)
            container.start_encoding()
        except BaseException:
            container.close()
            raise
        return container

    def _added(self, container: Any) -> Any:
        """The picture's stream in a container."""
        stream = container.add_stream("libx264", rate=Fraction(self._rate).limit_denominator(1001))
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.gop_size = max(1, round(self._rate))  # a crash loses at most one second
        if self.aspect != 1:
            stream.codec_context.sample_aspect_ratio = Fraction(self.aspect).limit_denominator(255)
        # No B-frames: a fragmented file that begins with one plays shifted by two frames.
        stream.options = {"crf": QUALITY, "preset": "veryfast", "bf": "0"}
        return stream

    def write(self, frame: Frame, time: float) -> None:
        if self._sound:
            self._sound.copy(time)
        still = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")
        self._last = max(round(time * TICKS), self._last + 1)
        still.pts, still.time_base = self._last, Fraction(1, TICKS)
        self._mux(self._stream.encode(still))
        self._count += 1

    def end_sound(self, time: float) -> None:
        if self._sound:
            self._sound.copy(time)
            self._sound.close()
            self._sound = None
            say(f"{self._part}: only the first video's sound is written")

    def _mux(self, packets: Any) -> None:
        try:
            self._container.mux(packets)
        except self._av.error.FFmpegError as error:
            raise OutputError(f"{self._part} cannot be written ({error.strerror.lower()})") from None

    def close(self) -> None:
        if self._sound:
            self._sound.copy(self._last / TICKS + 1 / self._rate)
            self._sound.close()
        try:
            self._mux(self._stream.encode(None))
        except OutputError:
            with contextlib.suppress(self._av.error.FFmpegError):
                self._container.close()
            raise
        try:
            self._container.close()
        except self._av.error.FFmpegError as error:
            raise OutputError(f"{self._part} cannot be finished ({error.strerror.lower()})") from None
        self._check()

    def _check(self) -> None:
        """Count the frames in the file: FFmpeg does not report when its last bytes find no place on the disk."""
        arrived = 0
        try:
            with self._av.open(os.path.abspath(self._part)) as container:
                packets = container.demux(container.streams.video[0])
                arrived = sum(packet.size > 0 and not packet.is_corrupt for packet in packets)
        except (self._av.error.FFmpegError, IndexError):
            pass
        if arrived < self._count:
            told = f"it has {arrived} of {self._count} frames"
            raise OutputError(f"{self._part} cannot be finished: {told}; is the disk full?")


def _fitted(frame: Frame, size: tuple[int, int]) -> Frame:
    """The frame in the video's size: an odd row or column is repeated, another size is scaled between black bars."""
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


def _stretched(frame: Frame, aspect: float) -> Frame:
    """A frame whose pixels were `aspect` times as wide as high, with square pixels; it becomes larger, not smaller."""
    if abs(aspect - 1) < 0.005:
        return frame
    tall, wide = frame.shape[:2]
    size = (round(wide * aspect), tall) if aspect > 1 else (wide, round(tall / aspect))
    return cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _even_size(frame: Frame) -> tuple[int, int]:
    return _even(frame.shape[1]), _even(frame.shape[0])


def _even(side: int) -> int:
    """The next even number: most codecs store one colour for 2 x 2 pixels."""
    return side + side % 2
