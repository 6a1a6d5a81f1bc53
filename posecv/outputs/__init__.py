"""Where results go: a file for each format; every output has `write(result)` and `close()`.

Outputs can be used alone:

>>> import posecv
>>> with posecv.JsonLines("people.jsonl") as out:                       # doctest: +SKIP
...     for result in posecv.stream("film.mp4"):
...         out.write(result)
"""

from __future__ import annotations

from typing import Protocol

from posecv.result import Result

__all__ = ["Output"]


class Output(Protocol):
    """What a run asks of an output."""

    @property
    def wants_view(self) -> bool:
        """Whether it writes maps, or needs to know where the frame lay in the network's input."""

    @property
    def interactive(self) -> bool:
        """Whether somebody looks at it: it belongs to the thread that calls, and frames are not to wait for it."""

    def write(self, result: Result) -> None:
        """Take a result; OutputError where it cannot be kept."""

    def has(self, number: int | None) -> bool:
        """Whether an earlier run has written the frame of that number, or the image, already."""

    def close(self) -> None:
        """Finish what was begun."""

