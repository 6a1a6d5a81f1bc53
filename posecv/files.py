"""Write files atomically, and read files once."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Hashable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from posecv.errors import OutputError, reason

__all__ = ["KEPT", "content", "each_once", "once", "unfinished_file", "write_whole"]

T = TypeVar("T")

KEPT = 32 << 20  # bytes; larger files are not kept in a block of `each_once`, to leave memory for engines

_unfinished = count()


class _Made(threading.local):
    """The values made in the outermost `each_once` of each thread, by key; None outside."""

    values: dict[Hashable, Any] | None = None


_made = _Made()


@contextlib.contextmanager
def each_once() -> Iterator[None]:
    """In this block and this thread, `once` makes each value only once; the values are dropped at the end.

    So while a network is loaded, its weights are read, hashed and converted once for all engines; a file that changes
    later is read again.
    """
    if _made.values is not None:
        yield
        return
    _made.values = {}
    try:
        yield
    finally:
        _made.values = None


def content(path: Path) -> bytes:
    """The content of a file; OSError if it cannot be read."""
    return once(("content", path), path.read_bytes) if path.stat().st_size <= KEPT else path.read_bytes()


def once(key: Hashable, make: Callable[[], T]) -> T:
    """The value of `make()`, or the earlier value with the same key in this block of `each_once`.

    >>> with each_once():
    ...     [once("number", lambda: 1), once("number", lambda: 2)]
    [1, 1]
    """
    if _made.values is None:
        return make()
    if key not in _made.values:
        _made.values[key] = make()
    return _made.values[key]


def unfinished_file(folder: Path) -> Path:
    """The name of a file until it is complete."""
    return folder / f".posecv-{os.getpid()}-{next(_unfinished)}.tmp"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and create its folder; OutputError if that fails.

    The file appears under its name only when it is complete.
    """
    unfinished = unfinished_file(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({reason(error)})") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
