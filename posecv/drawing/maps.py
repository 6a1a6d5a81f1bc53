"""Draw a network's maps over the frame that they were computed from."""

from __future__ import annotations

import cv2
import numpy as np

from posecv.arrays import Array, Frame
from posecv.result import View

__all__ = ["add_heat", "farthest", "overlay"]

ABOVE, BELOW = (40, 50, 235), (235, 110, 20)  # blue, green, red of values above and below 0
OPACITY = 0.85  # of a value of 1 or -1
STRONGEST = 0.85  # opacity of a heatmap where it is 1


def overlay(frame: Frame, values: Array) -> Frame:
    """Draw a map's values over the frame in grey: red above 0, blue below; stronger colours are farther from 0.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        Blue, green, red; not changed.
    values : (H, W) float32 array
        From -1 to 1; values beyond are clipped.
    """
    strength = (np.minimum(np.abs(values), 1) * OPACITY)[..., None]
    color = np.where(values[..., None] < 0, np.array(BELOW, np.float32), np.array(ABOVE, np.float32))
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)[..., None]
    return np.rint(grey + strength * (color - grey)).astype(np.uint8)


def add_heat(frame: Frame, seen: View, heatmaps: int) -> Frame:
    """Draw the maximum of the heatmaps over a frame, from transparent where it is 0 to yellow where it is 1.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        BGR.
    seen : View
        The maps, and where the frame lies in them; values are clipped to 0..1.
    heatmaps : int
        Number of maps to use, from the first.

    Returns
    -------
    (H, W, 3) uint8 array
        A new image.
    """
    corners = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    to_frame = cv2.getAffineTransform(corners, seen.fit.to_frame(corners))
    level = np.rint(255 * np.clip(seen.maps[:heatmaps].max(axis=0), 0, 1)).astype(np.uint8)
    level = cv2.warpAffine(level, to_frame, frame.shape[1::-1], flags=cv2.INTER_LINEAR)
    opacity = cv2.cvtColor(cv2.convertScaleAbs(level, alpha=STRONGEST), cv2.COLOR_GRAY2BGR)
    colors = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)
    behind = cv2.multiply(frame, 255 - opacity, scale=1 / 255)
    return cv2.add(behind, cv2.multiply(colors, opacity, scale=1 / 255)).astype(np.uint8, copy=False)


def farthest(maps: Array) -> Array:
    """(h, w) of (C, h, w): in each cell the value farthest from 0."""
    which = np.abs(maps).argmax(axis=0)
    return np.take_along_axis(maps, which[None], axis=0)[0]
