"""Where results go: one file a format; every output speaks `write(frame, people)` and `close()`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from posecv.people import People

__all__ = ["Output"]

Frame = NDArray[np.uint8]


class Output(Protocol):
    """What a pipeline asks of an output."""

    def write(self, frame: Frame, people: People) -> None:
        """Take the people of a (H, W, 3) uint8 BGR frame; OutputError where they cannot be kept."""

    def close(self) -> None:
        """Finish what was begun."""
