"""Where results go: one file a format; every output speaks `write(still, people)` and `close()`."""

from __future__ import annotations

from typing import Protocol

from posecv.people import People
from posecv.sources import Still

__all__ = ["Output"]


class Output(Protocol):
    """What a pipeline asks of an output."""

    def write(self, still: Still, people: People) -> None:
        """Take a still and its people; OutputError where they cannot be kept."""

    def has(self, still: Still) -> bool:
        """Whether an earlier run has written this still already."""

    def close(self) -> None:
        """Finish what was begun."""
