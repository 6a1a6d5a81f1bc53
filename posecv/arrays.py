"""The array types of the house, and the one check of frames."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError

__all__ = ["Array", "Frame", "checked_frame"]

Array: TypeAlias = NDArray[np.float32]
Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3), blue, green, red


def checked_frame(frame: object) -> Frame:
    """The frame, if it is one; InputError otherwise."""
    if not isinstance(frame, np.ndarray):
        found = type(frame).__name__
        raise InputError(f"a frame is an array, not a {found}; cv2.imread gives None for what it cannot read")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise InputError(f"a frame is a (height, width, 3) uint8 array in BGR order, not {frame.shape} {frame.dtype}")
    return frame
