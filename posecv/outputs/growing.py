"""Files that grow frame by frame: JSON lines, CSV, COCO's results.

Each is written as NAME.part.EXT and renamed at the end. If a run ends early, it is valid up to the last frame.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import json
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from posecv.checks import checked_path, known_arguments
from posecv.errors import OutputError, UsageError, reason
from posecv.files import Owner, put_in_place
from posecv.outputs.coordinates import converted
from posecv.outputs.files import Kind
from posecv.outputs.forms import form_of, formatted
from posecv.result import Result

__all__ = [
    "COCO_KIND", "CSV_FORMS", "CSV_KIND", "DIGITS", "JSONL_KIND", "CocoResults", "Csv", "Growing", "JsonLines",
    "check_ids", "harmless", "id_of", "image_ids", "part_of",
]  # fmt: skip

JSONL_KIND = Kind("json", ending="_keypoints.jsonl", suffixes=frozenset({".jsonl"}))
CSV_KIND = Kind("csv", ending="_keypoints.csv", suffixes=frozenset({".csv"}))
COCO_KIND = Kind("coco_json", ending="_coco.json", suffixes=frozenset({".json"}))

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
CSV_FORMS = ("plain", "excel")
NO_IMAGE = "the annotations have no image of this name, or several in other folders"
DIGITS = 6  # significant digits, as in OpenPose's records; for times, digits after the decimal point


def part_of(path: Path) -> Path:
    """The name of a file until it is complete.

    >>> part_of(Path("out/team.csv")).as_posix()
    'out/team.part.csv'
    """
    return path.with_name(f"{path.stem}.part{path.suffix}")


class Growing:
    """A file that grows at its end, before its closing bytes, which are written again each time."""

    def __init__(self, path: Path, *, opening: bytes = b"", closing: bytes = b"") -> None:
        self.path = path
        self._opening, self._closing = opening, closing
        self._file: io.FileIO | None = None
        self._owner: Owner | None = None
        self._end = 0  # where the closing bytes begin
        self._whole = True

    def grow(self, data: bytes) -> None:
        """Add bytes; if that fails, the file keeps its content and its unfinished name."""
        try:
            if self._file is None:
                self._owner = Owner(part_of(self.path))
                self._file = part_of(self.path).open("wb", buffering=0)
                self._write(self._opening + self._closing)
                self._end = len(self._opening)
            self._write(data + self._closing)
            self._end += len(data)
        except OSError as error:
            self._whole = False
            with contextlib.suppress(OSError):
                self._write(self._closing)
            raise OutputError(f"{part_of(self.path)} cannot be written ({reason(error)})") from None

    def _write(self, data: bytes) -> None:
        """Write at the end without a buffer, in one call if possible, so that a killed process loses nothing."""
        if self._file is None:
            return
        self._file.seek(self._end)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        self._file.truncate()

    def close(self) -> None:
        """Finish the file and rename it; after an error it keeps its unfinished name."""
        if self._file is None:
            return
        try:
            self._file.close()
            if self._whole:
                put_in_place(part_of(self.path), self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({reason(error)})") from None
        finally:
            self._file = None
            if self._owner:
                self._owner.release()


class JsonLines:
    """One line per frame: OpenPose's record, preceded by `source`, `frame` and `time`."""

    wants_rate = interactive = False

    @known_arguments
    def __init__(self, path: str | Path, *, scale: str = "image", form: str = "openpose") -> None:
        self._file, self._scale, self._form = Growing(checked_path(path)), scale, form_of(form)
        self.wants_view = scale == "net"

    def write(self, result: Result) -> None:
        """Add the line; OutputError if that fails."""
        place = {"source": str(result.source), "frame": result.number or 0, "time": round(result.time, DIGITS)}
        begin = json.dumps(place, ensure_ascii=False, separators=(",", ":"))[:-1]
        record = formatted(self._form(converted(result, self._scale), result))
        # A name that is not UTF-8 gets \\udcXX for each such byte, which JSON allows and os.fsencode undoes.
        self._file.grow(f"{begin},{record[1:]}\n".encode("utf-8", "backslashreplace"))

    def has(self, number: int | None) -> bool:
        """Always false: an unfinished file is not resumed."""
        return False

    def close(self) -> None:
        """Finish the file and rename it."""
        self._file.close()

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Csv:
    """One row per person: source, frame, time, index in the frame, score, then x, y, score of each keypoint.

    If people are tracked in the first frame, a column `id` follows the index.

    Parameters
    ----------
    path : str or Path
        The file.
    scale : str
        The coordinates, one of `posecv.outputs.coordinates.SCALES`.
    form : str
        "plain", or "excel": for Excel in countries that write decimal commas, with semicolons between the columns.
    """

    wants_rate = interactive = False

    @known_arguments
    def __init__(self, path: str | Path, *, scale: str = "image", form: str = "plain") -> None:
        if form not in CSV_FORMS:
            raise UsageError(f"csv_form={form} is unknown; choose one of {', '.join(CSV_FORMS)}")
        self._excel = form == "excel"
        self._file, self._scale = Growing(checked_path(path), opening=codecs.BOM_UTF8 if self._excel else b""), scale
        self.wants_view = scale == "net"
        self._first, self._tracked = True, False

    def write(self, result: Result) -> None:
        """Add the rows; OutputError if that fails."""
        people = converted(result, self._scale)
        rows: list[Sequence[Any]] = []
        if self._first:
            columns = [f"{name}_{what}" for name in people.skeleton.keypoints for what in ("x", "y", "score")]
            self._tracked = people.ids is not None
            rows.append(["source", "frame", "time", "person", *["id"] * self._tracked, "score", *columns])
        for index, (keypoints, score) in enumerate(zip(people.keypoints, people.scores, strict=True)):
            values = [f"{value:.{DIGITS}g}" for value in (score, *keypoints.ravel())]
            own = [-1 if people.ids is None else int(people.ids[index])] * self._tracked
            place = harmless(result.source), result.number or 0, round(result.time, DIGITS)
            rows.append([*place, index, *own, *values])
        text = io.StringIO()
        if self._excel:
            rows = [[_with_comma(value) for value in row] for row in rows]
        csv.writer(text, lineterminator="\n", delimiter=";" if self._excel else ",").writerows(rows)
        self._file.grow(text.getvalue().encode("utf-8", "backslashreplace"))
        self._first = False

    def has(self, number: int | None) -> bool:
        """Always false: an unfinished file is not resumed."""
        return False

    def close(self) -> None:
        """Finish the file and rename it."""
        self._file.close()

    def __enter__(self) -> Csv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CocoResults:
    """COCO's result format: a list of people with 17 keypoints; as in OpenPose's files, missing ones are -1, -1.

    Parameters
    ----------
    path : str or Path
        The file.
    ids : mapping of str to int
        The ids of images by their names, such as `image_ids` reads from a file of annotations. Without it, an image's
        id is the last number in its name, and a frame's id is its number in the video.
    """

    wants_view = wants_rate = interactive = False

    @known_arguments
    def __init__(self, path: str | Path, *, ids: Mapping[str, int] | None = None) -> None:
        self._file = Growing(checked_path(path), opening=b"[", closing=b"\n]\n")
        self._first = True
        self._ids = ids

    def write(self, result: Result) -> None:
        """Add the people; OutputError if that fails, ModelError if they lack COCO's keypoints."""
        image = self._id(result)
        rows = []
        for person in result.people.to_coco():
            keypoints = [_short(value) for value in person["keypoints"]]
            row = {"image_id": image, **person, "keypoints": keypoints, "score": _short(person["score"])}
            rows.append(json.dumps(row, separators=(",", ":")))
        before = "" if self._first or not rows else ","
        self._file.grow((before + ",".join("\n" + row for row in rows)).encode())
        self._first = self._first and not rows

    def _id(self, result: Result) -> int:
        if result.number is not None:
            return result.number
        if self._ids is None:
            return last_number(result.source)
        number = id_of(result.source, self._ids)
        if number is None:
            raise OutputError(f"{result.source}: {NO_IMAGE}")
        return number

    def has(self, number: int | None) -> bool:
        """Always false: an unfinished file is not resumed."""
        return False

    def close(self) -> None:
        """Finish the file and rename it."""
        self._file.close()

    def __enter__(self) -> CocoResults:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def image_ids(path: str | Path) -> dict[str, int]:
    """The ids of images by their names, from a file of COCO annotations; UsageError if it is not one.

    Names are those in the file, and without their folders where only one image has that name.
    """
    try:
        images = json.loads(Path(path).read_bytes())["images"]
        ids = {Path(image["file_name"]).as_posix(): operator.index(image["id"]) for image in images}
    except OSError as error:
        raise UsageError(f"coco_annotations={path} cannot be read ({reason(error)})") from None
    except (ValueError, KeyError, TypeError):
        said = f"coco_annotations={path} is not a file of COCO annotations"
        raise UsageError(f"{said}: it needs 'images', a list with 'id' and 'file_name'") from None
    often = Counter(Path(name).name for name in ids)
    return ids | {Path(name).name: number for name, number in ids.items() if often[Path(name).name] == 1}


def id_of(source: Path, ids: Mapping[str, int]) -> int | None:
    """The id of an image by as much of its path as the names have.

    >>> id_of(Path("photos/b/1.jpg"), {"a/1.jpg": 7, "b/1.jpg": 8})
    8
    """
    parts = source.absolute().parts
    tails = ("/".join(parts[begin:]) for begin in range(len(parts)))
    return next((ids[tail] for tail in tails if tail in ids), None)


def check_ids(sources: Iterable[tuple[Path, bool]], ids: Mapping[str, int] | None) -> None:
    """Raise UsageError if two sources, paths and whether they are videos, would share an id, or one has none."""
    taken: dict[int, Path] = {}
    videos: list[Path] = []
    for path, is_video in sources:
        if is_video:
            videos.append(path)
        else:
            number = last_number(path) if ids is None else id_of(path, ids)
            if number is None:
                raise UsageError(f"{path}: {NO_IMAGE}")
            if number in taken:
                said = f"coco_json: {taken[number]} and {path} would both have the id {number}"
                raise UsageError(f"{said}; give coco_annotations=FILE, which has the ids of the images")
            taken[number] = path
    if videos and (len(videos) > 1 or taken):
        said = f"coco_json: the ids of {videos[0]} are its frames' numbers, which others would have too"
        raise UsageError(f"{said}; give it a run of its own")


def harmless(source: Path) -> str:
    """A path that no spreadsheet takes for a formula, and that names the same file.

    >>> harmless(Path("=1+1.png"))
    './=1+1.png'
    """
    text = str(source)
    return f"./{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _with_comma(value: Any) -> Any:
    """Numbers with a decimal comma; names as they are."""
    return value if isinstance(value, str) and not _NUMBER.fullmatch(value) else str(value).replace(".", ",")


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def last_number(path: Path) -> int:
    """COCO's id of an image: the last number in its name, 0 if there is none."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else 0
