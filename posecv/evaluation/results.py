"""Detections of a whole set of images: made by a network, kept while they are made, or read from files.

A run writes NAME.jsonl, a line for each image, which `--resume` continues, and at its end NAME.json, COCO's results
with two more fields: `keypoint_scores`, and `below_threshold` for people whom default options leave out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError, OutputError, reason
from posecv.evaluation.coco import PERSON, Truth, keypoints_of, named_keypoints, parsed, records
from posecv.files import write_whole
from posecv.people import People

__all__ = ["Detections", "Line", "Store", "people_lines", "read_coco_results"]

Record = dict[str, Any]
DIGITS = 6


@dataclass(frozen=True)
class Line:
    """One image.

    Attributes
    ----------
    image : int
        Its id.
    people : list of dict
        COCO's results with `keypoint_scores` and `below_threshold`.
    scale : float
        Pixels of the network's input per pixel of the image.
    seconds : float
        That the estimate took.
    """

    image: int
    people: list[Record]
    scale: float = 1.0
    seconds: float = math.nan

    def text(self) -> str:
        """The line of a file."""
        values = {"image_id": self.image, "scale": round(self.scale, DIGITS), "seconds": round(self.seconds, DIGITS)}
        return json.dumps({**values, "people": self.people}, separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class Detections:
    """What one model found.

    Attributes
    ----------
    name : str
        Of the model, or of the file.
    every : list of dict
        COCO's results of everybody, without a threshold.
    scales : mapping of int to float
        Pixels of the network's input per pixel of the image, by the image's id.
    seconds : mapping of int to float
        Likewise.
    net_height : float or None
        Height of the network's input; None if it is not known.
    """

    name: str
    every: list[Record]
    scales: Mapping[int, float] = field(default_factory=dict)
    seconds: Mapping[int, float] = field(default_factory=dict)
    net_height: float | None = None

    @property
    def kept(self) -> list[Record]:
        """The people whom default options keep."""
        return [row for row in self.every if not row.get("below_threshold")]

    def arrays(self, truth: Truth, *, every: bool = False) -> dict[int, NDArray[np.float64]]:
        """By image, (N, K, 3) keypoints with their scores, or 1 where these are not known; those kept, or everybody."""
        count = len(keypoints_of(truth))
        found: dict[int, list[NDArray[np.float64]]] = {}
        for row in self.every if every else self.kept:
            points = np.array(row["keypoints"], np.float64).reshape(count, 3)
            points[:, 2] = np.array(row.get("keypoint_scores", points[:, 2] > 0), np.float64)
            found.setdefault(row["image_id"], []).append(points)
        return {image: np.array(rows) for image, rows in found.items()}


def people_lines(image: int, people: People, names: Sequence[str], threshold: float) -> list[Record]:
    """COCO's results of an image, with the scores of keypoints, and marked where default options leave somebody out."""
    scores = named_keypoints(people, names)[..., 2]
    rows = []
    for row, each, score in zip(records(image, people, names), scores, people.scores, strict=True):
        rounded = {"keypoints": [round(value, 2) for value in row["keypoints"]]}
        kept = {} if score > threshold else {"below_threshold": True}
        rows.append({**row, **rounded, "keypoint_scores": [round(float(value), 4) for value in each], **kept})
    return rows


class Store:
    """The file of a run, a line for each image; a later run with the same settings goes on with it.

    Parameters
    ----------
    path : Path or None
        NAME.jsonl; None keeps the lines in memory alone.
    settings : mapping
        What the results depend on: model, size of the input, effect.
    resume : bool
        Whether to keep the lines of an earlier run; OutputError if its settings were others.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any], *, resume: bool = False) -> None:
        self.path, self.settings = path, dict(settings)
        self.lines: dict[int, Line] = {}
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if resume and path.exists():
                self.lines = self._read(path)
            self._rewrite(path)
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({reason(error)})") from None

    def _read(self, path: Path) -> dict[int, Line]:
        """The complete lines of an earlier run; what a killed run wrote half is made again."""
        head, *rows = path.read_text(encoding="utf-8").splitlines() or [""]
        try:
            before = json.loads(head)
        except ValueError:
            return {}
        if before != self.settings:
            names = [name for name in self.settings if before.get(name) != self.settings[name]] or ["settings"]
            raise OutputError(
                f"{path} was made with another {names[0]} ({before.get(names[0])}, now {self.settings.get(names[0])}); "
                "give another folder, or leave resume out to begin anew"
            )
        found = {}
        for row in rows:
            try:
                line = json.loads(row)
                found[line["image_id"]] = Line(line["image_id"], line["people"], line["scale"], line["seconds"])
            except (ValueError, KeyError, TypeError):
                break
        return found

    def _rewrite(self, path: Path) -> None:
        """Begin the file, with what is kept of it."""
        text = json.dumps(self.settings) + "\n" + "".join(line.text() for line in self.lines.values())
        write_whole(path, text.encode())

    def add(self, line: Line) -> None:
        """Keep a line, on the disk too."""
        self.lines[line.image] = line
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line.text())
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({reason(error)})") from None

    def detections(self, name: str, images: Iterable[int], net_height: float | None) -> Detections:
        """What was found in these images."""
        lines = [self.lines[image] for image in images if image in self.lines]
        people = [row for line in lines for row in line.people]
        scales = {line.image: line.scale for line in lines}
        return Detections(name, people, scales, {line.image: line.seconds for line in lines}, net_height)


def read_coco_results(path: Path, truth: Truth) -> tuple[list[Record], list[str]]:
    """COCO's results from a file, and a line about each kind of what is left out.

    Left out are results of images that the annotations do not have, of another category, and with numbers that are not
    finite. The lines of a run (`.jsonl`) are read too.

    Raises
    ------
    InputError
        If the file is no list of results, their keypoints do not fit, or all of them are of other images.
    """
    rows = list(_lines(path)) if path.suffix == ".jsonl" else parsed(path)
    if not isinstance(rows, list):
        raise InputError(f"{path} is not a list of COCO's results (image_id, category_id, keypoints, score)")
    count = 3 * len(keypoints_of(truth))
    images = {row["id"] for row in truth["images"]}
    kept, odd, strange, other = [], 0, set(), 0
    for number, row in enumerate(rows):
        _check(path, number, row, count)
        if row.get("category_id", PERSON) != PERSON:
            other += 1
        elif row["image_id"] not in images:
            strange.add(row["image_id"])
        elif not (math.isfinite(row["score"]) and all(map(math.isfinite, row["keypoints"]))):
            odd += 1
        else:
            kept.append({**row, "category_id": PERSON})
    if rows and not kept and strange:
        raise InputError(
            f"{path}: all results are of images that the annotations do not have, such as {min(strange)}; "
            "they belong to other annotations"
        )
    notes = [f"{path} is an empty list: nobody was found"] if not rows else []
    if strange:
        count = len(strange)
        notes.append(f"{path}: left out the results of {count} images without annotations, such as {min(strange)}")
    if odd:
        notes.append(f"{path}: left out {odd} results with a score or keypoints that are not finite numbers")
    if other:
        notes.append(f"{path}: left out {other} results of other categories than person")
    return kept, notes


def _lines(path: Path) -> Iterator[Record]:
    """The people of a file that a run wrote."""
    try:
        for text in path.read_text(encoding="utf-8").splitlines()[1:]:
            yield from json.loads(text)["people"]
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: a line is not one that posecv evaluate wrote") from None


def _check(path: Path, number: int, row: Any, count: int) -> None:
    """Raise InputError for what is no result."""
    said = f"{path}: result {number}"
    missing = [name for name in ("image_id", "keypoints", "score") if not isinstance(row, dict) or name not in row]
    if missing:
        raise InputError(f"{said} has no {missing[0]}")
    points, score = row["keypoints"], row["score"]
    if not isinstance(points, list) or len(points) != count:
        found = len(points) if isinstance(points, list) else 0
        raise InputError(f"{said} has {found} numbers in keypoints; these annotations have {count}")
    if not all(isinstance(value, (int, float)) for value in [*points, score]):
        raise InputError(f"{said} has keypoints or a score that are not numbers")
