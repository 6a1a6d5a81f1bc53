"""What the command lines of all benchmarks have in common."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from posecv.app.spellings import in_flags
from posecv.errors import PoseError
from posecv.terminal import ends_unread

__all__ = ["one_line"]


class Main(Protocol):
    """A program: the words of its command line (by default the process's) to its exit code."""

    def __call__(self, argv: Sequence[str] | None = None, /) -> int: ...


def one_line(main: Callable[[Sequence[str] | None], int]) -> Main:
    """The same program, which reports an error in one line on stderr and ends with the error's exit code."""
    name = Path(main.__code__.co_filename).stem

    @ends_unread
    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except PoseError as error:
            print(f"{name}: {in_flags(str(error))}", file=sys.stderr)
            return error.exit_code

    return guarded
