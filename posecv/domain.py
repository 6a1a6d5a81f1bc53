"""Tell the domain of an image: normal, dark, motion blur, low resolution or noise.

A softmax over a few features of luminance, gradients, colours and repeated pixels; no network. models/domain/ has the
weights and a card with the accuracy.

>>> frame = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
>>> [name for name, _ in zip(DOMAINS, features(frame))]
['normal', 'dark', 'motion_blur', 'low_resolution', 'noise']
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Frame, checked_frame
from posecv.errors import ModelError, reason
from posecv.models import models_folder

__all__ = ["DOMAINS", "FEATURES", "KERAS_DOMAINS", "Classifier", "features", "load_classifier"]

Floats = NDArray[np.float64]

DOMAINS = ("normal", "dark", "motion_blur", "low_resolution", "noise")
KERAS_DOMAINS = DOMAINS[:3]  # those of keras-openpose-reproduce, in its order
PATCHES, SIDE = 2, 320  # an image of more pixels than 640 x 640 is looked at in 2 x 2 patches at its own resolution
LEAST = 17  # pixels of a side, so that there are some that are 8 apart
CROSS = np.array([[1, -1], [-1, 1]], np.float32)
EPSILON = 0.01  # levels of 0 to 255, so that logarithms of even images are finite
FEATURES = (
    "brightest", "bright", "mean", "above_half", "slope_x", "slope_y", "ratio_1", "ratio_8", "steep_ratio",
    "colour_grain", "colour_level", "pairs_x", "pairs_y", "equal_x", "equal_y",
)


@dataclass(frozen=True)
class Classifier:
    """A softmax over standardised features.

    Attributes
    ----------
    mean, deviation : (F,) float64 arrays
        Of the features of training images.
    weights : (F + 1, D) float64 array
        Of each feature and, in the last row, of a constant, for each of `DOMAINS`.
    """

    mean: Floats
    deviation: Floats
    weights: Floats

    def logits(self, values: Floats) -> Floats:
        """(N, D) logits of (N, F) features."""
        standard = np.clip((values - self.mean) / self.deviation, -8, 8)
        return standard @ self.weights[:-1] + self.weights[-1]

    def __call__(self, frame: Frame) -> dict[str, float]:
        """The probability of each domain; InputError if the frame is not a BGR image.

        The sum is 1; the largest is the image's domain.
        """
        logits = self.logits(features(checked_frame(frame))[None])[0]
        odds = np.exp(logits - logits.max())
        return dict(zip(DOMAINS, (odds / odds.sum()).tolist(), strict=True))


def load_classifier(folder: Path | None = None) -> Classifier:
    """Read `domain/weights.json` in the folder of models; ModelError if it is missing or damaged."""
    path = (folder or models_folder()) / "domain" / "weights.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        classifier = Classifier(*(np.array(stored[name], np.float64) for name in ("mean", "deviation", "weights")))
    except OSError as error:
        raise ModelError(f"{path}: {reason(error)}; it is part of posecv: install posecv again") from None
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{path} is damaged; it is part of posecv: install posecv again") from None
    if classifier.weights.shape != (len(FEATURES) + 1, len(DOMAINS)) or stored.get("features") != list(FEATURES):
        raise ModelError(f"{path} is for another version of posecv: train it again with python -m training.domain")
    return classifier


def features(frame: Frame) -> Floats:
    """The `FEATURES` of an image.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        BGR; of a large one some patches are read.

    Returns
    -------
    (F,) float64 array
        Luminance: the 99.9th and 99th percentile and the mean of the brightest channel, and the logarithm of the share
        of pixels above half. Gradients: the mean absolute differences of pixels that are 1 and 8 apart, in x and y, as
        logarithms; a horizontal blur leaves those in y. Colours: the median and the mean of differences between two
        channels across both axes, which noise of each channel raises and a photograph's grain hardly. Repeated pixels:
        differences at odd positions against those at even ones, and the share of equal neighbours.
    """
    planes = [cv2.split(patch) for patch in _patches(frame)]
    counts = _counts([cv2.max(cv2.max(blue, green), red) for blue, green, red in planes])
    greys = [cv2.addWeighted(cv2.addWeighted(b, 0.28, r, 0.72, 0), 0.41, g, 0.59, 0) for b, g, r in planes]
    return np.concatenate([_luminance(counts), _gradients(greys), _colours(planes), _repeats(greys)])


def _patches(frame: Frame) -> list[Frame]:
    """The image itself, or patches of it on a grid."""
    height, width = frame.shape[:2]
    if height * width <= (PATCHES * SIDE) ** 2:
        padding = max(0, LEAST - height), max(0, LEAST - width)
        return [np.pad(frame, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="symmetric")]
    tall, wide = min(SIDE, height), min(SIDE, width)
    if min(tall, wide) < LEAST:  # a ribbon
        return _patches(cv2.resize(frame, (max(wide, LEAST), max(tall, LEAST)), interpolation=cv2.INTER_NEAREST))
    tops, lefts = (np.linspace(0, side - part, PATCHES).astype(int) for side, part in ((height, tall), (width, wide)))
    return [np.ascontiguousarray(frame[top : top + tall, left : left + wide]) for top in tops for left in lefts]


def _luminance(counts: Floats) -> Floats:
    below = counts.cumsum() / counts.sum()
    highest, high = (float(np.searchsorted(below, share)) for share in (0.999, 0.99))
    mean = float(counts @ np.arange(256) / counts.sum())
    return np.array([highest / 255, high / 255, mean / 255, np.log(1 - min(1.0, float(below[132])) + 1e-4)])


def _steps(grey: Frame, axis: int, apart: int = 1) -> Frame:
    """Absolute differences of pixels of a (h, w) image that are so far apart, down (0) or across (1)."""
    if axis:
        return cv2.absdiff(grey[:, apart:], grey[:, :-apart])
    return cv2.absdiff(grey[apart:], grey[:-apart])


def _mean(images: Sequence[Frame]) -> float:
    """The mean of all pixels, as a logarithm."""
    total = sum(cv2.sumElems(image)[0] for image in images) / sum(image.size for image in images)
    return float(np.log(total + EPSILON))


def _counts(images: Sequence[Frame]) -> Floats:
    """(256,) how many pixels have each level."""
    return np.sum([cv2.calcHist([image], [0], None, [256], [0, 256]).ravel() for image in images], axis=0)


def _percentile(images: Sequence[Frame], share: float) -> float:
    """The level that this share of pixels does not exceed, as a logarithm."""
    below = _counts(images).cumsum()
    return float(np.log(np.searchsorted(below, share * below[-1]) + 0.5))


def _gradients(greys: Sequence[Frame]) -> Floats:
    steps = {(apart, axis): [_steps(grey, axis, apart) for grey in greys] for apart in (1, 8) for axis in (1, 0)}
    slopes = {key: _mean(images) for key, images in steps.items()}
    ratios = [slopes[apart, 1] - slopes[apart, 0] for apart in (1, 8)]
    steep = _percentile(steps[1, 1], 0.99) - _percentile(steps[1, 0], 0.99)
    return np.array([slopes[1, 1], slopes[1, 0], *ratios, steep])


def _colours(planes: Sequence[Sequence[Frame]]) -> Floats:
    crossed = [
        cv2.convertScaleAbs(cv2.filter2D(cv2.absdiff(green, red), cv2.CV_16S, CROSS)) for _, green, red in planes
    ]
    return np.array([_percentile(crossed, 0.5), _mean(crossed)])


def _repeats(greys: Sequence[Frame]) -> Floats:
    pairs, equal = [], []
    for axis in (1, 0):
        steps = [_steps(grey, axis) for grey in greys]
        halves = [[step[:, start::2] if axis else step[start::2] for step in steps] for start in (0, 1)]
        pairs.append(abs(_mean(halves[0]) - _mean(halves[1])))
        equal.append(1 - sum(map(cv2.countNonZero, steps)) / sum(step.size for step in steps))
    return np.array([*pairs, *equal])
