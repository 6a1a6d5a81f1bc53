"""What every benchmark's command line does alike."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from posecv.app.spellings import in_flags
from posecv.errors import PoseError

__all__ = ["one_line"]


def one_line(main: Callable[[], int]) -> Callable[[], int]:
    """The same program, which says what is wrong in one line on stderr and ends with the error's exit code."""

    @functools.wraps(main)
    def guarded() -> int:
        try:
            return main()
        except PoseError as error:
            print(f"{Path(sys.argv[0]).stem}: {in_flags(str(error))}", file=sys.stderr)
            return error.exit_code

    return guarded
