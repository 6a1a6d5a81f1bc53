"""Stored tables: rows in a CSV file; a later run replaces the rows that it measures again."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from posecv.evaluation import markdown
from posecv.files import write_whole

Row = dict[str, str]


def text(value: float, digits: int) -> str:
    """A number with that many decimals; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def number(value: str) -> float:
    """The number that `text` wrote."""
    return float(value) if value else math.nan


def kept(path: Path) -> list[Row]:
    """The rows of a file; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def merged(old: Sequence[Row], new: Sequence[Row], key: Sequence[str]) -> list[Row]:
    """The rows of both; a new row replaces the old one with the same key, and keeps the columns that it lacks."""
    rows = {tuple(row[name] for name in key): row for row in old}
    for row in new:
        name = tuple(row[column] for column in key)
        rows[name] = rows.get(name, {}) | row
    return list(rows.values())


def write(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write the file, whole or not at all."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, file.getvalue().encode())


def table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Columns of rows as a table in Markdown; an empty field is a dash."""
    return markdown.table(columns, ([row.get(name, "") for name in columns] for row in rows))
