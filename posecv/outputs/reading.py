"""Read results back from the files that `JsonLines` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posecv.errors import InputError, reason
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import BODY_25, COCO, MPI, Skeleton

__all__ = ["read_json_lines"]

BODY = "pose_keypoints_2d"
BY_COUNT = {3 * len(each.keypoints): each for each in (COCO, MPI, BODY_25)}


def read_json_lines(path: Path) -> Iterator[Result]:
    """The results of a `.jsonl` file, without frames; the skeleton is known by the number of keypoints.

    Raises
    ------
    InputError
        If a line is not a record, with its number.
    """
    skeleton: Skeleton | None = None
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, text in enumerate(file, 1):
                record = _record(path, number, text)
                skeleton = skeleton or _skeleton(path, number, record)
                try:
                    people = People.from_openpose(record, skeleton or COCO)
                except InputError as error:
                    raise InputError(f"{path}, line {number}: {error}") from None
                time = float(record.get("time") or 0.0)
                yield Result(people, None, Path(str(record.get("source") or "")), int(record.get("frame") or 0), time)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None


def _record(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("people"), list):
        raise InputError(f"{path}, line {number}: this is not a record that --json file.jsonl writes")
    for name, kinds in (("time", (int, float, type(None))), ("frame", (int, type(None)))):
        if not isinstance(record.get(name), kinds):
            raise InputError(f"{path}, line {number}: {name} is {record.get(name)!r}, which is not a number")
    return record


def _skeleton(path: Path, number: int, record: dict[str, Any]) -> Skeleton | None:
    """The skeleton of the first person; None without anybody."""
    counts = [len(person.get(BODY) or []) for person in record["people"] if isinstance(person, dict)]
    count = max(counts, default=0)
    if not count:
        return None
    if count not in BY_COUNT:
        raise InputError(f"{path}, line {number}: {count} numbers of keypoints fit no skeleton; 54, 45 or 75 would")
    return BY_COUNT[count]
