"""Geometry: from a frame to a network's input and from its maps back to the frame.

    frame (pixels)  --Fit-->  network input (network pixels)  --network-->  maps (cells)

`NetSize` is the size of the input, `Fit` is where the frame lies in it. Only this module converts coordinates. The
centres of pixels, of network pixels and of cells have integer coordinates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array, Box, Frame
from posecv.checks import check_number
from posecv.errors import UsageError

__all__ = [
    "Box", "Fit", "NetSize", "Preprocessing", "common_fit", "hand_factors", "limited", "narrow", "smaller_fits",
    "square_box", "zoomed",
]  # fmt: skip

STRIDE = 8  # network pixels per cell, in OpenPose's networks
FREE = -1
MULTIPLE = 16  # the sides of the input are multiples of this
LONGEST = 16384  # network pixels of a side of its input
MOST_SCALES = 100
WIDEST = 16 / 9  # a free side is at most this times the given one, as OpenPose does for images
# A frame that shrinks to less than this share is averaged over blocks of pixels first. Averaging earlier loses small #
# people; without it, one pixel in a hundred would decide. benchmarks/README.md has the measurement.
SMALLEST_STEP = 0.35
EDGE = 4  # pixels round a part of a frame that the interpolation reads
LARGEST_RANGE = 1.8  # of the scales of a hand's box: 0.1 to 1.9


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: (v - mean) * scale, as in `cv2.dnn.blobFromImage`.

    The default is OpenPose's v / 256 - 0.5 on blue, green, red with a black border.

    Attributes
    ----------
    scale : float or tuple of three floats
        Factor after subtracting the mean, for all channels or for each in the network's order.
    mean : tuple of three floats
        Subtracted from each channel, in the network's order, in image units (0 to 255).
    swap_rb : bool
        Whether the network expects red, green, blue.
    padding : int
        Value of the border, in image units.
    """

    scale: float | tuple[float, float, float] = 1 / 256
    mean: tuple[float, float, float] = (128.0, 128.0, 128.0)
    swap_rb: bool = False
    padding: int = 0

    def __post_init__(self) -> None:
        for name, values in (("scale", self.scale), ("mean", self.mean)):
            if isinstance(values, tuple) and len(values) == 3:
                for value in values:
                    check_number(name, value)
            elif name == "mean":
                raise UsageError(f"mean={values!r}: give three numbers, such as (128, 128, 128)")
            else:
                check_number(name, values)

    def applied(self, canvas: Frame) -> Array:
        """Convert an image of the size of the network's input to a (1, 3, H, W) float32 array."""
        planes = cv2.split(canvas)[:: -1 if self.swap_rb else 1]
        blob = np.empty((1, 3, *canvas.shape[:2]), np.float32)  # cv2.dnn.blobFromImage would allocate it twice
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,) * 3
        with np.errstate(over="ignore"):  # if the scale is too large, decoding rejects the maps
            for values, plane, mean, scale in zip(blob[0], planes, self.mean, scales, strict=True):
                np.subtract(plane, np.float32(mean), out=values)
                values *= np.float32(scale)
        return blob


def _multiple(pixels: float) -> int:
    """The multiple of 16 nearest to a length, at least 16."""
    return max(MULTIPLE, MULTIPLE * int(pixels / MULTIPLE + 0.5))


@dataclass(frozen=True)
class NetSize:
    """The size of a network's input, as on the command line.

    Attributes
    ----------
    width, height : int
        Network pixels, multiples of 16; -1 follows the frame's aspect ratio.
    shorter : int
        The length of the shorter side, instead of width and height.

    Examples
    --------
    >>> NetSize.parse("-1x368").of_frame(640, 480)
    (496, 368)
    >>> NetSize.parse("368").of_frame(480, 640)
    (368, 496)
    """

    width: int = FREE
    height: int = FREE
    shorter: int = FREE

    @classmethod
    def parse(cls, size: str | int | tuple[int, int] | NetSize) -> NetSize:
        """Parse `-1x368`, `368x-1`, `656x368` or `368`; UsageError for anything else."""
        if isinstance(size, NetSize):
            return size
        sides_given = size if isinstance(size, tuple) else (size,)
        for side in sides_given:
            if isinstance(side, int):
                check_number("net_size", side, whole=True)
        text = "x".join(str(side).strip().lower() for side in sides_given)
        match = re.fullmatch(r"(-1|\d+)(?:x(-1|\d+))?", text)
        said = f"net_size={text[:40]}"
        if match and max(map(len, filter(None, match.groups()))) > len(str(LONGEST)):
            raise UsageError(f"{said}: a side has at most {LONGEST} pixels")
        sides = [int(side) for side in match.groups() if side] if match else []
        if not any(side != FREE for side in sides):
            raise UsageError(f"{said} is not a size; write -1x368, 368x-1, 656x368, or 368 for the shorter side")
        for side in sides:
            if side != FREE and (side % MULTIPLE or not side):
                raise UsageError(f"{said}: {side} is not a multiple of {MULTIPLE}; the next one is {_multiple(side)}")
            if side > LONGEST:
                raise UsageError(f"{said}: a side has at most {LONGEST} pixels")
        return cls(*sides) if len(sides) == 2 else cls(shorter=sides[0])

    def of_frame(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the network's input for a frame of `width` x `height` pixels."""
        if self.shorter != FREE:
            if width < height:
                tall, wide = self.of_frame(height, width)
                return wide, tall
            return NetSize(height=self.shorter).of_frame(width, height)
        if self.width == FREE:
            return _multiple(self.height * min(WIDEST, width / height)), self.height
        if self.height == FREE:
            return self.width, _multiple(self.width * min(1 / WIDEST, height / width))
        return self.width, self.height


def limited(size: NetSize, width: int, height: int) -> str | None:
    """The input's size that would show a long frame as finely along both sides, if `WIDEST` limits the given one.

    >>> limited(NetSize.parse("-1x368"), 4000, 1000)
    '1472x368'
    >>> limited(NetSize.parse("-1x368"), 1280, 720) is None
    True
    """
    if FREE not in (size.width, size.height) or max(width / height, height / width) <= WIDEST:
        return None
    wide, tall = size.of_frame(width, height)
    if width > height and size.width == FREE:
        wide = _multiple(tall * width / height)
    elif height > width and size.height == FREE:
        tall = _multiple(wide * height / width)
    else:
        return None
    return f"{wide}x{tall}"


def narrow(size: NetSize, width: int, height: int) -> str | None:
    """A larger size of the input for a tall frame, if its free width makes it narrower than that of a 9:16 frame.

    >>> narrow(NetSize.parse("-1x368"), 480, 1920)
    '208x832'
    >>> narrow(NetSize.parse("-1x368"), 720, 1280) is None
    True
    """
    if size.width != FREE or size.height == FREE or height / width <= WIDEST:
        return None
    wide, least = size.of_frame(width, height)[0], _multiple(size.height / WIDEST)
    return f"{least}x{_multiple(least * height / width)}" if wide < least else None


def square_box(box: Box) -> Box:
    """The smallest square round the centre of a box x, y, width, height that contains the box."""
    x, y, width, height = box
    side = max(width, height)
    return x + (width - side) / 2, y + (height - side) / 2, side, side


@dataclass(frozen=True)
class Fit:
    """Where a frame, or a part of it, lies in a network's input: at the top left, with its aspect ratio.

    Attributes
    ----------
    width, height : int
        Network pixels of the input.
    scale : float
        Network pixels per pixel of the frame.
    x, y : float
        The pixel of the frame at network pixel 0, 0.
    mirrored : bool
        Whether left and right of the frame are swapped in the input.
    stride : int
        Network pixels per cell of the maps.
    """

    width: int
    height: int
    scale: float
    x: float = 0
    y: float = 0
    mirrored: bool = False
    stride: int = STRIDE

    @classmethod
    def of_frame(cls, frame: Frame, net_size: NetSize, *, mirrored: bool = False, stride: int = STRIDE) -> Fit:
        """Fit a whole frame: its corner pixels lie on the input's corner pixels, as far as the aspect ratio allows."""
        height, width = frame.shape[:2]
        net_width, net_height = net_size.of_frame(width, height)
        scales = [(net - 1) / (side - 1) for net, side in ((net_width, width), (net_height, height)) if side > 1]
        x = width - 1 if mirrored else 0
        return cls(net_width, net_height, min(scales, default=1.0), x, 0, mirrored, stride)

    @classmethod
    def of_box(cls, box: Box, net_size: NetSize, *, mirrored: bool = False, stride: int = STRIDE) -> Fit:
        """Fit a square box x, y, side, side of a frame."""
        x, y, side, _ = box
        width, height = net_size.of_frame(1, 1)
        return cls(width, height, min(width, height) / side, x + side if mirrored else x, y, mirrored, stride)

    @classmethod
    def of_person(cls, box: Array, size: tuple[int, int], pad: float, *, stride: int = STRIDE) -> Fit:
        """Fit a box x, y, width, height, with its surroundings, into the middle of an input of width x height `size`.

        The box fills 1 / `pad` of the input along its longer side relative to the input's aspect ratio.
        """
        x, y, wide, tall = map(float, box)
        width, height = size
        scale = min(width / max(wide, 1.0), height / max(tall, 1.0)) / pad
        middle = x + wide / 2 - 0.5, y + tall / 2 - 0.5  # the centre of the first pixel is 0, 0
        begins = [at - (side - 1) / 2 / scale for at, side in zip(middle, size, strict=True)]
        return cls(width, height, scale, begins[0], begins[1], stride=stride)

    def zoomed(self, factor: float, centre: tuple[float, float]) -> Fit:
        """A Fit of a part of the frame `factor` times as wide and high, round a pixel of the frame."""
        x, y = (middle + (begin - middle) * factor for middle, begin in zip(centre, (self.x, self.y), strict=True))
        return replace(self, scale=self.scale / factor, x=x, y=y)

    def blob(self, frame: Frame, preprocessing: Preprocessing) -> Array:
        """The network's input, a (1, 3, height, width) float32 array.

        Network pixels outside the frame have the value `preprocessing.padding`.
        """
        direction = -1 if self.mirrored else 1
        matrix = np.array(
            [[direction * self.scale, 0, -direction * self.scale * self.x], [0, self.scale, -self.scale * self.y]]
        )
        frame, to_frame = _reduced(frame, self.scale)
        canvas = cv2.warpAffine(
            frame,
            matrix @ np.vstack([to_frame, [0, 0, 1]]),
            (self.width, self.height),
            flags=cv2.INTER_CUBIC if self.scale > 1 else cv2.INTER_LINEAR,
            borderValue=(preprocessing.padding,) * 3,
        )
        return preprocessing.applied(canvas.astype(np.uint8, copy=False))

    def blob_of_part(self, frame: Frame, preprocessing: Preprocessing) -> Array:
        """Like `blob`, for a Fit of a small part of a large frame: it does not read the rest of the frame."""
        height, width = frame.shape[:2]
        begin = np.array([self.x, self.y])
        end = begin + np.array([self.width, self.height]) / self.scale
        left, top = np.clip(np.floor(begin) - EDGE, 0, [width - 1, height - 1]).astype(int)
        right, bottom = np.clip(np.ceil(end) + EDGE, [left + 1, top + 1], [width, height]).astype(int)
        part = replace(self, x=self.x - left, y=self.y - top)
        return part.blob(frame[top:bottom, left:right], preprocessing)

    def enlarged(self, values: Array, size: tuple[int, int]) -> Array:
        """A map's (h, w) values at the pixels of a frame of width x height `size`; 0 outside the network's input."""
        step, half = self.scale / self.stride, (self.stride - 1) / 2 / self.stride
        direction = -1 if self.mirrored else 1
        beside = np.pad(values, 1, mode="edge")  # the outer half of the outermost cells
        matrix = np.array(
            [[direction * step, 0, 1 - half - direction * step * self.x], [0, step, 1 - half - step * self.y]]
        )
        return cv2.warpAffine(beside, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def to_frame(self, cells: Array) -> Array:
        """Convert (..., 2) positions x, y from cells of the maps to pixels of the frame."""
        network = cells * self.stride + (self.stride - 1) / 2
        direction = np.array([-1 if self.mirrored else 1, 1])
        return (np.array([self.x, self.y]) + direction * network / self.scale).astype(np.float32)


def _reduced(frame: Frame, scale: float) -> tuple[Frame, NDArray[np.float64]]:
    """The frame, averaged over blocks if it shrinks much, and the (2, 3) matrix from its pixels to the frame's."""
    height, width = frame.shape[:2]
    block = max(1, math.ceil(SMALLEST_STEP / scale))
    small_width, small_height = max(1, round(width / block)), max(1, round(height / block))
    wide, tall = width / small_width, height / small_height
    if block > 1:
        frame = cv2.resize(frame, (small_width, small_height), interpolation=cv2.INTER_AREA)
    return frame, np.array([[wide, 0, (wide - 1) / 2], [0, tall, (tall - 1) / 2]])


def smaller_fits(fit: Fit, size: tuple[int, int], number: int, gap: float) -> list[Fit]:
    """A frame's Fit and `number` - 1 smaller ones; each input is smaller than the one before by `gap` of the first.

    Parameters
    ----------
    fit : Fit
        The Fit of the whole frame.
    size : (int, int)
        Width and height of the frame in pixels.
    number, gap
        OpenPose's scale_number and scale_gap.

    Raises
    ------
    UsageError
        If a scale is 0 or less, or larger than the first.
    """
    check_number("scale_number", number, whole=True)
    check_number("scale_gap", gap)
    if number > MOST_SCALES:
        raise UsageError(f"scale_number={number}: give at most {MOST_SCALES}")
    factors = [1 - index * gap for index in range(number)]
    if number < 1 or not all(0 < factor <= 1 for factor in factors):
        said = f"scale_number={number} scale_gap={gap:g}"
        raise UsageError(f"{said}: the scales 1, 1 - gap, 1 - 2 gap, ... must be greater than 0 and at most 1")
    fits = [fit]
    for factor in factors[1:]:
        sides = [max(MULTIPLE, int(side * factor + 0.5) // MULTIPLE * MULTIPLE) for side in (fit.width, fit.height)]
        scales = [(net - 1) / (side - 1) for net, side in zip(sides, size, strict=True) if side > 1]
        fits.append(replace(fit, width=sides[0], height=sides[1], scale=min(scales, default=1.0)))
    return fits


def hand_factors(number: int, spread: float) -> list[float]:
    """Factors for the sides of a hand's boxes: `number` evenly spaced values round 1.

    >>> hand_factors(3, 1.0)
    [0.5, 1.0, 1.5]
    """
    check_number("scale_number", number, whole=True)
    check_number("scale_range", spread)
    if not 1 <= number <= MOST_SCALES or not 0 <= spread <= LARGEST_RANGE:
        said = f"scale_number={number} scale_range={spread:g}"
        raise UsageError(f"{said}: give 1 to {MOST_SCALES} scales, and a range from 0 to {LARGEST_RANGE:g}")
    if number == 1:
        return [1.0]
    return [1 - spread / 2 + spread * index / (number - 1) for index in range(number)]


def zoomed(box: Box, factor: float) -> Box:
    """A square box round the same centre, its side `factor` times as long, rounded to an even number of pixels."""
    x, y, side, _ = box
    longer = max(2, int(side * factor + 0.5) // 2 * 2)
    return x + (side - longer) / 2, y + (side - longer) / 2, longer, longer


def common_fit(fits: Sequence[Fit]) -> Fit:
    """A Fit with the area of the widest of several Fits round one centre, and the resolution of the finest."""
    widest, finest = min(fits, key=lambda fit: fit.scale), max(fits, key=lambda fit: fit.scale)
    stride = widest.stride
    width, height = (
        int(np.ceil(side * finest.scale / widest.scale / stride)) * stride for side in (widest.width, widest.height)
    )
    return replace(widest, width=width, height=height, scale=finest.scale)
