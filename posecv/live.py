"""Live: a camera's frames with their people, and how many come a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

import numpy as np
from imutils.video import FPS
from numpy.typing import NDArray

from posecv.drawing import draw_rate
from posecv.outputs.rate import Rate
from posecv.outputs.window import Window, WindowClosed
from posecv.pipeline import Estimate, describe

__all__ = ["Rate", "show", "tell"]

Frame = NDArray[np.uint8]


def show(frames: Iterable[Frame], estimate: Estimate, window: Window) -> int:
    """Show frames with their people and their rate until the window is closed; the exit code 0."""
    rate = Rate()
    with _summary() as count:
        try:
            for frame in frames:
                drawn = window.style.drawn(frame, estimate(frame, {}))
                window.show(draw_rate(drawn, rate.tick(perf_counter())))
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
