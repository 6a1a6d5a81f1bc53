"""From the words of `--input` to sources."""

from __future__ import annotations

from collections.abc import Iterable

from posecv.sources import Source
from posecv.sources.films import Film
from posecv.sources.pictures import Picture, find_files, is_film
from posecv.sources.selection import Selection

__all__ = ["find_sources"]


def find_sources(inputs: Iterable[str], selection: Selection) -> list[Source]:
    """The pictures and films that the values of `--input` mean, each once, in order."""
    return [Film(path, selection) if is_film(path) else Picture(path, selection) for path in find_files(inputs)]
