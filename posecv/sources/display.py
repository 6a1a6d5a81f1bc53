"""How the frames of a video are shown: turned, mirrored, with pixels that are not square."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from posecv.arrays import Frame

__all__ = ["UPRIGHT", "Turn", "pixel_aspect", "turn_in_header"]

_TURNS = {(True, False): cv2.ROTATE_90_CLOCKWISE, (False, True): cv2.ROTATE_90_COUNTERCLOCKWISE}
_BOXES_WITH_BOXES = (b"moov", b"trak", b"mdia")


@dataclass(frozen=True)
class Turn:
    """One of the eight ways in which a frame can lie: first swap x and y, then mirror.

    Attributes
    ----------
    swapped : bool
        Whether rows become columns.
    left_right, upside_down : bool
        Whether the frame is mirrored then.
    """

    swapped: bool = False
    left_right: bool = False
    upside_down: bool = False

    @classmethod
    def of(cls, a: int, b: int, c: int, d: int) -> Turn:
        """From a display matrix that takes x, y to a x + c y, b x + d y.

        >>> Turn.of(0, 1, -1, 0)
        Turn(swapped=True, left_right=True, upside_down=False)
        """
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def __call__(self, frame: Frame) -> Frame:
        """The frame as it is shown."""
        mirrored = self.left_right, self.upside_down
        if self.swapped and mirrored in _TURNS:
            return cv2.rotate(frame, _TURNS[mirrored]).astype(np.uint8, copy=False)
        if self.swapped:
            frame = cv2.transpose(frame).astype(np.uint8, copy=False)
        if any(mirrored):
            frame = cv2.flip(frame, -1 if all(mirrored) else int(self.left_right)).astype(np.uint8, copy=False)
        return frame


UPRIGHT = Turn()


def pixel_aspect(width: float, height: float) -> float:
    """The width of a pixel divided by its height; 1 if the header tells none or nonsense."""
    aspect = width / height if width > 0 and height > 0 else 1.0
    return aspect if 0.1 <= aspect <= 10 else 1.0


def turn_in_header(path: Path) -> Turn | None:
    """The turn that the header of an MP4 or MOV file asks for; None for other files."""
    try:
        with path.open("rb") as file:
            if file.read(12)[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return None
            file.seek(0, 2)
            return _turn(file, file.tell())
    except (OSError, struct.error):
        return None


def _turn(file: BinaryIO, size: int) -> Turn | None:
    """The turn of the first video track."""
    matrix: tuple[int, ...] = ()
    for name, begin, _ in _boxes(file, 0, size):
        if name == b"tkhd":
            file.seek(begin)
            version = file.read(1)[0]
            file.seek(begin + (52 if version else 40))
            matrix = struct.unpack(">9i", file.read(36))
        elif name == b"hdlr":
            file.seek(begin + 8)
            if file.read(4) == b"vide" and matrix:
                a, b, _, c, d = matrix[:5]
                return Turn.of(a, b, c, d) if a or b else UPRIGHT
    return None


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of an MP4 file in order, also those inside others: name, begin and end of the content."""
    while begin + 8 <= end:
        file.seek(begin)
        length, name = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:
            length, header = struct.unpack(">Q", file.read(8))[0], 16
        stop = end if length == 0 else min(begin + length, end)
        if stop < begin + header:
            return
        yield name, begin + header, stop
        if name in _BOXES_WITH_BOXES:
            yield from _boxes(file, begin + header, stop)
        begin = stop
