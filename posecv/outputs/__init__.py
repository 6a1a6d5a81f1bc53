"""Outputs: one module per format; every output has `write(result)` and `close()`.

Outputs can be used alone:

>>> import posecv
>>> with posecv.JsonLines("people.jsonl") as out:                       # doctest: +SKIP
...     for result in posecv.stream("film.mp4"):
...         out.write(result)
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from posecv.result import Result

__all__ = ["CanBeCutOff", "Output"]


class Output(Protocol):
    """The interface of outputs."""

    @property
    def wants_view(self) -> bool:
        """Whether it needs the result's `view`: the maps, or where the frame lies in the network's input."""

    @property
    def wants_rate(self) -> bool:
        """Whether results of a live source should arrive at a constant rate: it has no times of its own."""

    @property
    def interactive(self) -> bool:
        """Whether a user watches it: it runs in the calling thread and should show the newest frame."""

    def write(self, result: Result) -> None:
        """Write a result; OutputError if that fails."""

    def has(self, number: int | None) -> bool:
        """Whether an earlier run has already written the image, or the frame with that number."""

    def close(self) -> None:
        """Finish the output."""


@runtime_checkable
class CanBeCutOff(Protocol):
    """An output that wants to know when the run is stopped before its end."""

    def cut_off(self) -> None:
        """Note that frames are missing at the end; `close` follows."""
