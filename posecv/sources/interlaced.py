"""Whether OpenCV decodes a video but does not convert its frames.

FFmpeg in OpenCV 4.13 to 5.0 refuses to convert interlaced frames to BGR; OpenCV ignores that and hands out whatever its
memory holds: black, or frames of another video. Interlaced are recordings of camcorders, DVDs and television.

The encoded packets tell whether frames may be interlaced; then frames that never change are not those of the video.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.terminal import quiet_stderr

__all__ = ["LINE", "MAY_FAIL", "is_progressive", "loses_frames", "loses_frames_at"]

MAY_FAIL = tuple(int(part) for part in cv2.__version__.split(".")[:2]) >= (4, 13)
LINE = f"interlaced, which OpenCV {cv2.__version__} cannot read"
PACKETS = 60  # encoded packets that are looked at
AROUND = 16  # packets before and after a frame that are looked at
READ = 100  # frames that are compared at most, if all of them are equal
SMALL = 200, 0.03  # bytes, and share of the largest: packets of frames in which nothing changes are smaller

_PROGRESSIVE = frozenset({"mjpg", "vp80", "vp90", "av01", "ffv1", "gif", "png"})
_MPEG = "mpg1", "mpg2", "mpeg", "m2v", "mpgv"
_H264 = frozenset({"h264", "avc1", "x264"})
_UNIT = re.compile(rb"\0\0\x01(?=(.))", re.DOTALL)


def is_progressive(capture: cv2.VideoCapture) -> bool:
    """Whether the codec has no interlaced frames; others may, and mostly have not."""
    return _codec(capture) in _PROGRESSIVE


def loses_frames(address: str | Path) -> bool:
    """Whether OpenCV does not convert the frames of a video or stream."""
    address = os.path.abspath(address) if isinstance(address, Path) else address
    codec, packets = _packets(address)
    if codec.startswith(_MPEG):
        return any(map(_has_interlaced_picture, packets))
    if codec in _H264:
        return any(map(_may_have_fields, packets)) and _never_change(address)
    sizes = [len(packet) for packet in packets]
    changes = bool(sizes) and median_low(sizes) > max(SMALL[0], SMALL[1] * max(sizes))
    return changes and _never_change(address)


def loses_frames_at(address: str | Path, number: int) -> bool:
    """Whether OpenCV does not convert the frames around one that equals the frame before; it reads up to there."""
    address = os.path.abspath(address) if isinstance(address, Path) else address
    codec, packets = _packets(address, number + AROUND)
    near = packets[max(0, number - AROUND) :]
    if codec.startswith(_MPEG):
        return any(map(_has_interlaced_picture, near))
    if codec in _H264:
        last = next((packet for packet in reversed(packets) if _has_parameters(packet)), b"")
        return _may_have_fields(last)
    return False


def _codec(capture: cv2.VideoCapture) -> str:
    name = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
    return name.rstrip(b"\0 ").decode("latin-1").lower()


def _packets(address: str, count: int = PACKETS) -> tuple[str, list[bytes]]:
    """The codec and the first packets, encoded."""
    packets: list[bytes] = []
    with quiet_stderr():
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
        codec = _codec(capture)
        if capture.set(cv2.CAP_PROP_FORMAT, -1):
            while len(packets) < count and (read := capture.read())[0]:
                packets.append(read[1].tobytes())
        capture.release()
    return codec, packets


def _never_change(address: str) -> bool:
    """Whether all of the first frames are equal to the last bit."""
    first: Frame | None = None
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    try:
        for _ in range(READ):
            read, frame = capture.read()
            if not read:
                break
            if first is not None and not np.array_equal(frame, first):
                return False
            first = frame.astype(np.uint8, copy=False)
    finally:
        capture.release()
    return first is not None


def _has_interlaced_picture(packet: bytes) -> bool:
    """Whether an MPEG-2 packet has a picture that is not marked as progressive."""
    for unit in _UNIT.finditer(packet):
        extension = packet[unit.end() + 1 : unit.end() + 6]
        if unit[1] == b"\xb5" and len(extension) == 5 and extension[0] >> 4 == 8 and not extension[4] >> 7:
            return True
    return False


def _has_parameters(packet: bytes) -> bool:
    """Whether an H.264 packet has parameters of a sequence."""
    return any(unit[1][0] & 31 == 7 for unit in _UNIT.finditer(packet))


def _may_have_fields(packet: bytes) -> bool:
    """Whether an H.264 packet has parameters of a sequence whose frames may be interlaced."""
    places = [unit.end() for unit in _UNIT.finditer(packet)]
    for begin, end in pairwise([*places, len(packet)]):
        if packet[begin] & 31 == 7 and not _frames_only(packet[begin + 1 : end].replace(b"\0\0\x03", b"\0\0")):
            return True
    return False


class _Bits:
    """Reads bits, and H.264's numbers of variable length."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._place = 0

    def take(self, count: int) -> int:
        """A number of `count` bits; ValueError at the end."""
        bits = self._bits[self._place : self._place + count]
        self._place += count
        return int(bits, 2) if count else 0

    def number(self) -> int:
        """An unsigned number: as many zeros as bits follow after a one."""
        end = self._bits.index("1", self._place)
        zeros, self._place = end - self._place, end + 1
        return (1 << zeros) - 1 + self.take(zeros)


def _frames_only(parameters: bytes) -> bool:
    """The flag frame_mbs_only of a sequence parameter set (ITU-T H.264, 7.3.2.1.1); true if it cannot be read."""
    bits = _Bits(parameters)
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.number()
        if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
            _skip_colours(bits)
        bits.number()
        order = bits.number()
        if order == 0:
            bits.number()
        elif order == 1:
            bits.take(1)
            bits.number(), bits.number()
            for _ in range(bits.number()):
                bits.number()
        bits.number()
        bits.take(1)
        bits.number(), bits.number()
        return bool(bits.take(1))
    except ValueError:
        return True


def _skip_colours(bits: _Bits) -> None:
    """Skip what a sequence parameter set tells of colours, depth and scaling in high profiles."""
    planes = bits.number()
    if planes == 3:
        bits.take(1)
    bits.number(), bits.number()
    bits.take(1)
    if not bits.take(1):
        return
    for index in range(12 if planes == 3 else 8):
        if bits.take(1):
            _skip_scaling(bits, 16 if index < 6 else 64)


def _skip_scaling(bits: _Bits, count: int) -> None:
    last = following = 8
    for _ in range(count):
        if following:
            number = bits.number()
            following = (last + (number + 1) // 2 * (1 if number % 2 else -1)) % 256
        last = following or last
