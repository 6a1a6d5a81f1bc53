"""The terminal: lines on stderr, and native code kept from it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

__all__ = ["STDERR", "quiet_stderr", "say", "silence_opencv"]

STDERR = threading.RLock()  # whoever speaks holds it; what is said while somebody else is quiet would be lost


def say(line: str) -> None:
    """Print a line on stderr at once, from any thread."""
    with STDERR:
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[list[str]]:
    """Keep what native code writes to stderr from the terminal.

    OpenCV's decoders and camera backends talk there instead of raising. The yielded list holds what they said once
    the block is left.
    """
    noise: list[str] = []
    with STDERR, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a program without a terminal has no stderr, a full disk no space
            file = stack.enter_context(tempfile.TemporaryFile())
            before = os.dup(2)
            stack.callback(lambda: noise.append(_read_all(file)))
            stack.callback(os.close, before)
            stack.callback(os.dup2, before, 2)
            os.dup2(file.fileno(), 2)
        yield noise


def _read_all(file: IO[bytes]) -> str:
    """What a file holds, as text, whatever it is."""
    file.seek(0)
    return file.read().decode(errors="replace")


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from telling what the scripts say in better words, unless the user asks to hear it."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        import cv2

        logging = getattr(cv2.utils, "logging", None)  # up to 4.8 its functions lie elsewhere
        (logging or cv2).setLogLevel(0)
