"""Animated images and images of several pages; frames of those that FFmpeg cannot read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.sources import Still
from posecv.sources.selection import Selection
from posecv.terminal import quiet_stderr

__all__ = ["Page", "animation_frames", "is_animated", "needs_pillow", "pages"]

HEADER = 1 << 10  # bytes
_LENGTHS = 2  # of images in a GIF that make an animation


def is_animated(path: Path) -> bool:
    """Whether a file is an image with more than one frame: GIF, APNG, WebP or AVIF."""
    if not os.path.isfile(path):  # what is read from a pipe is lost
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
            if head.startswith(b"GIF8"):
                return _gif_is_animated(file)
            if head.startswith(b"\x89PNG"):
                return _png_is_animated(file)
            if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
                return bool(head[20] & 2)
            return head[4:8] == b"ftyp" and b"avis" in head[8 : int.from_bytes(head[:4], "big")]
    except (OSError, IndexError):
        return False


def _gif_is_animated(file: BinaryIO) -> bool:
    """Whether a GIF has two images: skip its blocks by their lengths."""
    file.seek(10)
    flags = file.read(3)[0]
    file.seek(13 + _colours(flags))
    images = 0
    while (kind := file.read(1)) in (b",", b"!"):
        if kind == b",":
            images += 1
            if images == _LENGTHS:
                return True
            file.seek(8, 1)
            file.seek(_colours(file.read(1)[0]) + 1, 1)
        else:
            file.seek(1, 1)
        while length := file.read(1)[0]:
            file.seek(length, 1)
    return False


def _colours(flags: int) -> int:
    """Bytes of the table of colours that a GIF's flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


def _png_is_animated(file: BinaryIO) -> bool:
    """Whether a PNG tells of several frames before its first image."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        if head[4:] == b"acTL":
            return int.from_bytes(file.read(4), "big") > 1
        if head[4:] == b"IDAT":
            return False
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def needs_pillow(path: Path, has_av: bool) -> bool:
    """Whether FFmpeg cannot read an animated image: WebP, and AVIF without PyAV."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        return False
    return head[8:12] == b"WEBP" or (not has_av and head[4:8] == b"ftyp" and b"avis" in head)


def animation_frames(path: Path) -> Iterator[tuple[float, Frame]]:
    """The frames of an animated image and for how many seconds each is shown, by Pillow or OpenCV.

    Raises
    ------
    InputError
        If it is damaged, or neither can read it.
    """
    try:
        from PIL import Image
    except ImportError:
        yield from _by_opencv(path)
        return
    try:
        with Image.open(path) as image:
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                pixels = np.asarray(image.convert("RGB"))
                yield image.info.get("duration", 100) / 1000, np.ascontiguousarray(pixels[..., ::-1])
    except (OSError, ValueError, SyntaxError, EOFError):
        raise InputError(f"{path}: the image is damaged, or this Pillow cannot read its format") from None


def _by_opencv(path: Path) -> Iterator[tuple[float, Frame]]:
    if not hasattr(cv2, "imreadanimation"):
        raise InputError(f"{path}: an animated image, which OpenCV {cv2.__version__} cannot read; pip install pillow")
    with quiet_stderr():
        read, animation = cv2.imreadanimation(str(path))
    if not read:
        raise InputError(f"{path}: the image is damaged, or this OpenCV cannot read its format; pip install pillow")
    for duration, frame in zip(animation.durations, animation.frames, strict=False):
        yield float(duration) / 1000, np.ascontiguousarray(frame[..., :3], np.uint8)


def pages(path: Path) -> int:
    """How many pages a TIFF has; 1 for other files."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 1
    with quiet_stderr():
        try:
            return max(1, cv2.imcount(str(path)))
        except cv2.error:
            return 1


@dataclass(frozen=True)
class Page:
    """A page of a TIFF, as a source.

    Attributes
    ----------
    file : Path
        The file.
    index : int
        The page, from 0.
    selection : Selection
        How to rotate and flip it.
    live : bool
        False: a file can wait.
    has_frames : bool
        False: it is a single image.
    """

    file: Path
    index: int
    selection: Selection
    live: bool = False
    has_frames: bool = False

    @property
    def path(self) -> Path:
        """The name in results and messages: `scan_page2.tif`."""
        return self.file.with_name(f"{self.file.stem}_page{self.index + 1}{self.file.suffix}")

    def expected(self) -> int:
        """One."""
        return 1

    def stills(self) -> Iterator[Still]:
        """The page; InputError if it is damaged."""
        with quiet_stderr():
            try:
                read, frames = cv2.imreadmulti(str(self.file), self.index, 1, flags=cv2.IMREAD_COLOR)
            except cv2.error:
                read, frames = False, ()
        if not read or not frames:
            raise InputError(f"{self.path}: the page is damaged, or this OpenCV cannot read its format")
        yield Still(self.selection.turned(frames[0].astype(np.uint8, copy=False)), self.path)
