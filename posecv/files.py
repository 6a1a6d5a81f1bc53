"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from itertools import count
from pathlib import Path

from posecv.errors import OutputError, reason

__all__ = ["unfinished_file", "write_whole"]

_unfinished = count()


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
