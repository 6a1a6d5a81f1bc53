"""Files that appear whole or not at all, and what is read of files once."""

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

KEPT = 32 << 20  # bytes of the largest file that is kept in a block of `each_once`; larger ones would crowd out engines

_unfinished = count()


class _Made(threading.local):
    """What was made in the outermost `each_once` of each thread, by its key; None outside."""

    values: dict[Hashable, Any] | None = None


_made = _Made()


@contextlib.contextmanager
def each_once() -> Iterator[None]:
    """In this block and this thread, `once` makes each thing once; with the block it is forgotten.

    So a file of weights is read, hashed and converted once while a network is loaded, however many engines want it, and
    a file that changes afterwards is read again.
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
    """What a file holds; OSError where it cannot be read."""
    return once(("content", path), path.read_bytes) if path.stat().st_size <= KEPT else path.read_bytes()


def once(key: Hashable, make: Callable[[], T]) -> T:
    """What `make` makes, or made before under the same key in this block of `each_once`.

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
    """A name for a file until it is whole."""
    return folder / f".posecv-{os.getpid()}-{next(_unfinished)}.tmp"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and the folder that it lies in; OutputError where that fails.

    It appears under its name only when it is complete.
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
