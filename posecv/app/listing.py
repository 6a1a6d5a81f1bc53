"""`posecv models`: the models in the manifest, and whether their files are on this computer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from posecv.errors import ModelError, PoseError
from posecv.models import Row, find_model, manifest
from posecv.terminal import ends_unread, say

__all__ = ["main"]


@ends_unread
def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(
        prog=prog or "posecv models", description="List the models that posecv knows, and where their files are."
    )
    parser.parse_args(argv)
    try:
        rows = [("name", "finds", "use", "files"), *map(_described, manifest())]
    except PoseError as error:
        say(f"{parser.prog}: {error}")
        return error.exit_code
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]))
    return 0


def _described(row: Row) -> tuple[str, str, str, str]:
    """Name, skeleton, permitted use, and the place of the files or how to get them."""
    try:
        where = str(find_model(row.name).caffemodel)
    except ModelError as error:
        where = "not here: " + str(error).rpartition(": ")[2]
    return row.name, row.skeleton.name if row.skeleton else "boxes", row.use, where
