"""Drawn pictures: one file a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.drawing import ALPHA, DRAWN_ABOVE, draw_people
from posecv.errors import OutputError
from posecv.outputs.files import Kind, write_whole
from posecv.people import People
from posecv.sources import Still

__all__ = ["KIND", "DrawnPicture", "drawn_copy"]

Frame = NDArray[np.uint8]

SUFFIXES = (".avif", ".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
KIND = Kind(
    "--output",
    ending="_pose.png",
    suffixes=frozenset(suffix for suffix in SUFFIXES if cv2.haveImageWriter(f"picture{suffix}")),
)


def drawn_copy(frame: Frame, people: People, *, threshold: float | None = None, alpha: float = ALPHA) -> Frame:
    """The frame with the people on it, the frame itself untouched."""
    if threshold is None:
        threshold = DRAWN_ABOVE.get(people.skeleton.name, 0.0)
    return draw_people(frame.copy(), people, threshold=threshold, alpha=alpha)


@dataclass(frozen=True)
class DrawnPicture:
    """Draws the people on a copy of one frame and writes it, in the format that the file's suffix says.

    Attributes
    ----------
    path : Path
        The file.
    threshold : float or None
        Keypoints scoring this or less are not drawn; by default weak ones of hands and faces.
    alpha : float
        Opacity of what is drawn, 0 to 1.
    """

    path: Path
    threshold: float | None = None
    alpha: float = ALPHA

    def write(self, still: Still, people: People) -> None:
        """Write the file; OutputError where that fails."""
        drawn = drawn_copy(still.frame, people, threshold=self.threshold, alpha=self.alpha)
        write_whole(self.path, self._encode(drawn))

    def _encode(self, drawn: Frame) -> bytes:
        suffix = self.path.suffix.lower()
        try:
            whole, data = cv2.imencode(suffix, drawn)
        except cv2.error:
            whole = False
        if not whole:
            height, width = drawn.shape[:2]
            raise OutputError(f"{self.path}: OpenCV cannot write {width} x {height} pixels as {suffix}; try .png")
        return data.tobytes()

    def close(self) -> None:
        """Nothing is left to do: the file is whole."""
