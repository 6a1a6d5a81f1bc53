"""The newest item, passed between threads; slow readers skip items."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Latest"]

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds only the newest item; writers do not wait for readers.

    Parameters
    ----------
    changed : threading.Condition
        Notified of each item; by default a new condition.
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
        """The number of items so far, and the newest; 0 and None before the first.

        >>> latest: Latest[str] = Latest()
        >>> latest.put("old")
        >>> latest.put("new")
        >>> latest.now()
        (2, 'new')
        """
        with self._changed:
            return self._number, self._item

    def after(self, number: int, seconds: float) -> tuple[int, T | None]:
        """The same, after waiting for a newer item than that number, or until the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, seconds)
            return self._number, self._item
