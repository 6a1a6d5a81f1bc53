"""Room for labels: places near keypoints where nothing is written yet."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Room"]

Pixel = tuple[int, int]

CELLS = 4  # what is taken is kept in squares, so many to a letter's height
RINGS = 0.7, 1.5, 2.5, 3.5, 5.0, 7.0, 9.0, 12.0  # letters between a keypoint and its label
DIRECTIONS = 0, 180, 30, 150, -30, -150, 60, 120, -60, -120, 90, -90  # degrees, 90 is down
BESIDE = 2  # rings whose labels need no line to their keypoint


class Room:
    """Where labels of one letter height fit into a frame beside its keypoints.

    Parameters
    ----------
    size : (int, int)
        Width and height of the frame in pixels.
    keypoints : (N, 2) array
        Positions that labels should not cover.
    letters : float
        Height of a letter in pixels.
    """

    def __init__(self, size: tuple[int, int], keypoints: ArrayLike, letters: float) -> None:
        self._size, self._letters, self._cell = size, letters, letters / CELLS
        wide, tall = (math.ceil(side / self._cell) + 1 for side in size)
        self._taken: NDArray[np.uint8] = np.zeros((tall, wide), np.uint8)
        cells = np.asarray(keypoints, float).reshape(-1, 2) / self._cell
        inside = (cells >= 0).all(axis=1) & (cells < [wide, tall]).all(axis=1)
        column, row = cells[inside].astype(int).T
        self._taken[row, column] = 1

    def take(
        self, keypoint: tuple[float, float], size: tuple[float, float]
    ) -> tuple[tuple[float, float], tuple[Pixel, Pixel] | None]:
        """The lower left corner of a label of a width and height, and the line to its keypoint if it is far away."""
        best, least, far = (0.0, 0.0), math.inf, False
        for ring, distance in enumerate(RINGS):
            for direction in DIRECTIONS:
                left, top = self._corner(keypoint, size, distance * self._letters, math.radians(direction))
                covered = int(self._part(left, top, size).sum())
                if covered < least:
                    best, least, far = (left, top), covered, ring >= BESIDE
                if not covered:
                    break
            if not least:
                break
        left, top = best
        self._part(left, top, size)[:] = 1
        return (left, top + size[1]), self._line(keypoint, left, top, size) if far else None

    def _corner(
        self, keypoint: tuple[float, float], size: tuple[float, float], distance: float, angle: float
    ) -> tuple[float, float]:
        """The upper left corner of a label in a direction from a keypoint, moved into the frame."""
        across, down = math.cos(angle), math.sin(angle)
        left = keypoint[0] + distance * across + size[0] / 2 * (across / max(abs(across), 0.5) - 1)
        top = keypoint[1] + distance * down + size[1] / 2 * (down / max(abs(down), 0.5) - 1)
        return max(0.0, min(left, self._size[0] - size[0])), max(0.0, min(top, self._size[1] - size[1]))

    def _part(self, left: float, top: float, size: tuple[float, float]) -> NDArray[np.uint8]:
        """The squares that a label covers."""
        row, column = int(top / self._cell), int(left / self._cell)
        end_row, end_column = (math.ceil((low + side) / self._cell) for low, side in ((top, size[1]), (left, size[0])))
        return self._taken[row:end_row, column:end_column]

    def _line(
        self, keypoint: tuple[float, float], left: float, top: float, size: tuple[float, float]
    ) -> tuple[Pixel, Pixel]:
        """From the keypoint to the nearest point of the label."""
        near = min(max(keypoint[0], left), left + size[0]), min(max(keypoint[1], top), top + size[1])
        return (round(keypoint[0]), round(keypoint[1])), (round(near[0]), round(near[1]))
