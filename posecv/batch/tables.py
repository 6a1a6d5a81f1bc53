"""Parts as Parquet tables: a row for each person of each frame, and one for each frame without people.

docs/at-scale.md lists the columns. Compact tables hold 16-bit integers: positions times `scale` of the metadata, scores
times 1000.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from posecv.arrays import Array
from posecv.batch.stores import Store, package
from posecv.errors import InputError
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import FACE, HAND, SKELETONS, Skeleton

__all__ = ["PARTS", "Part", "errors_of", "errors_table", "read_results"]

FIXED = "source", "frame", "time", "person", "score"  # the columns that are no lists
PARTS = "parts"  # the folder of the parts
ABOUT = b"posecv"  # the key of the metadata
FINEST = 10.0  # integers per pixel in compact tables
SCORES = 1000.0  # integers of a score of 1
LARGEST = 32767
ALONG = {"left_hand": HAND, "right_hand": HAND, "face": FACE}


@dataclass
class Part:
    """The rows of a shard while it is worked on.

    Attributes
    ----------
    skeleton : Skeleton
    along : tuple of str
        Which of `left_hand`, `right_hand` and `face` have a column.
    tracked : bool
        Whether `person` is an id.
    frames, people : int
        How many there are.
    errors : list of (str, str)
        Paths that could not be read, and why.
    """

    skeleton: Skeleton
    along: tuple[str, ...] = ()
    tracked: bool = False
    frames: int = 0
    people: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)
    _columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in FIXED})
    _floats: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, source: str, result: Result) -> None:
        """Add a frame's people, or one row that says there were none."""
        people = result.people
        count = len(people)
        self.frames, self.people = self.frames + 1, self.people + count
        persons = people.ids if self.tracked and people.ids is not None else np.arange(count)
        rows = max(count, 1)
        self._columns["source"] += [source] * rows
        self._columns["frame"] += [result.number] * rows
        self._columns["time"] += [float(result.time)] * rows
        self._columns["person"] += persons.tolist() or [None]
        self._columns["score"] += people.scores.tolist() or [None]
        values = {"box": people.boxes, "keypoints": people.keypoints}
        values |= {name: _part_of(people, name) for name in self.along}
        for name, array in values.items():
            width = self._width(name)
            rows_of = array.reshape(count, width) if count else np.full((1, width), np.nan, np.float32)
            self._floats.setdefault(name, []).append(rows_of)

    def _width(self, name: str) -> int:
        return 4 if name == "box" else 3 * len(ALONG.get(name, self.skeleton).keypoints)

    def _rows(self, name: str) -> Array:
        empty = np.zeros((0, self._width(name)), np.float32)
        return np.concatenate([empty, *self._floats.get(name, [])]).astype(np.float32, copy=False)

    def encoded(self, about: Mapping[str, Any], *, compact: bool = False) -> bytes:
        """The Parquet file; `about` is added to its metadata."""
        pa, parquet = package("pyarrow"), package("pyarrow.parquet")
        kinds = {"source": pa.string(), "frame": pa.int32(), "time": pa.float64(), "person": pa.int32()}
        columns = {name: pa.array(self._columns[name], kinds.get(name, pa.float32())) for name in FIXED}
        floats = {name: self._rows(name) for name in ("box", "keypoints", *self.along)}
        scale = _scale(floats) if compact else 0.0
        for name, array in floats.items():
            columns[name] = _fixed(pa, name, array, scale)
        own = {"skeleton": self.skeleton.name, "keypoints": list(self.skeleton.keypoints), "tracked": self.tracked}
        own |= {"scale": scale, "frames": self.frames, "people": self.people, "errors": self.errors}
        table = pa.table(columns).replace_schema_metadata({ABOUT: json.dumps({**about, **own}).encode()})
        file = io.BytesIO()
        split = [] if compact else [f"{name}.list.element" for name in floats]
        parquet.write_table(table, file, compression="zstd", use_dictionary=["source"], use_byte_stream_split=split)
        return file.getvalue()


def _part_of(people: People, name: str) -> Array:
    """The hands or faces of people; zeros if none were looked for."""
    if name == "face":
        return np.zeros((len(people), len(FACE.keypoints), 3), np.float32) if people.faces is None else people.faces
    hands = np.zeros((len(people), 2, len(HAND.keypoints), 3), np.float32) if people.hands is None else people.hands
    return hands[:, int(name == "right_hand")]


def _scale(floats: Mapping[str, Array]) -> float:
    """Integers per pixel with which the farthest position fits into 16 bits."""
    farthest = max((float(np.nanmax(np.abs(array), initial=0)) for array in floats.values()), default=0)
    return min(FINEST, LARGEST / max(farthest, 1.0))


def _factors(width: int, scale: float) -> Array:
    """What the values of a row are multiplied by in compact tables."""
    triples = np.tile(np.array([scale, scale, SCORES], np.float32), width // 3 + 1)
    return np.full(4, scale, np.float32) if width == 4 else triples[:width]


def _fixed(pa: Any, name: str, array: Array, scale: float) -> Any:
    """A column of lists of one length; null where a row has NaN."""
    width = array.shape[1]
    nobody = np.asarray(np.isnan(array).any(axis=1))
    clean = np.where(nobody[:, None], 0, array).astype(np.float32)
    values = np.rint(clean * _factors(width, scale)).clip(-LARGEST, LARGEST).astype(np.int16) if scale else clean
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width, mask=pa.array(nobody))


# ------------------------------------------------------------------------------------------------------------ reading


def read_results(place: str | Path) -> Iterator[Result]:
    """The results of a batch, frame by frame: source, number, time and people, without frames.

    Parameters
    ----------
    place : str or path
        The folder that `posecv batch -o` wrote, or its address.

    Raises
    ------
    InputError
        If there are no results.

    Notes
    -----
    `source` is a Path, which writes `s3://bucket/a.jpg` as `s3:/bucket/a.jpg`.

    >>> for result in read_results("out/"):                               # doctest: +SKIP
    ...     print(result.source, result.number, len(result.people))
    """
    store = Store(str(place))
    for name in parts_of(store):
        yield from _results(store.read(f"{PARTS}/{name}"))


def parts_of(store: Store) -> list[str]:
    """The names of the parts of the last run; InputError if there was none."""
    try:
        run = json.loads(store.read("run.json"))
        return [str(name) for name in run["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{store.address} has no results of posecv batch; name the folder given with -o") from None


def about_of(data: bytes) -> dict[str, Any]:
    """The metadata of a part."""
    schema = package("pyarrow.parquet").read_schema(io.BytesIO(data))
    about: dict[str, Any] = json.loads(schema.metadata[ABOUT])
    return about


def errors_of(data: bytes) -> list[tuple[str, str]]:
    """The paths that a part could not read, and why."""
    return [(path, why) for path, why in about_of(data)["errors"]]


def errors_table(errors: Sequence[tuple[str, str]]) -> bytes:
    """A Parquet file of two columns, `source` and `error`."""
    pa = package("pyarrow")
    columns = {
        name: pa.array([row[index] for row in errors], pa.string()) for index, name in enumerate(("source", "error"))
    }
    file = io.BytesIO()
    package("pyarrow.parquet").write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()


def joined(parts: Sequence[bytes]) -> bytes:
    """One part with the rows and errors of several."""
    pa, parquet = package("pyarrow"), package("pyarrow.parquet")
    tables = [parquet.read_table(io.BytesIO(part)) for part in parts]
    abouts = [about_of(part) for part in parts]
    about = {**abouts[0], "errors": [error for each in abouts for error in each["errors"]]}
    about |= {name: sum(each[name] for each in abouts) for name in ("frames", "people")}
    if len({each["scale"] for each in abouts}) > 1:
        scale = about["scale"] = min(each["scale"] for each in abouts)
        tables = [_rescaled(pa, table, each["scale"], scale) for table, each in zip(tables, abouts, strict=True)]
    table = pa.concat_tables([each.replace_schema_metadata(None) for each in tables])
    file = io.BytesIO()
    table = table.replace_schema_metadata({ABOUT: json.dumps(about).encode()})
    parquet.write_table(table, file, compression="zstd", use_dictionary=["source"])
    return file.getvalue()


def _rescaled(pa: Any, table: Any, before: float, after: float) -> Any:
    for index, name in enumerate(table.column_names):
        if name not in FIXED:
            array = _floats_of(table, name, before)
            table = table.set_column(index, name, _fixed(pa, name, array, after))
    return table


def _floats_of(table: Any, name: str, scale: float) -> Array:
    """(rows, width) array of a column of lists; NaN in rows without anybody."""
    column = table.column(name).combine_chunks()
    width = column.type.list_size
    values = np.full((len(column), width), np.nan, np.float32)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    content = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, width).astype(np.float32)
    values[there] = content / _factors(width, scale) if scale else content
    return values


def _results(data: bytes) -> Iterator[Result]:
    table = package("pyarrow.parquet").read_table(io.BytesIO(data))
    about = about_of(data)
    skeleton = SKELETONS[about["skeleton"]]
    columns = {name: table.column(name).to_pylist() for name in FIXED}
    floats = {name: _floats_of(table, name, about["scale"]) for name in table.column_names if name not in FIXED}
    keys = list(zip(columns["source"], columns["frame"], strict=True))
    begins = [row for row, key in enumerate(keys) if row == 0 or key != keys[row - 1]]
    for begin, end in pairwise([*begins, len(keys)]):
        rows = slice(begin, end if columns["person"][begin] is not None else begin)
        people = _people(skeleton, columns, {name: array[rows] for name, array in floats.items()}, rows)
        if about["tracked"]:
            ids = np.array(columns["person"][rows], np.int64)
            people = People(people.keypoints, people.scores, skeleton, hands=people.hands, faces=people.faces, ids=ids)
        source, number = keys[begin]
        yield Result(people, None, Path(source), number, columns["time"][begin])


def _people(skeleton: Skeleton, columns: Mapping[str, list[Any]], floats: Mapping[str, Array], rows: slice) -> People:
    def points(name: str, kind: Skeleton) -> Array:
        return floats[name].reshape(-1, len(kind.keypoints), 3)

    hands = faces = None
    if "left_hand" in floats:
        hands = np.stack([points("left_hand", HAND), points("right_hand", HAND)], axis=1)
    if "face" in floats:
        faces = points("face", FACE)
    scores = np.array(columns["score"][rows], np.float32)
    return People(points("keypoints", skeleton), scores, skeleton, hands=hands, faces=faces)
