"""Write files atomically, own files that grow, and read files once."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from posecv.errors import OutputError, reason

__all__ = ["KEPT", "Owner", "clear_unfinished", "content", "each_once", "once", "put_in_place", "unfinished_file",
           "write_whole"]  # fmt: skip

T = TypeVar("T")

KEPT = 32 << 20  # bytes; larger files are not kept in a block of `each_once`, to leave memory for engines
ABANDONED = 600.0  # seconds after which an unfinished file is that of a process that was killed


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
    """A new name for a file until it is complete; random, since processes in containers share their numbers."""
    return folder / f".posecv-{secrets.token_hex(8)}.tmp"


def clear_unfinished(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed: those that nobody has written to for a while."""
    with contextlib.suppress(OSError):
        for leftover in folder.glob(".posecv-*.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > ABANDONED:
                    leftover.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and create its folder; OutputError if that fails.

    The file appears under its name only when it is complete and has reached the disk, so that it is whole even if the
    power fails.
    """
    unfinished = unfinished_file(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("xb") as file:
            file.write(data)
        put_in_place(unfinished, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({reason(error)})") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def put_in_place(unfinished: Path, path: Path) -> None:
    """Give a finished file its name, when its content has reached the disk; OSError if that fails."""
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Let the names in a folder reach the disk, where the system can do that."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some file systems cannot
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


class Owner:
    """Owns a file that grows, from its creation until `release`; another run that wants it gets an OutputError.

    The owner holds a lock on a file beside it, which the system drops when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The file that grows. Its folder is created.
    """

    def __init__(self, path: Path) -> None:
        self._lock = path.with_name(f".{path.name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self._number = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
            if not _locked(self._number):
                os.close(self._number)
                raise OutputError(f"{path} is being written by another run; choose another name, or wait for its end")
            if _is_still(self._lock, self._number):
                return
            os.close(self._number)  # the owner before has just removed it

    def release(self) -> None:
        """Give the file up."""
        with contextlib.suppress(OSError):
            self._lock.unlink()
        with contextlib.suppress(OSError):
            os.close(self._number)


def _locked(number: int) -> bool:
    """Lock an open file; False if another process has locked it, true where files cannot be locked."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # some network file systems have no locks
    return True


def _is_still(path: Path, number: int) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(number))
    except OSError:
        return False
