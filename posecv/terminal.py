"""The terminal: lines on stderr, and native code kept from it.

A program may have no stderr: windowed ones (pythonw, PyInstaller without a console), and those whose descriptor 2 was
closed (`2>&-`). Then `sys.stderr` is None, and what would be said is lost.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

__all__ = ["STDERR", "occupy_stderr", "quiet_stderr", "say", "silence_opencv"]

STDERR = threading.RLock()  # whoever speaks holds it; what is said while somebody else is quiet would be lost


def say(line: str) -> None:
    """Print a line on stderr at once, from any thread; nowhere if there is none."""
    with STDERR:
        if sys.stderr is not None:  # print would take stdout instead
            print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[list[str]]:
    """Keep what native code writes to stderr from the terminal.

    OpenCV's decoders and camera backends talk there instead of raising. The yielded list holds what they said once
    the block is left. Threads take turns: descriptor 2 is the whole process's.
    """
    noise: list[str] = []
    occupy_stderr()
    with STDERR, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a program without a terminal has no stderr, a full disk no space
            file = stack.enter_context(tempfile.TemporaryFile())
            before = os.dup(2)
            stack.callback(lambda: noise.append(_read_all(file)))
            stack.callback(os.close, before)
            stack.callback(os.dup2, before, 2)
            os.dup2(file.fileno(), 2)
        yield noise


def occupy_stderr() -> None:
    """Open descriptor 2 to nowhere if it is closed: the next file would get it, and what native code says with it."""
    with STDERR, contextlib.suppress(OSError):
        try:
            os.fstat(2)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != 2:
                os.dup2(nowhere, 2)
                os.close(nowhere)


def _read_all(file: IO[bytes]) -> str:
    """What a file holds, as text, whatever it is."""
    file.seek(0)
    return file.read().decode(errors="replace")


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from telling what the scripts say in better words, unless the user asks to hear it."""
    occupy_stderr()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        import cv2

        logging = getattr(cv2.utils, "logging", cv2)  # where OpenCV 4.8 has it
        logging.setLogLevel(0)
