"""Films: frames with their true numbers and times, read by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from posecv.errors import InputError
from posecv.sources import Still
from posecv.sources.pictures import check_file
from posecv.sources.selection import Selection

__all__ = ["Film"]

FASTEST = 1000.0  # frames a second that a header may say; containers without a rate say 90000 or so


@dataclass(frozen=True)
class Film:
    """A film in a file.

    Attributes
    ----------
    path : Path
        The file.
    selection : Selection
        Which of its frames are wanted.
    live : bool
        False: a file waits until its frames are taken.
    """

    path: Path
    selection: Selection = field(default_factory=Selection)
    live: bool = False

    def expected(self) -> int | None:
        """About how many stills there will be, by the header, which may err."""
        try:
            with _opened(self.path) as capture:
                count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        except InputError:
            return None
        return self.selection.of(int(count)) if 0 < count < 1e9 else None

    def stills(self) -> Iterator[Still]:
        """The wanted frames, upright, with their numbers and times.

        All frames before a wanted one are decoded too: jumping to a frame number misses in films whose frames do not
        come at one rate.

        Raises
        ------
        InputError
            Where there is no film, or no wanted frame in it.
        """
        wanted = self.selection
        number = given = 0
        with _opened(self.path) as capture:
            rate = capture.get(cv2.CAP_PROP_FPS)
            rate = rate if 0 < rate <= FASTEST else 0.0
            while (wanted.last is None or number <= wanted.last) and capture.grab():
                if wanted.wants(number):
                    time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    decoded, frame = capture.retrieve()
                    if decoded:
                        given += 1
                        frame = wanted.turned(frame.astype(np.uint8, copy=False))
                        yield Still(frame, self.path, number, max(time, 0.0), rate / wanted.step)
                number += 1
        if not number:
            raise InputError(f"{self.path}: there are no frames in this film; it is damaged, or was never finished")
        if not given:
            raise InputError(f"{self.path}: the film has {number} frames, none of them is among those asked for")


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    """The film, open; InputError where it is none."""
    check_file(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise InputError(f"{path}: this is no film that OpenCV reads, or it is damaged")
        yield capture
    finally:
        capture.release()
