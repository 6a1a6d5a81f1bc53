"""From the words of `--input` to sources."""

from __future__ import annotations

from collections.abc import Iterable

from posecv.sources import Source
from posecv.sources.films import Film
from posecv.sources.pictures import Picture, find_files, is_film
from posecv.sources.selection import Selection
from posecv.sources.streams import live_source

__all__ = ["find_sources"]


def find_sources(inputs: Iterable[str], selection: Selection) -> list[Source]:
    """The pictures, films, cameras and streams that the values of `--input` mean, each once, in order."""
    sources: dict[str, Source] = {}
    for word in inputs:
        live = live_source(word, selection)
        if live:
            sources.setdefault(word, live)
            continue
        for path in find_files([word]):
            file = Film(path, selection) if is_film(path) else Picture(path, selection)
            sources.setdefault(str(path.absolute()), file)
    return list(sources.values())
