"""From the values of `--input` to sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from posecv.sources import Source
from posecv.sources.films import Film
from posecv.sources.pictures import Picture, find_files, is_film
from posecv.sources.selection import Selection
from posecv.sources.streams import Camera, live_source

__all__ = ["find_sources"]


def find_sources(
    inputs: Iterable[str],
    selection: Selection,
    *,
    camera_size: tuple[int, int] | None = None,
    camera_rate: float | None = None,
) -> list[Source]:
    """The images, videos, cameras and streams for the values of `--input`, in order, without duplicates."""
    sources: dict[str, Source] = {}
    for word in inputs:
        live = live_source(word, selection)
        if isinstance(live, Camera):
            live = replace(live, size=camera_size, rate=camera_rate)
        if live:
            sources.setdefault(word, live)
            continue
        for path in find_files([word]):
            file = Film(path, selection) if is_film(path) else Picture(path, selection)
            sources.setdefault(str(path.absolute()), file)
    return list(sources.values())
