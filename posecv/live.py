"""Live: a camera's frames with their people, and how many come a second."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

import cv2
import numpy as np
from imutils.video import FPS
from numpy.typing import NDArray

from posecv.outputs.window import Window, WindowClosed
from posecv.pipeline import Estimate, describe

__all__ = ["show", "tell"]

Frame = NDArray[np.uint8]

RECENT = 16  # frames whose rate is shown: it follows changes and does not flicker


class Rate:
    """Frames per second over the last few frames."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=RECENT)

    def tick(self, now: float) -> float:
        """Count a frame at a time in seconds; the rate, 0 with the first."""
        self._times.append(now)
        elapsed = now - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0


def show(frames: Iterable[Frame], estimate: Estimate, window: Window) -> int:
    """Show frames with their people and their rate until the window is closed; the exit code 0."""
    rate = Rate()
    with _summary() as count:
        try:
            for frame in frames:
                drawn = window.style.drawn(frame, estimate(frame, {}))
                window.show(_with_rate(drawn, rate.tick(perf_counter())))
                count()
                window.pressed(1)
        except WindowClosed:
            pass
        finally:
            window.close()
    return 0


def tell(frames: Iterable[Frame], estimate: Estimate) -> int:
    """Say once a second how many frames come and what the last one shows; ends with Ctrl-C alone."""
    rate, told = Rate(), perf_counter()
    with _summary() as count:
        for frame in frames:
            people = estimate(frame, {})
            now = perf_counter()
            recent = rate.tick(now)
            count()
            if now - told >= 1:
                told = now
                print(f"{recent:.1f} frames/s: {describe(people)}", file=sys.stderr, flush=True)
    return 0


@contextmanager
def _summary() -> Iterator[Callable[[], None]]:
    """A counter of frames whose result is told at the end, however the end comes."""
    fps = FPS().start()
    frames = 0

    def count() -> None:
        nonlocal frames
        frames += 1
        fps.update()

    try:
        yield count
    finally:
        fps.stop()
        if frames:
            print(f"\n{frames} frames in {fps.elapsed():.1f} s, {fps.fps():.1f} frames/s", file=sys.stderr)


def _with_rate(frame: Frame, rate: float) -> Frame:
    """The frame with its rate in the upper left corner, light on dark so that it can be read anywhere."""
    size = max(frame.shape[0] / 720, 0.5)
    place = round(12 * size), round(32 * size)
    for color, thickness in (((0, 0, 0), 5 * size), ((255, 255, 255), 2 * size)):
        cv2.putText(
            frame,
            f"{rate:.1f} frames/s",
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            color,
            max(1, round(thickness)),
            cv2.LINE_AA,
        )
    return frame
