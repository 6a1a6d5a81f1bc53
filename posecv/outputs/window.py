"""A window that shows frames; `posecv.opencv.why_no_window` checks whether one can open."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import ClassVar

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.drawing.style import Style
from posecv.result import Result

__all__ = ["Window", "WindowClosed", "fitted"]

LARGEST = 1280, 800  # fits on most screens
MILLISECONDS = 50  # between two checks whether the window was closed
ESCAPE = "\x1b"


class WindowClosed(Exception):  # noqa: N818  # not an error
    """The user ended it: q, Escape or the window's close button."""


@dataclass(frozen=True)
class Window:
    """Shows one image after another, each until a key is pressed.

    Attributes
    ----------
    title : str
        The window's title.
    style : Style
        How people are drawn.
    gui : module
        OpenCV, or a replacement with the same functions.
    """

    title: str
    style: Style = field(default_factory=Style)
    gui: ModuleType = cv2
    wants_view: ClassVar[bool] = False
    wants_rate: ClassVar[bool] = False
    interactive: ClassVar[bool] = True

    def write(self, result: Result) -> None:
        """Draw the people on a copy of the frame and show it: an image until a key is pressed, a video frame briefly.

        Raises WindowClosed when the user ends it.
        """
        self.show(self.style.drawn(result))
        if result.number is not None:
            self.pressed(1)
            return
        while not self.pressed(MILLISECONDS):
            pass

    def has(self, number: int | None) -> bool:
        """Always false: results are shown again."""
        return False

    def show(self, frame: Frame) -> None:
        """Show a frame without drawing, reduced if it does not fit on a screen."""
        self.gui.imshow(self.title, fitted(frame))

    def pressed(self, milliseconds: int) -> bool:
        """Whether a key is pressed within some time; WindowClosed for q, Escape or a closed window."""
        key = self.key(milliseconds)
        if key in (ESCAPE, "q", "Q"):
            raise WindowClosed
        return bool(key)

    def key(self, milliseconds: int) -> str:
        """The key that is pressed within some time, or an empty string; WindowClosed if the window was closed."""
        key: int = self.gui.waitKey(milliseconds)
        if not self._is_open():
            raise WindowClosed
        return "" if key == -1 else chr(key & 0xFF)

    def _is_open(self) -> bool:
        try:
            return bool(self.gui.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # Qt raises this when its last window is closed
            return False

    def close(self) -> None:
        """Close the window."""
        self.gui.destroyAllWindows()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fitted(frame: Frame) -> Frame:
    """The frame, reduced if it does not fit on a screen."""
    height, width = frame.shape[:2]
    scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
    if scale == 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
