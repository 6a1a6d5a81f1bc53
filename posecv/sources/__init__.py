"""Where frames come from: every source yields stills, each a frame with its place and time."""

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
        Place in the video, the first frame being 0, whether or not the frames before it are wanted; None for an image.
    time : float
        Seconds since the video's beginning.
    rate : float
        Wanted frames a second, 0 where nobody knows.
    """

    frame: Frame
    source: Path
    number: int | None = None
    time: float = 0.0
    rate: float = 0.0


class Source(Protocol):
    """What a pipeline asks of a source."""

    @property
    def path(self) -> Path:
        """How it is called."""

    @property
    def has_frames(self) -> bool:
        """Whether it is a video, with many frames in time, and not an image."""

    @property
    def live(self) -> bool:
        """Whether frames come whether or not somebody takes them; old ones are left out then."""

    def expected(self) -> int | None:
        """About how many stills there will be; None where nobody knows."""

    def stills(self) -> Iterator[Still]:
        """The stills in order; InputError where there are none, or no more than a part."""
