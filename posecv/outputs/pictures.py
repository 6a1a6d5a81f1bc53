"""Drawn images: one file per frame."""

from __future__ import annotations

from pathlib import Path

import cv2

from posecv.arrays import Frame
from posecv.checks import checked_path, known_arguments
from posecv.drawing.style import Style
from posecv.errors import OutputError
from posecv.outputs.files import Kind, frame_file, is_filled, write_whole
from posecv.result import Result

__all__ = ["KIND", "DrawnFrames", "DrawnPicture"]

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

    @known_arguments
    def __init__(self, path: str | Path, style: Style | None = None) -> None:
        self.path, self.style = checked_path(path), style or Style()

    def write(self, result: Result) -> None:
        """Write the file; OutputError if that fails."""
        write_whole(self.file(result.number), self._encode(self.style.drawn(result)))

    def has(self, number: int | None) -> bool:
        """Whether the file is there and not empty."""
        return is_filled(self.file(number))

    def file(self, number: int | None) -> Path:
        """The file for a frame."""
        return self.path

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


class DrawnFrames(DrawnPicture):
    """Draws the people on a copy of each frame and writes a file for each; parameters as for `DrawnPicture`."""

    def file(self, number: int | None) -> Path:
        """The file for an image, or for a frame of a video.

        >>> DrawnFrames("out/clip_pose.png").file(42).name
        'clip_000000000042_pose.png'
        """
        return frame_file(self.path, number, KIND.ending)
