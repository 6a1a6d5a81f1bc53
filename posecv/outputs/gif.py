"""Animated GIFs, written by PyAV or Pillow."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from posecv.arrays import Frame
from posecv.errors import OutputError
from posecv.sources.films import pyav

__all__ = ["GifWriter", "can_write_gif"]

TICK = 0.01  # seconds: a GIF's unit of time
SHORTEST = 2  # ticks; browsers slow down what is faster


def can_write_gif() -> bool:
    """Whether one of the packages that write animated GIFs is installed."""
    if pyav():
        return True
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        return False
    return True


class GifWriter:
    """Writes an animated GIF; frames that come faster than 50 a second are left out."""

    aspect = 1.0

    def __init__(self, part: Path, size: tuple[int, int], rate: float) -> None:
        self.size = size
        self._part = part
        self._step = max(SHORTEST, round(1 / rate / TICK))  # of the last frame
        av = pyav()
        self._file: _ByPyAV | _ByPillow = _ByPyAV(av, part, size, self._step) if av else _ByPillow(part)
        self._held: tuple[Frame, int] | None = None  # the newest frame, and when it is shown

    def write(self, frame: Frame, time: float) -> None:
        """Add a frame."""
        at = round(time / TICK)
        if self._held:
            held, begin = self._held
            if at - begin < SHORTEST:
                return
            self._file.add(held, begin, at - begin)
        self._held = frame, at

    def end_sound(self, time: float) -> None:
        """Do nothing: it has no sound."""

    def close(self) -> None:
        """Finish the file."""
        if self._held:
            self._file.add(*self._held, self._step)
        self._file.close()


class _ByPyAV:
    def __init__(self, av: Any, part: Path, size: tuple[int, int], step: int) -> None:
        self._av, self._part = av, part
        try:
            self._container = av.open(os.path.abspath(part), "w", options={"final_delay": str(step)})
            self._stream = self._container.add_stream("gif", rate=Fraction(100, step))
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = "rgb8"
            self._stream.codec_context.time_base = Fraction(1, 100)
        except (av.error.FFmpegError, ValueError) as error:
            raise OutputError(f"{part}: PyAV cannot write it ({error})") from None

    def add(self, frame: Frame, begin: int, length: int) -> None:
        shown = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")
        shown.pts, shown.time_base = begin, Fraction(1, 100)
        self._mux(shown)

    def _mux(self, shown: Any) -> None:
        try:
            self._container.mux(self._stream.encode(shown))
        except self._av.error.FFmpegError as error:
            raise OutputError(f"{self._part} cannot be written ({error.strerror.lower()})") from None

    def close(self) -> None:
        self._mux(None)
        try:
            self._container.close()
        except self._av.error.FFmpegError as error:
            raise OutputError(f"{self._part} cannot be finished ({error.strerror.lower()})") from None


class _ByPillow:
    """Keeps all frames, with 256 colours each: Pillow writes a file at once."""

    def __init__(self, part: Path) -> None:
        self._part = part
        self._frames: list[Any] = []
        self._lengths: list[int] = []

    def add(self, frame: Frame, begin: int, length: int) -> None:
        from PIL import Image

        self._frames.append(Image.fromarray(np.ascontiguousarray(frame[..., ::-1])).quantize(256))
        self._lengths.append(length * 10)

    def close(self) -> None:
        if self._frames:
            first, *others = self._frames
            first.save(self._part, "GIF", save_all=True, append_images=others, duration=self._lengths, loop=0)
