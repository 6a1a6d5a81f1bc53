"""Sources of frames: each yields stills, that is, frames with their number and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from posecv.arrays import Frame

__all__ = ["Source", "Still"]



@dataclass(frozen=True, eq=False)
class Still:
    """One frame of a source.

    Attributes
    ----------
    frame : (H, W, 3) uint8 array
        Blue, green, red.
    source : Path
        The image or video.
    number : int or None
        Index in the video, counted from 0 over all its frames, also skipped ones; None for an image.
    time : float
        Seconds since the beginning of the video.
    rate : float
        Selected frames per second, 0 if unknown.
    aspect : float
        The width of a pixel divided by its height, as the video is to be shown.
    """

    frame: Frame
    source: Path
    number: int | None = None
    time: float = 0.0
    rate: float = 0.0
    aspect: float = 1.0


class Source(Protocol):
    """The interface of sources."""

    @property
    def path(self) -> Path:
        """The source's path or name."""

    @property
    def has_frames(self) -> bool:
        """Whether it is a video, not an image."""

    @property
    def live(self) -> bool:
        """Whether frames arrive in real time, like a camera's; frames that are not taken in time are dropped."""

    def expected(self) -> int | None:
        """The approximate number of stills; None if unknown."""

    def stills(self) -> Iterator[Still]:
        """The stills in order; InputError if there are none, or the source is incomplete."""
