"""Results: a frame, its people and its metadata, passed from the estimator through steps to outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from posecv.arrays import Array, Frame
from posecv.geometry import Fit
from posecv.people import People

__all__ = ["Result", "View"]


class View(NamedTuple):
    """A network's maps of a frame.

    maps : (C, h, w) float32 array, before it was decoded
    fit : where the frame lies in it
    """

    maps: Array
    fit: Fit


@dataclass(frozen=True, eq=False)
class Result:
    """One frame and its people.

    Attributes
    ----------
    people : People
        In pixels of the frame.
    frame : (H, W, 3) uint8 array or None
        Blue, green, red; None if the result was read from a file.
    source : Path
        The image, video or camera that the frame comes from.
    number : int or None
        Index of the frame in its video, from 0; None for an image.
    time : float
        Seconds since the beginning of the video.
    rate : float
        Used frames per second of the source; 0 if unknown.
    view : View or None
        The maps in which the people were found; kept only if an output needs them.
    seconds : mapping of str to float
        The duration of each step, such as "network" and "decoding".
    aspect : float
        The width of a pixel divided by its height; not 1 in some videos.
    """

    people: People
    frame: Frame | None = None
    source: Path = field(default_factory=Path)
    number: int | None = None
    time: float = 0.0
    rate: float = 0.0
    view: View | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    several: bool = False
    age: int = 0
    aspect: float = 1.0
