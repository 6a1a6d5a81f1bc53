"""A window that shows frames; where there is one to be had, which `posecv.opencv.why_no_window` knows."""

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

LARGEST = 1280, 800  # a window that fits on most screens
MILLISECONDS = 50  # between two looks at whether the window was closed
ESCAPE = "\x1b"


class WindowClosed(Exception):  # noqa: N818  # nothing went wrong
    """Somebody has seen enough: q, Escape or the window's close button."""


@dataclass(frozen=True)
class Window:
    """Shows one image after the other, each until a key is pressed.

    Attributes
    ----------
    title : str
        The window's name.
    style : Style
        How people are shown.
    gui : module
        OpenCV, whose window it is, or what stands for it.
    """

    title: str
    style: Style = field(default_factory=Style)
    gui: ModuleType = cv2
    wants_view: ClassVar[bool] = False
    interactive: ClassVar[bool] = True

    def write(self, result: Result) -> None:
        """Draw the people on a copy of the frame and show it: an image until a key is pressed, a video's frame briefly.

        WindowClosed at the end.
        """
        self.show(self.style.drawn(result))
        if result.number is not None:
            self.pressed(1)
            return
        while not self.pressed(MILLISECONDS):
            pass

    def has(self, number: int | None) -> bool:
        """Never: nobody has seen it."""
        return False

    def show(self, frame: Frame) -> None:
        """Show a frame as it is, reduced where it does not fit on a screen."""
        self.gui.imshow(self.title, fitted(frame))

    def pressed(self, milliseconds: int) -> bool:
        """Whether a key is pressed within some time; WindowClosed where it says to end, or the window is gone."""
        key = self.key(milliseconds)
        if key in (ESCAPE, "q", "Q"):
            raise WindowClosed
        return bool(key)

    def key(self, milliseconds: int) -> str:
        """The key that is pressed within some time, or nothing; WindowClosed where the window is gone."""
        key: int = self.gui.waitKey(milliseconds)
        if not self._is_open():
            raise WindowClosed
        return "" if key == -1 else chr(key & 0xFF)

    def _is_open(self) -> bool:
        try:
            return bool(self.gui.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # Qt's way to say that its last window is closed
            return False

    def close(self) -> None:
        """Take the window away."""
        self.gui.destroyAllWindows()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fitted(frame: Frame) -> Frame:
    """The frame, reduced where it does not fit on a screen."""
    height, width = frame.shape[:2]
    scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
    if scale == 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
