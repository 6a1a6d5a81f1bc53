"""Cameras: frames as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError
from posecv.terminal import quiet_stderr

__all__ = ["open_camera"]

Frame = NDArray[np.uint8]

PATIENCE = 30  # reads that may fail in a row: some cameras need a second to wake up


@contextmanager
def open_camera(index: int) -> Iterator[Iterator[Frame]]:
    """The frames of a camera, (H, W, 3) uint8 BGR; it is released when the block is left.

    Raises
    ------
    InputError
        Where there is no such camera, and later where it gives no frames any more.
    """
    with quiet_stderr():  # every backend that OpenCV tries complains at length
        capture = cv2.VideoCapture(index)
        opened = capture.isOpened()
    if not opened:
        raise InputError(f"no camera {index} can be opened; is it plugged in, free and allowed? -i N takes another one")
    try:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a frame that has waited shows the past
        yield _frames(capture, index)
    finally:
        capture.release()


def _frames(capture: cv2.VideoCapture, index: int) -> Iterator[Frame]:
    """Read until the camera stops."""
    failures = 0
    while failures < PATIENCE:
        read, frame = capture.read()
        failures = 0 if read else failures + 1
        if read:
            yield frame.astype(np.uint8, copy=False)
    raise InputError(f"camera {index} gives no frames; is it unplugged or used by another program?")
