"""Maps of a network, drawn over the frame that they were made of."""

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
    """The frame in grey and a map's values over it: red above 0, blue below, stronger the farther from 0.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        Blue, green, red; it stays as it is.
    values : (H, W) float32 array
        From -1 to 1; what lies beyond is shown as these are.
    """
    strength = (np.minimum(np.abs(values), 1) * OPACITY)[..., None]
    color = np.where(values[..., None] < 0, np.array(BELOW, np.float32), np.array(ABOVE, np.float32))
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)[..., None]
    return np.rint(grey + strength * (color - grey)).astype(np.uint8)


def add_heat(frame: Frame, seen: View, heatmaps: int) -> Frame:
    """Lay the greatest heatmap of each place over a frame, from nothing where it is 0 to yellow where it is 1.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        BGR.
    seen : View
        The maps, and where the frame lies in them; what is below 0 or above 1 counts as 0 or 1.
    heatmaps : int
        How many of the maps, from the first, count.

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
