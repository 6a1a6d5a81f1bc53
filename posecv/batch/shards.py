"""Shards: the same inputs are always cut the same way, and one image more changes one shard.

Images are sorted into buckets by a hash of their paths. A bucket with too many is split in two by the next bit of the
hash, and so on. A long video is cut into ranges of frames; one that is followed over time is a shard of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from posecv.batch.stores import Item

__all__ = ["IMAGES", "LONG", "Shard", "cut"]

IMAGES = 256  # most images in a shard
LONG = 9000  # frames of a range of a video: five minutes


@dataclass(frozen=True)
class Shard:
    """Some images, a video, or a range of a video's frames.

    Attributes
    ----------
    items : tuple of Item
    frames : (int, int or None) or None
        Of a range: its first frame, and the one behind its last; None behind the video's end.
    """

    items: tuple[Item, ...]
    frames: tuple[int, int | None] | None = None

    def name(self, settings: str) -> str:
        """The name of its part: a hash of its inputs and of the settings, which are themselves a hash."""
        content = [settings, self.frames, [[item.path, item.size, item.stamp] for item in self.items]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def halves(self) -> tuple[Shard, ...]:
        """Two shards with half of its items each; none if it has a single one."""
        middle = len(self.items) // 2
        return (replace(self, items=self.items[:middle]), replace(self, items=self.items[middle:])) if middle else ()


def cut(items: Iterable[Item], lengths: dict[str, int], *, images: int = IMAGES, frames: int = LONG) -> list[Shard]:
    """The shards of images and videos.

    Parameters
    ----------
    items : iterable of Item
    lengths : dict
        Approximate numbers of frames of the videos that may be cut, by path.
    images, frames : int
        Most images of a shard, and frames of a range.

    >>> [len(shard.items) for shard in cut([Item(f"{n}.jpg") for n in range(9)], {}, images=4)]
    [4, 4, 1]
    """
    items = list(items)
    shards = [Shard(bucket) for bucket in _buckets([item for item in items if not item.is_film], images)]
    for item in items:
        if item.is_film:
            shards += _ranges(item, lengths.get(item.path, 0), frames)
    return shards


def _ranges(item: Item, length: int, frames: int) -> Iterator[Shard]:
    starts = list(range(0, length, frames)) if length > frames else []
    if not starts:
        yield Shard((item,))
    for start in starts:
        yield Shard((item,), (start, None if start == starts[-1] else start + frames))


def _buckets(items: Sequence[Item], most: int, bit: int = 0) -> Iterator[tuple[Item, ...]]:
    """The items in buckets, by the bits of their hashes."""
    if len(items) <= most or bit == 256:
        if items:
            yield tuple(sorted(items))
        return
    for side in (0, 1):
        yield from _buckets([item for item in items if _bit(item.path, bit) == side], most, bit + 1)


def _bit(path: str, number: int) -> int:
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return digest[number // 8] >> (7 - number % 8) & 1
