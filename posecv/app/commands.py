"""What the commands that are not scripts have in common: their parser, and how they end."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from posecv.app.spellings import in_flags
from posecv.errors import InputError, PoseError, UsageError
from posecv.opencv import require_opencv
from posecv.terminal import ends_unread, say, silence_opencv

__all__ = ["CommandParser", "find_pictures", "run"]


class CommandParser(argparse.ArgumentParser):
    """A parser that raises UsageError; options may have underscores instead of dashes."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        codes = "Exit codes: 0 all done, 1 some inputs failed, 2 nothing was done, 130 Ctrl-C."
        super().__init__(prog=prog, description=description, epilog=f"{epilog} {codes}".strip(), allow_abbrev=False)

    @property
    def flags(self) -> list[str]:
        """All options."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        raise UsageError(re.sub(r"^argument ", "", message))

    def parsed(self, words: Sequence[str]) -> argparse.Namespace:
        """The options; UsageError names the nearest option for an unknown one."""
        options, unknown = self.parse_known_args([self._dashed(word) for word in words])
        for word in unknown:
            name = word.partition("=")[0]
            nearest = difflib.get_close_matches(name, self.flags, n=1, cutoff=0.7)
            said = f"unknown option {name}" if name.startswith("-") else f"{word!r} does not belong to an option"
            raise UsageError(f"{said}; did you mean {nearest[0]}?" if nearest else said)
        return options

    def _dashed(self, word: str) -> str:
        """An option in the spelling of this parser."""
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name in self.flags:
            return word
        dashed = "--" + name[2:].replace("_", "-")
        return dashed + equals + value if dashed in self.flags else word


@ends_unread
def run(
    parser: CommandParser, argv: Sequence[str] | None, work: Callable[[argparse.Namespace], int]
) -> int:
    """Parse and work; report an error as one line on stderr and an exit code."""
    try:
        options = parser.parsed(sys.argv[1:] if argv is None else argv)
        require_opencv()
        silence_opencv()
        return work(options)
    except PoseError as error:
        hint = " (--help lists the options)" if isinstance(error, UsageError) else ""
        say(" ".join(f"{parser.prog}: {in_flags(str(error), parser.flags)}{hint}".split()))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def find_pictures(inputs: Sequence[str]) -> Iterator[Path]:
    """The images that inputs mean: files, folders, patterns. A line tells of videos, which are left out."""
    from posecv.sources.pictures import find_files, is_film

    for path in find_files(inputs):
        if is_film(path):
            say(f"{path} is a video; only images are read here")
        elif path.is_dir():
            raise InputError(f"{path}: no images in this folder")
        else:
            yield path
