"""Reading ahead: a thread makes items while those before are worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")

PATIENCE = 0.1  # seconds between two looks at whether it was stopped
FAREWELL = 2.0  # seconds that a stop waits for the thread, which may be waiting for a stream


@dataclass(frozen=True)
class _End:
    """What comes after the last item."""

    error: BaseException | None = None


class Ahead(Generic[T]):
    """Iterates over items that a thread takes from elsewhere, so many at most before they are wanted.

    Parameters
    ----------
    items : iterable
        Where they come from.
    waiting : int
        How many may wait.
    replaces : callable
        Whether a new item takes the place of the one that has waited longest, where no other is free: of a camera old
        frames are left out.
    """

    def __init__(self, items: Iterable[T], waiting: int, replaces: Callable[[T, T], bool] | None = None) -> None:
        self._items, self._replaces = items, replaces
        self._queue: Queue[T | _End] = Queue(waiting)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """The items; what broke their making is raised where the next one would have come."""
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
        """Stop, and wait a while until the thread has ended."""
        self.stop()
        self._thread.join(FAREWELL)

    def _run(self) -> None:
        """Thread: take the items."""
        try:
            for item in self._items:
                if not self._put(item):
                    break
            if isinstance(self._items, Generator):
                self._items.close()  # so that a camera or a file is free at once
            self._put(_End())
        except BaseException as error:
            self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        """Wait for a place in the queue, or take that of the oldest; False once it was stopped."""
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
