"""Array types, and the check of frames."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError

__all__ = ["Array", "Box", "Frame", "checked_frame"]

Array: TypeAlias = NDArray[np.float32]
Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3), blue, green, red
Box: TypeAlias = tuple[float, float, float, float]  # x, y, width, height


def checked_frame(frame: object, *, empty: bool = False) -> Frame:
    """Return the frame; InputError if it is not one. A frame without pixels is one only if `empty`."""
    if not isinstance(frame, np.ndarray):
        found = type(frame).__name__
        raise InputError(f"a frame must be an array, not a {found}; cv2.imread returns None if it cannot read a file")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not (frame.size or empty):
        raise InputError(f"a frame must be a (height, width, 3) uint8 BGR array, not {frame.shape} {frame.dtype}")
    return frame
