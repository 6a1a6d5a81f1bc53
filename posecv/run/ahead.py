"""Reading ahead: a thread produces items while earlier ones are processed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")

PATIENCE = 0.1  # seconds between two checks whether it was stopped
FAREWELL = 2.0  # seconds to wait for the thread to end; it may be blocked by a stream


@dataclass(frozen=True)
class _End:
    """The end of the items."""

    error: BaseException | None = None


class Ahead(Generic[T]):
    """Iterates over items that a thread takes from `items` in advance.

    Parameters
    ----------
    items : iterable
        The source of the items.
    waiting : int
        Maximum number of items that wait.
    replaces : callable
        Whether, when the queue is full, a new item replaces the oldest one: old frames of a camera are dropped.
    """

    def __init__(self, items: Iterable[T], waiting: int, replaces: Callable[[T, T], bool] | None = None) -> None:
        self._items, self._replaces = items, replaces
        self._queue: Queue[T | _End] = Queue(waiting)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """The items; an error of their source is raised after the last one."""
        while not self._stopped.is_set():
            with suppress(Empty):
                item = self._queue.get(timeout=PATIENCE)
                if not isinstance(item, _End):
                    yield item
                elif item.error:
                    raise item.error
                else:
                    return

    def stop(self) -> None:
        """Take no more items."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and wait briefly for the thread to end."""
        self.stop()
        self._thread.join(FAREWELL)

    def _run(self) -> None:
        """Thread: take the items."""
        try:
            for item in self._items:
                if not self._put(item):
                    break
            if isinstance(self._items, Generator):
                self._items.close()  # releases the camera or file at once
            self._put(_End())
        except BaseException as error:
            self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        """Wait for room in the queue, or replace the oldest item; False after a stop."""
        while not self._stopped.is_set():
            if self._replaces and not isinstance(item, _End):
                self._make_room(item, self._replaces)
            with suppress(Full):
                self._queue.put(item, timeout=PATIENCE)
                return True
        return False

    def _make_room(self, item: T, replaces: Callable[[T, T], bool]) -> None:
        waiting = self._queue.queue
        with self._queue.mutex:
            if len(waiting) < self._queue.maxsize:
                return
            oldest = waiting[0]
            if not isinstance(oldest, _End) and replaces(item, oldest):
                waiting.popleft()
                self._queue.not_full.notify()
