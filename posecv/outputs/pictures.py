"""Drawn images: one file per frame."""

from __future__ import annotations

from pathlib import Path

import cv2

from posecv.arrays import Frame
from posecv.drawing.style import Style
from posecv.errors import OutputError
from posecv.outputs.files import Kind, write_whole
from posecv.result import Result

__all__ = ["KIND", "DrawnPicture"]

SUFFIXES = (".avif", ".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
KIND = Kind(
    "output",
    ending="_pose.png",
    suffixes=frozenset(suffix for suffix in SUFFIXES if cv2.haveImageWriter(f"picture{suffix}")),
)


class DrawnPicture:
    """Draws the people on a copy of one frame and writes it; the file's suffix determines the format.

    Parameters
    ----------
    path : str or Path
        The file.
    style : Style
        How people are drawn.
    """

    wants_view = wants_rate = interactive = False

    def __init__(self, path: str | Path, style: Style | None = None) -> None:
        self.path, self.style = Path(path), style or Style()

    def write(self, result: Result) -> None:
        """Write the file; OutputError if that fails."""
        write_whole(self.path, self._encode(self.style.drawn(result)))

    def has(self, number: int | None) -> bool:
        """Whether the file exists."""
        return self.path.exists()

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
        """Do nothing: the file is complete."""

    def __enter__(self) -> DrawnPicture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
