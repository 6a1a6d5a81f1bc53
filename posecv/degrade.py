"""Degrade images: to train a network on them, and to measure its robustness.

No effect of `degrade` moves, rotates or resizes the content, so the keypoints of an image stay valid. The effects of
`degrade_as_keras` are those of keras-openpose-reproduce, to the pixel, so that its figures can be compared: its motion
blur moves the image a little, and its low resolution is a smaller image.

>>> frame = np.full((48, 64, 3), 100, np.uint8)
>>> degrade(frame, "dark")[0, 0]
array([50, 50, 50], dtype=uint8)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.errors import InputError, UsageError

__all__ = ["EFFECTS", "KERAS_EFFECTS", "Effect", "degrade", "degrade_as_keras"]

Generator = np.random.Generator


@dataclass(frozen=True)
class Effect:
    """A way to degrade an image, and the meaning of its strength.

    Attributes
    ----------
    apply : function
        Called with frame, strength and random generator; returns the degraded frame.
    unit : str
        The meaning of the strength, in words.
    neutral, default, strongest : float
        The strength that changes nothing, the default, and the end of the range that begins at `neutral`.
    """

    apply: Callable[[Frame, float, Generator], Frame]
    unit: str
    neutral: float
    default: float
    strongest: float


def degrade(frame: Frame, effect: str, *, strength: float | None = None, rng: int | Generator = 0) -> Frame:
    """Degrade an image by one of the `EFFECTS`.

    Parameters
    ----------
    frame : (H, W, 3), (H, W, 1) or (H, W) uint8 array
        Blue, green, red, or grey. It is not changed.
    effect : str
        - `dark`: lowered brightness. The strength is the factor of the brightness, 1 to 0; 0.5 by default.
        - `motion_blur`: the camera moves sideways. The strength is the length of the horizontal kernel in pixels of the
          frame, 1 to 999, whole or not; 15 by default.
        - `low_resolution`: shrunk by area, then enlarged by repeated pixels to the original size, so that keypoints
        keep their positions. The strength is the factor of width and height, 1 to 0.01; 0.5 by default.
        - `noise`: Gaussian noise, independent for each pixel and channel. The strength is its standard deviation in
        levels
          of 0 to 255, 0 to 255; 20 by default.
    strength : float, optional
        The first number of each range leaves every pixel unchanged.
    rng : int or numpy.random.Generator
        The source of randomness for `noise`; the other effects are deterministic. A seed gives the same image each
        time, a generator continues from image to image.

    Returns
    -------
    array of the frame's shape, uint8
        A new image.

    Raises
    ------
    InputError
        If the frame is another kind of array, or has no pixels.
    UsageError
        If the effect is unknown, the strength out of range, or `rng` not a seed.

    Examples
    --------
    Motion blur spreads a bright pixel over the length of the kernel:

    >>> frame = np.zeros((1, 7), np.uint8)
    >>> frame[0, 3] = 90
    >>> degrade(frame, "motion_blur", strength=3)
    array([[ 0,  0, 30, 30, 30,  0,  0]], dtype=uint8)
    """
    chosen, strength = _chosen(EFFECTS, effect, strength)
    _check(frame)
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise UsageError(f"rng is {rng!r}; it must be a non-negative integer or a NumPy generator") from None
    return chosen.apply(frame, strength, generator).reshape(frame.shape)  # OpenCV drops a last axis of length 1


def degrade_as_keras(frame: Frame, effect: str, *, strength: float | None = None) -> Frame:
    """Degrade an image exactly as keras-openpose-reproduce does, by one of the `KERAS_EFFECTS`.

    Parameters
    ----------
    frame : (H, W, 3), (H, W, 1) or (H, W) uint8 array
        It is not changed.
    effect : str
        - `dark`: the factor of the brightness, rounded down as Pillow's `ImageEnhance` does; 0.5 by default.
        - `motion_blur`: a line of that many pixels, 30 by default, across a square kernel. With an even number the
          content moves down by 1 pixel and right by half a pixel, and OpenCV reflects the border.
        - `low_resolution`: the image really becomes smaller, `int(W * strength)` x `int(H * strength)` pixels,
          bilinear; 0.5 by default. `posecv.evaluation.coco.scaled` scales its annotations.

    Raises
    ------
    InputError, UsageError
        As `degrade`.

    Examples
    --------
    >>> degrade_as_keras(np.full((2, 4), 101, np.uint8), "dark")[0]
    array([50, 50, 50, 50], dtype=uint8)
    >>> degrade_as_keras(np.full((5, 7), 9, np.uint8), "low_resolution").shape
    (2, 3)
    """
    chosen, strength = _chosen(KERAS_EFFECTS, effect, strength)
    _check(frame)
    degraded = chosen.apply(frame, strength, np.random.default_rng(0))
    return degraded.reshape(*degraded.shape[:2], *frame.shape[2:])


def _chosen(effects: Mapping[str, Effect], effect: str, strength: float | None) -> tuple[Effect, float]:
    """An effect by its name, and its strength; UsageError if there is no such effect or strength."""
    if effect not in effects:
        raise UsageError(f"effect {effect} is unknown; choose one of {', '.join(effects)}")
    chosen = effects[effect]
    strength = chosen.default if strength is None else strength
    low, high = sorted((chosen.neutral, chosen.strongest))
    if not low <= strength <= high:
        raise UsageError(f"strength {strength} of {effect} is out of range: it is {chosen.unit}, {low:g} to {high:g}")
    return chosen, strength


def _check(frame: object) -> None:
    """Raise InputError for anything but an image."""
    wanted = "a frame must be a (H, W, 3) or grey (H, W) uint8 array"
    if not isinstance(frame, np.ndarray):
        raise InputError(f"{wanted}, not {type(frame).__name__}")
    if frame.ndim < 2 or frame.shape[2:] not in ((), (1,), (3,)) or frame.dtype != np.uint8 or not frame.size:
        raise InputError(f"{wanted} with at least one pixel; got {frame.shape} {frame.dtype}")


def _dark(frame: Frame, factor: float, _: Generator) -> Frame:
    return cv2.convertScaleAbs(frame, alpha=factor)


def _motion_blur(frame: Frame, length: float, _: Generator) -> Frame:
    """Average over a line centred on each pixel; its ends cover pixels partly, so an even length causes no shift."""
    reach = int(np.ceil((length - 1) / 2))
    covered = np.clip(length / 2 + 0.5 - np.abs(np.arange(-reach, reach + 1)), 0, 1)
    return cv2.filter2D(frame, -1, covered[None] / length, borderType=cv2.BORDER_REPLICATE)


def _low_resolution(frame: Frame, factor: float, _: Generator) -> Frame:
    height, width = frame.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def _noise(frame: Frame, deviation: float, rng: Generator) -> Frame:
    noisy = frame + deviation * rng.standard_normal(frame.shape, np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


EFFECTS = {
    "dark": Effect(_dark, "the factor of the brightness", neutral=1, default=0.5, strongest=0),
    "motion_blur": Effect(_motion_blur, "the length of the kernel in pixels", neutral=1, default=15, strongest=999),
    "low_resolution": Effect(_low_resolution, "the factor of width and height", neutral=1, default=0.5, strongest=0.01),
    "noise": Effect(_noise, "the standard deviation in levels of 0 to 255", neutral=0, default=20, strongest=255),
}


def _keras_dark(frame: Frame, factor: float, _: Generator) -> Frame:
    return (frame * np.float32(factor)).astype(np.uint8)


def _keras_motion_blur(frame: Frame, length: float, _: Generator) -> Frame:
    side = round(length)
    kernel = np.zeros((side, side), np.float32)
    kernel[(side - 1) // 2] = 1 / side
    return cv2.filter2D(frame, -1, kernel)


def _keras_low_resolution(frame: Frame, factor: float, _: Generator) -> Frame:
    height, width = frame.shape[:2]
    return cv2.resize(frame, (max(1, int(width * factor)), max(1, int(height * factor))))


KERAS_EFFECTS = {
    "dark": replace(EFFECTS["dark"], apply=_keras_dark),
    "motion_blur": replace(EFFECTS["motion_blur"], apply=_keras_motion_blur, default=30),
    "low_resolution": replace(EFFECTS["low_resolution"], apply=_keras_low_resolution),
}
