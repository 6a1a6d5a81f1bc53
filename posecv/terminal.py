"""The terminal: print lines on stderr, end when nobody reads stdout, and silence native code.

A program may have no stderr: windowed programs (pythonw, PyInstaller without a console), or a closed descriptor 2
(`2>&-`). Then `sys.stderr` is None, and messages are lost.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, ParamSpec, TypeVar

__all__ = ["STDERR", "UNREAD", "ends_unread", "occupy_stderr", "plain", "quiet_stderr", "say", "silence_opencv"]

P = ParamSpec("P")
T = TypeVar("T")

UNREAD = 141  # exit code of a program whose output nobody reads, as in `| head`: 128 + SIGPIPE, as in a shell

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

STDERR = threading.RLock()  # held while printing: a message printed while another thread silences stderr would be lost


def plain(line: str) -> str:
    r"""A line without control characters, which names of files may contain: a terminal would obey them.

    >>> plain("a\x1b[2Jb\nc.png")
    'a\\x1b[2Jb\\nc.png'
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), line)


def say(line: str) -> None:
    """Print a line on stderr at once, from any thread, if there is a stderr."""
    with STDERR:
        if sys.stderr is not None:  # print would use stdout instead
            with contextlib.suppress(BrokenPipeError):  # nobody reads it; the work goes on
                print(plain(line), file=sys.stderr, flush=True)


def ends_unread(program: Callable[P, T]) -> Callable[P, T]:
    """The same program, which ends quietly with exit code `UNREAD` when nobody reads its stdout any more."""

    @functools.wraps(program)
    def ending(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            try:
                return program(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # here, since Python reports an error when it flushes at its end
        except BrokenPipeError:
            if sys.stdout is None or not _is_unread(sys.stdout):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())  # for what is left in the buffer
            os.close(nowhere)
            raise SystemExit(UNREAD) from None

    return ending


def _is_unread(stream: IO[str]) -> bool:
    """Whether the reader of a pipe has gone."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[list[str]]:
    """Capture what native code writes to stderr.

    OpenCV's decoders and camera backends print there instead of raising. After the block, the yielded list contains the
    text. Threads take turns, since descriptor 2 belongs to the whole process.
    """
    noise: list[str] = []
    occupy_stderr()
    with STDERR, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # there may be no stderr, or no disk space
            file = stack.enter_context(tempfile.TemporaryFile())
            before = os.dup(2)
            stack.callback(lambda: noise.append(_read_all(file)))
            stack.callback(os.close, before)
            stack.callback(os.dup2, before, 2)
            os.dup2(file.fileno(), 2)
        yield noise


def occupy_stderr() -> None:
    """Open descriptor 2 to the null device if it is closed; otherwise native code would print into the next file."""
    with STDERR, contextlib.suppress(OSError):
        try:
            os.fstat(2)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != 2:
                os.dup2(nowhere, 2)
                os.close(nowhere)


def _read_all(file: IO[bytes]) -> str:
    """The content of a file as text, whatever its encoding."""
    file.seek(0)
    return file.read().decode(errors="replace")


def silence_opencv() -> None:
    """Silence OpenCV's and FFmpeg's logs, unless the user enables them; the scripts report errors themselves."""
    occupy_stderr()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        import cv2

        logging = getattr(cv2.utils, "logging", cv2)  # OpenCV 4.8 has it there
        logging.setLogLevel(0)
