"""Run a model over labelled images, or over those of them that are wanted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.estimators import Estimator
from posecv.evaluation.annotations import coco_number
from posecv.evaluation.coco import Truth, keypoints_of, of_images
from posecv.evaluation.results import Detections, Line, Store, people_lines
from posecv.result import Result
from posecv.sources.pictures import read_picture
from posecv.terminal import say

__all__ = ["Subject", "chosen", "detections", "files_of", "without_trained"]


@dataclass(frozen=True)
class Subject:
    """A model to evaluate.

    Attributes
    ----------
    name : str
    estimator : Estimator
        That leaves nobody out by score.
    threshold : float
        The score that people need with default options.
    """

    name: str
    estimator: Estimator
    threshold: float


def files_of(truth: Truth, folder: Path) -> tuple[Truth, dict[int, Path]]:
    """The annotations whose images are there, and the images' files by id; a line tells of those that are missing.

    `file_name` may have folders (`val2017/1.jpg`), which may also be the given folder itself.

    Raises
    ------
    InputError
        If none of the images is there.
    """
    files: dict[int, Path] = {}
    missing = []
    for row in truth["images"]:
        name = Path(row["file_name"])
        places = [place for place in (folder / name, folder / name.name) if place.is_file()]
        if places:
            files[row["id"]] = places[0]
        else:
            missing.append(row["file_name"])
    if not files:
        raise InputError(f"{folder} has none of the {len(missing)} annotated images, such as {missing[0]}")
    if missing:
        say(f"{folder}: {len(missing)} annotated images are missing, such as {missing[0]}; the others are evaluated")
    return of_images(truth, files), files


def chosen(truth: Truth, *, limit: int | None = None, sample: int | None = None, seed: int = 0) -> Truth:
    """The first `limit` images, or `sample` of them at random; all by default."""
    ids = [row["id"] for row in truth["images"]]
    if sample is not None and sample < len(ids):
        ids = sorted(random.Random(seed).sample(ids, sample))
    return of_images(truth, ids[:limit] if limit is not None else ids)


def without_trained(truth: Truth, trained: set[int], name: str) -> Truth:
    """The annotations without images that a model was trained on, by their numbers in COCO; a line tells how many."""
    numbers = {row["id"]: coco_number(row["file_name"]) for row in truth["images"]}
    left = [image for image, number in numbers.items() if number not in trained]
    if not left:
        raise InputError(f"{name} was trained on all of these images; evaluate it on others")
    if len(left) < len(numbers):
        say(f"{len(numbers) - len(left)} images are left out, because {name} was trained on them")
    return of_images(truth, left)


def detections(
    truth: Truth, files: dict[int, Path], subject: Subject, store: Store, change: Callable[[Frame], Frame] | None = None
) -> Detections:
    """What a model finds in the images; those that `store` already has are not looked at again.

    An image that cannot be read gets a line, and counts as one in which nobody was found.
    """
    names = keypoints_of(truth)
    height = None
    images = [row["id"] for row in truth["images"]]
    for image, frame in _frames(images, files, store, change):
        begin = perf_counter()
        result = subject.estimator(frame)
        seconds = perf_counter() - begin
        scale = _scale(result)
        people = people_lines(image, result.people, names, subject.threshold)
        store.add(Line(image, people, scale, seconds))
        height = result.view.fit.height if result.view is not None else height
    return store.detections(subject.name, images, height)


def _frames(
    images: Sequence[int], files: dict[int, Path], store: Store, change: Callable[[Frame], Frame] | None
) -> Iterator[tuple[int, Frame]]:
    for image in images:
        if image in store.lines:
            continue
        try:
            frame = read_picture(files[image])
        except InputError as error:
            say(str(error))
            store.add(Line(image, []))
            continue
        yield image, change(frame) if change else frame


def _scale(result: Result) -> float:
    return result.view.fit.scale if result.view is not None else 1.0
