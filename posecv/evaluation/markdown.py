"""Tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["table", "text"]

DASH = "–"


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; numbers with a fraction get three decimals, NaN and empty texts a dash.

    >>> print(table(["height", "AP"], [[256, 0.25], [368, float("nan")]]))
    | height | AP |
    | --- | --- |
    | 256 | 0.250 |
    | 368 | – |
    """
    heads = list(header)
    lines = [heads, ["---"] * len(heads), *([text(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text(value: object) -> str:
    """A value as in a table."""
    if isinstance(value, float):
        return DASH if math.isnan(value) else f"{value:.3f}"
    return str(value) or DASH
