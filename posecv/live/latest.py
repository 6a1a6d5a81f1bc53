"""The newest of something, handed from thread to thread: who asks late misses what came between."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Latest"]

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds the newest item alone; nobody waits for those who take it, and nothing piles up.

    Parameters
    ----------
    changed : threading.Condition
        Is notified with each item; by default one of its own.
    """

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self._changed = changed or threading.Condition()
        self._number = 0
        self._item: T | None = None

    def put(self, item: T) -> None:
        """Replace the item."""
        with self._changed:
            self._number += 1
            self._item = item
            self._changed.notify_all()

    def now(self) -> tuple[int, T | None]:
        """How many items there were so far, and the newest; 0 and None before the first.

        >>> latest: Latest[str] = Latest()
        >>> latest.put("old")
        >>> latest.put("new")
        >>> latest.now()
        (2, 'new')
        """
        with self._changed:
            return self._number, self._item

    def after(self, number: int, seconds: float) -> tuple[int, T | None]:
        """The same, once there is a newer item than that number's, or the seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, seconds)
            return self._number, self._item
