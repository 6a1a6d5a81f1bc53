"""The sound of drawn videos: copied from the source where the new format can hold it, otherwise converted to AAC."""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from posecv.arrays import Array
from posecv.errors import OutputError, reason
from posecv.result import Result
from posecv.sources.clock import Unbroken, is_broadcast, longest_gap
from posecv.sources.films import zero_of
from posecv.terminal import say

__all__ = ["Sound", "SoundError", "seems_to_sound", "sounds_of"]

# What each format holds in every player, and FFmpeg's fragments without looking at the first packets.
COPIED = {".mp4": ("aac", "mp3"), ".mov": ("aac", "mp3"), ".mkv": ("aac", "mp3", "opus", "vorbis", "flac")}
HEADER = 8 << 20  # bytes in which a file's header is looked for
SOUND = re.compile(rb"hdlr.{8}soun|strh.{4}auds|\x86[\x83-\xbf]A_[A-Z]{3}", re.DOTALL)
AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
RATE = 48000  # samples per second, where AAC does not have the source's
BLOCK = 1024  # samples in a frame of AAC
SLACK = 0.01  # seconds by which the sound's own times may differ from the number of samples
FRAMES = 25.0  # pictures per second, if the source does not tell
BACK = 0.5  # seconds; a clock that goes back further begins again
WAITING = 1000  # packets of sound that wait for the pictures to begin again too
DISK = {errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT}


class SoundError(Exception):
    """This sound cannot be written in this way."""


class Sound(Protocol):
    """Sound on its way into a new video."""

    def copy(self, time: float) -> None:
        """Write the sound up to a time of the new video, in seconds."""

    def close(self) -> None:
        """Write what is left up to that time, and close the source."""


def seems_to_sound(path: Path) -> bool:
    """Whether a file's header names sound, for those who have no PyAV to ask; False where none is found.

    Source: the handlers of MP4 ("hdlr", "soun"), the streams of AVI ("strh", "auds"), the codecs of Matroska ("A_...").
    """
    try:
        with path.open("rb") as file:
            begin = file.read(HEADER)
            file.seek(max(HEADER, file.seek(0, os.SEEK_END) - HEADER))  # MP4 may have its header at the end
            return SOUND.search(begin) is not None or SOUND.search(file.read(HEADER)) is not None
    except OSError:
        return False


def sounds_of(av: Any, suffix: str, result: Result) -> Iterator[tuple[str, Any]]:
    """The ways to write the sound of a result's video, best first: their names, and functions of the new container.

    Each function raises an error of FFmpeg or `SoundError` if the container does not take the sound; then the next way
    needs a new container. The last way is no sound.
    """
    if _has_sound(av, result):
        yield "copy", lambda container: _Copied(av, container, suffix, result)
        yield "convert", lambda container: _Converted(av, container, result)
        say(f"{result.source}: the new video has no sound, because the original's cannot be read or converted")
    yield "silence", lambda container: None


def _has_sound(av: Any, result: Result) -> bool:
    """Whether the video that a result comes from has sound."""
    if result.number is None or not result.source.is_file():
        return False
    try:
        with av.open(os.path.abspath(result.source)) as source:
            return bool(source.streams.audio)
    except (av.error.FFmpegError, ValueError):
        return False


class _Source:
    """The packets of a source's sound, with their times in the new video."""

    def __init__(self, av: Any, result: Result) -> None:
        self.path = result.source
        self.container = av.open(os.path.abspath(result.source))
        self.stream = self.container.streams.best("audio") or self.container.streams.audio[0]
        if self.stream.codec_context is None:
            self.container.close()
            raise SoundError("FFmpeg does not know this sound")
        self._video = self.container.streams.best("video")
        self._begin = (zero_of(self._video) if self._video else 0.0) + result.time
        self._error = av.error.FFmpegError

    def packets(self) -> Iterator[tuple[float, Any]]:
        """The packets and when they are heard; damaged ones are left out."""
        name = self.container.format.name
        if self._video and is_broadcast(name):
            rate = float(self._video.guessed_rate or 0) or FRAMES
            joined = _Joined(self.stream.index, longest_gap(name), 1 / rate)
            for time, packet in joined.moved(self._demuxed(self._video)):
                yield time - self._begin, packet
        else:
            move = Unbroken(longest_gap(name))
            for packet in self._demuxed():
                yield move(_stamp(packet)) - self._begin, packet

    def _demuxed(self, *more: Any) -> Iterator[Any]:
        """The packets of the sound, and of other streams, that have a time stamp."""
        packets = self.container.demux(self.stream, *more)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, self._error):
                return
            if packet.dts is not None:
                yield packet


def _stamp(packet: Any) -> float:
    return float(packet.dts * packet.time_base)


class _Joined:
    """Moves the sound of joined recordings as far as their pictures are moved, although one is longer than the other.

    Each time a clock begins again is a new part; the pictures tell how far it is moved.
    """

    def __init__(self, sound: int, longest: float, step: float) -> None:
        self._sound, self._longest, self._step = sound, longest, step
        self._last: dict[int, float] = {}  # the last stamp of each stream
        self._part: dict[int, int] = {}  # and its part
        self._shifts = [0.0]
        self._waiting: deque[tuple[int, Any]] = deque()
        self._heard = 0.0

    def moved(self, packets: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        """The packets of the sound with their moved times, in seconds."""
        for packet in packets:
            self._take(packet)
            if len(self._waiting) > WAITING:
                self._go_on()
            yield from self._ready()
        while self._waiting:
            self._go_on()
            yield from self._ready()

    def _take(self, packet: Any) -> None:
        stream, stamp = packet.stream.index, _stamp(packet)
        last = self._last.get(stream, stamp)
        if not last - BACK <= stamp <= last + self._longest:
            self._part[stream] = self._part.get(stream, 0) + 1
            if stream != self._sound and self._part[stream] == len(self._shifts):
                self._shifts.append(last + self._shifts[-1] + self._step - stamp)
        self._last[stream] = stamp
        if stream == self._sound:
            self._waiting.append((self._part.get(stream, 0), packet))

    def _ready(self) -> Iterator[tuple[float, Any]]:
        """The packets of parts whose shift is known."""
        while self._waiting and self._waiting[0][0] < len(self._shifts):
            part, packet = self._waiting.popleft()
            self._heard = _stamp(packet) + self._shifts[part]
            yield self._heard, packet

    def _go_on(self) -> None:
        """The pictures do not begin again: the sound goes on from where it was."""
        self._shifts.append(self._heard + self._step - _stamp(self._waiting[0][1]))


class _Written:
    """What both ways of writing have in common: an error of the sound ends the sound, not the video."""

    def __init__(self, av: Any, container: Any, path: Path) -> None:
        self._error, self._container, self._path = av.error.FFmpegError, container, path
        self._over = False

    def _mux(self, packet: Any) -> None:
        try:
            self._container.mux(packet)
        except self._error as error:
            if error.errno in DISK:
                raise OutputError(f"{self._container.name} cannot be written ({error.strerror.lower()})") from None
            self._end(error)

    def _end(self, error: Exception) -> None:
        self._over = True
        said = reason(error) if isinstance(error, OSError) else str(error)
        say(f"{self._path}: the sound of the new video ends early ({said})")


class _Copied(_Written):
    """Sound that is copied as it is."""

    def __init__(self, av: Any, container: Any, suffix: str, result: Result) -> None:
        super().__init__(av, container, result.source)
        self._source = _Source(av, result)
        stream = self._source.stream
        if not _can_be_copied(stream, suffix):
            self._source.container.close()
            raise SoundError(f"{suffix} cannot hold {stream.codec_context.name}")
        self._stream = container.add_stream_from_template(stream)
        self._packets = self._source.packets()
        self._next = next(self._packets, None)
        self._last: int | None = None

    def copy(self, time: float) -> None:
        while self._next is not None and not self._over:
            at, packet = self._next
            if at >= time:
                return
            dts = round(at / packet.time_base)
            if at >= 0 and (self._last is None or dts > self._last):
                delay = 0 if packet.pts is None else packet.pts - packet.dts
                self._last = packet.dts = dts
                packet.pts = dts + delay
                packet.stream = self._stream
                self._mux(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        self._source.container.close()


def _can_be_copied(stream: Any, suffix: str) -> bool:
    """Whether a format holds a sound as it is; AAC of transport streams has its header in every packet instead."""
    codec = stream.codec_context
    name = codec.name.removeprefix("lib").removesuffix("float")  # of the decoder: mp3float, libopus
    return name in COPIED.get(suffix, ()) and (name != "aac" or len(codec.extradata or b"") >= 2)


class _Converted(_Written):
    """Sound that is decoded and encoded again, as AAC."""

    def __init__(self, av: Any, container: Any, result: Result) -> None:
        super().__init__(av, container, result.source)
        self._av = av
        self._source = _Source(av, result)
        codec = self._source.stream.codec_context
        self._rate = codec.sample_rate if codec.sample_rate in AAC_RATES else RATE
        layout = {1: "mono", 6: "5.1"}.get(codec.channels, "stereo")
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=self._rate)
        self._stream = container.add_stream("aac", rate=self._rate)
        self._stream.codec_context.layout = self._layout = layout
        self._frames = self._decoded()
        self._next = next(self._frames, None)
        if self._next is None:
            self._source.container.close()
            raise SoundError("no part of it can be decoded")
        self._samples: list[Array] = []  # decoded, not encoded yet
        self._waiting = 0  # how many
        self._place = 0  # of the first of them in the new video

    def _decoded(self) -> Iterator[tuple[float, Array]]:
        """Blocks of samples (channels, n) and when they are heard, without those before the new video."""
        for at, packet in self._source.packets():
            dts = packet.dts
            try:
                for frame in packet.decode():
                    stamp = 0 if frame.pts is None else frame.pts * frame.time_base - dts * packet.time_base
                    begins = at + float(stamp)
                    for piece in self._resampler.resample(frame):
                        samples = piece.to_ndarray()
                        yield begins, samples
                        begins += samples.shape[1] / self._rate
            except (self._error, ValueError):
                continue

    def copy(self, time: float) -> None:
        while self._next is not None and not self._over:
            at, samples = self._next
            if at >= time:
                return
            self._add(at, samples)
            self._next = next(self._frames, None)

    def _add(self, at: float, samples: Array) -> None:
        """Queue samples at their place: silence fills a gap, and what comes twice is cut."""
        gap = round(at * self._rate) - (self._place + self._waiting)
        if abs(gap) <= SLACK * self._rate and self._place + self._waiting:
            gap = 0
        self._queue(np.zeros((len(samples), max(gap, 0)), np.float32))
        self._queue(samples[:, max(-gap, 0) :])
        while self._waiting >= BLOCK and not self._over:
            self._encode(BLOCK)

    def _queue(self, samples: Array) -> None:
        if samples.shape[1]:
            self._samples.append(samples)
            self._waiting += samples.shape[1]

    def _encode(self, count: int) -> None:
        """Encode the first samples in the queue."""
        samples = np.concatenate(self._samples, axis=1)
        frame = self._av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, :count], np.float32), format="fltp", layout=self._layout
        )
        frame.sample_rate, frame.pts = self._rate, self._place
        self._place += count
        self._samples, self._waiting = [samples[:, count:]], samples.shape[1] - count
        self._write(frame)

    def _write(self, frame: Any) -> None:
        try:
            packets = self._stream.encode(frame)
        except self._error as error:
            self._end(error)
            return
        for packet in packets:
            if packet.pts >= 0:  # the encoder begins with a block of its own
                self._mux(packet)

    def close(self) -> None:
        if not self._over:
            if self._waiting:
                self._encode(self._waiting)
            self._write(None)
        self._source.container.close()
