"""From the values of `--input` to sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from posecv.errors import InputError
from posecv.sources import Source
from posecv.sources.addresses import finite, local_path
from posecv.sources.animations import Page, is_animated, pages
from posecv.sources.films import Film
from posecv.sources.pictures import Picture, find_files, is_film, made_of
from posecv.sources.selection import Selection
from posecv.sources.streams import Camera, live_source, pipe
from posecv.terminal import say

__all__ = ["find_sources", "of_file"]


def find_sources(
    inputs: Iterable[str],
    selection: Selection,
    *,
    camera_size: tuple[int, int] | None = None,
    camera_rate: float | None = None,
) -> list[Source]:
    """The images, videos, cameras and streams for the values of `--input`, in order, without duplicates.

    Several images are a sequence, like the frames of a video: the selection applies to them, in order.
    """
    sources: dict[str, Source] = {}
    for word in _without_results(list(inputs)):
        word = local_path(word) or word
        live = finite(word, selection) or live_source(word, selection)
        if isinstance(live, Camera):
            live = replace(live, size=camera_size, rate=camera_rate)
        if live:
            sources.setdefault(word, live)
            continue
        for path in find_files([word]):
            for file in of_file(path, selection):
                sources.setdefault(str(file.path.absolute()), file)
    return _selected(list(sources.values()), selection)


def _without_results(words: list[str]) -> list[str]:
    """The words without files that posecv made of others among them, as a shell finds for `*.png` after a first run."""
    files = {word: Path(word) for word in words if not word.startswith("-")}
    named = {(path.parent, name) for path in files.values() for name in (path.stem, path.name)}
    made = {word for word, path in files.items() if any((path.parent, name) in named for name in made_of(path))}
    if made:
        say(f"left out, as results of other inputs: {', '.join(sorted(made)[:3])}{' ...' if len(made) > 3 else ''}")
    return [word for word in words if word not in made]


def _selected(sources: list[Source], selection: Selection) -> list[Source]:
    """The sources; of several images those that a selection wants."""
    if len(sources) < 2 or any(source.has_frames for source in sources):
        return sources
    chosen = [source for number, source in enumerate(sources) if selection.wants(number)]
    if not chosen:
        raise InputError(f"there is no image {selection.first}: there are {len(sources)}, counted from 0")
    return chosen


def of_file(path: Path, selection: Selection) -> list[Source]:
    """A video or an animated image, an image, or the pages of one."""
    if source := pipe(path, selection):
        return [source]
    if is_film(path) or is_animated(path):
        return [Film(path, selection)]
    count = pages(path)
    return [Page(path, index, selection) for index in range(count)] if count > 1 else [Picture(path, selection)]
