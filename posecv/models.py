"""Models by name: the rows of models/MANIFEST.tsv, and where their weights are on this computer.

A row contains everything that is specific to a model: preprocessing, decoding constants, the weights' file, its hashes,
addresses and licence. A pair of files gets the row of its caffemodel, which is recognised by its content, not by its
path.
"""

from __future__ import annotations

import atexit
import difflib
import hashlib
import importlib.resources
import math
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posecv.errors import ModelError, reason
from posecv.files import KEPT, content, once
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI, MPI_4_STAGES, REFINEMENTS, SKELETONS, Skeleton, Thresholds

if TYPE_CHECKING:
    from posecv.geometry import Preprocessing

__all__ = [
    "Model",
    "Row",
    "cache_folder",
    "find_model",
    "manifest",
    "model_of_onnx",
    "model_of_pair",
    "models_folder",
    "read_mean",
    "read_number",
    "sha256_of",
    "skeleton_of_channels",
]

NET_SIDE = 368  # OpenPose's
GATE = 0.2  # OpenPose does not draw weaker keypoints of hands; the gate of its networks has not been measured
FED = ("scale", "mean", "swap_rb", "padding")  # columns of the preprocessing
PERSON_SCORES = ("openpose", "sized")
USES = ("any", "non-commercial", "research")

PACKAGE = Path(__file__).resolve().parent  # inside a file if Python imports from a zip
_UNZIPPING = threading.Lock()
_copies: dict[Path, Path] = {}


@dataclass(frozen=True)
class Model:
    """A pair of files and its properties.

    Attributes
    ----------
    name : str
        As in the manifest; for an unknown pair, the caffemodel's name without suffix.
    skeleton : Skeleton or None
        None until the network's number of channels is known (`skeleton_of_channels`).
    preprocessing : Preprocessing
    thresholds : Thresholds
        By default the skeleton's.
    person_score : str
        How a person's score is computed; "openpose" is the sum of keypoints and limbs divided by P + L.
    person_threshold : float
        People that score this or less are left out: ghosts in flags and shards of people (benchmarks/README.md has the
        figures it was chosen by).
    net_side : int
        Default height of the input, and its side for a hand or a face in a box.
    gate : float
        Minimum mean score of a hand or a face in a box (chosen on data by benchmarks/gate.py).
    use, licence : str
        "any", "non-commercial" or "research", and the licence's name; "unknown" for an unknown pair.
    prototxt, caffemodel : Path
        The pair; for an ONNX file, both are that file.
    stages : int or None
        Number of stages to run (`posecv.formats.stages`); None for all.
    detector : str or None
        If the network looks at one person in a crop: the model that finds people's boxes.
    """

    name: str
    prototxt: Path
    caffemodel: Path
    skeleton: Skeleton | None = None
    preprocessing: Preprocessing = field(default_factory=lambda: _preprocessing({}))
    thresholds: Thresholds = field(default_factory=Thresholds)
    person_score: str = "openpose"
    person_threshold: float = 0.0
    net_side: int = NET_SIDE
    gate: float = GATE
    use: str = "unknown"
    licence: str = "unknown"
    stages: int | None = None
    detector: str | None = None

    @property
    def is_onnx(self) -> bool:
        """Whether it is one ONNX file instead of a pair."""
        return self.prototxt.suffix.lower() == ".onnx"


@dataclass(frozen=True)
class Row:
    """A row of the manifest; None for "-"."""

    name: str
    aliases: tuple[str, ...]
    skeleton: Skeleton | None
    detector: str | None
    preprocessing: Preprocessing
    thresholds: Thresholds
    person_score: str
    person_threshold: float | None
    net_side: int | None
    gate: float | None
    weights: str
    file: str | None
    bytes: int | None
    md5: str | None
    sha256: str | None
    use: str
    licence: str
    mirrors: tuple[str, ...]

    def model(self, prototxt: Path, caffemodel: Path) -> Model:
        """The model of this row with these files."""
        return Model(
            name=self.name,
            prototxt=prototxt,
            caffemodel=caffemodel,
            skeleton=self.skeleton,
            preprocessing=self.preprocessing,
            thresholds=self.thresholds,
            person_score=self.person_score,
            person_threshold=self.person_threshold or 0.0,
            net_side=self.net_side or NET_SIDE,
            gate=GATE if self.gate is None else self.gate,
            use=self.use,
            licence=self.licence,
            detector=self.detector,
        )


# ---------------------------------------------------------------------------------------------- finding a model


def find_model(name: str, folder: Path | None = None) -> Model:
    """Find the model with a name or alias, in upper or lower case, and its files.

    It searches for weights in `folder`, by default the checkout's `models/` (in an installed package:
    `posecv/_models/`), in `$POSECV_MODELS` and in the user's cache folder, as `NAME/pose.caffemodel` or under their
    original name, also in OpenPose's folder structure.

    Raises
    ------
    ModelError
        If the name is unknown, or its files are missing; the message says what to do.
    """
    folder = folder or models_folder()
    row = _row_of(name, manifest(folder))
    caffemodel = _first_file(_weights(row, folder))
    if caffemodel is None:
        where, remedy = _searched(folder), _remedy(row, folder)
        raise ModelError(f"the weights of {row.name} are missing (looked in {where}): {remedy}")
    own = folder / row.name / "pose.prototxt"
    prototxt = _first_file([own, caffemodel.with_name("pose.prototxt")])
    if prototxt is None:
        raise ModelError(f"the prototxt of {row.name} is missing: it should be {own}, or beside {caffemodel}")
    return row.model(prototxt, caffemodel)


def model_of_pair(prototxt: Path, caffemodel: Path, folder: Path | None = None) -> Model:
    """The model for a pair of files given by their paths.

    A caffemodel of a known size is hashed; if its hash is in the manifest (of `folder`, as for `find_model`), the model
    is that row's. Otherwise it is treated like OpenPose's, and the skeleton will be recognised by the number of
    channels.

    Raises
    ------
    ModelError
        If one of the files is missing or cannot be read.
    """
    for path in (prototxt, caffemodel):
        try:
            size = path.stat().st_size  # after the loop, the caffemodel's
        except OSError as error:
            raise ModelError(f"{path}: {reason(error)}") from None
        if not os.path.isfile(path):
            raise ModelError(f"{path}: {'a folder' if os.path.isdir(path) else 'a device'}, not a file")
        if not os.access(path, os.R_OK):
            raise ModelError(f"{path}: permission denied")
    known = {row.sha256: row for row in manifest(folder) if row.sha256 and row.bytes == size and not row.detector}
    row = known.get(sha256_of(caffemodel)) if known else None
    return row.model(prototxt, caffemodel) if row else Model(caffemodel.stem, prototxt, caffemodel)


def model_of_onnx(path: Path, caffemodel_sha256: str | None) -> Model:
    """The model for an ONNX file, by the hash, in its metadata, of the caffemodel that it was made from."""
    known = (row for row in manifest() if row.sha256 and not row.detector)
    row = next((row for row in known if row.sha256 == caffemodel_sha256), None)
    return row.model(path, path) if row else Model(path.stem, path, path)


def skeleton_of_channels(channels: int, layer_names: str) -> Skeleton | None:
    """The skeleton of a network with that many output channels, or None if no known layout has as many.

    The numbers of only the heatmaps (19, 16, 26) give the skeleton without part affinity fields. MPI's networks with
    six and with four stages have the same channels but different thresholds; the last stage mentioned in the prototxt,
    or in the names of the layers, distinguishes them.
    """
    stages = {int(number) for number in re.findall(r"\bMconv7_stage(\d+)", layer_names)}
    mpi = MPI_4_STAGES if stages and max(stages) == 4 else MPI
    skeletons = (COCO, mpi, BODY_25, HAND, FACE)
    whole = {skeleton.channels: skeleton for skeleton in skeletons}
    bare = {skeleton.heatmaps: replace(skeleton, paf_channels=()) for skeleton in skeletons}
    return whole.get(channels) or bare.get(channels)


def _row_of(name: str, rows: Sequence[Row]) -> Row:
    """The row for a name or alias; hyphens and underscores are equal."""
    names = {_plain(known): row for row in rows for known in (row.name, *row.aliases)}
    if _plain(name) in names:
        return names[_plain(name)]
    nearest = difflib.get_close_matches(_plain(name), names, n=2)
    hint = f"; did you mean {' or '.join(dict.fromkeys(names[near].name for near in nearest))}?" if nearest else ""
    if re.search(r"[./\\]", name):
        hint = "; a caffemodel given by its path also needs its prototxt (-p), and an ONNX file must be named NAME.onnx"
    raise ModelError(f"no model is called {name!r}{hint} (known: {', '.join(row.name for row in rows)})")


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _first_file(candidates: Iterable[Path]) -> Path | None:
    return next((found for path in candidates if (found := _on_disk(path))), None)


def _on_disk(path: Path) -> Path | None:
    """The path, or a temporary copy if this package is inside a zip; None if there is no such file."""
    if os.path.isfile(path):  # Path.is_file raises in folders without permission
        return path
    zipped = not os.path.isdir(PACKAGE) and path.is_relative_to(PACKAGE)
    return _unzipped(path.relative_to(PACKAGE)) if zipped else None


def _unzipped(place: Path) -> Path | None:
    """A copy of a file of this package that exists until the program ends; None if there is no such file."""
    with _UNZIPPING:
        if place not in _copies:
            file = importlib.resources.files(__package__).joinpath(*place.parts)
            if not file.is_file():
                return None
            _copies[place] = _until_exit().enter_context(importlib.resources.as_file(file))
        return _copies[place]


@cache
def _until_exit() -> ExitStack:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack


def _weights(row: Row, models: Path) -> Iterator[Path]:
    """All possible places of a row's caffemodel, best first."""
    names = ("pose.caffemodel", row.file) if row.file else ("pose.caffemodel",)
    own = os.environ.get("POSECV_MODELS")
    for folder in (models, *([Path(own)] if own else []), cache_folder("models")):
        yield from (folder / row.weights / name for name in names)
        if row.file:
            yield from (folder / row.file, folder / "pose" / row.weights / row.file)


def models_folder() -> Path:
    """The checkout's `models/`, or the copy inside an installed package."""
    checkout = PACKAGE.parent / "models"
    return checkout if os.path.isfile(checkout / "MANIFEST.tsv") else PACKAGE / "_models"


def cache_folder(kind: str, system: str = sys.platform) -> Path:
    """The folder for caches of this system, or of another value of `sys.platform`."""
    home = Path(os.path.expanduser("~"))
    if system == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif system == "darwin":
        base = home / "Library" / "Caches"
    else:
        own = Path(os.environ.get("XDG_CACHE_HOME", ""))
        base = own if own.is_absolute() else home / ".cache"  # its specification: relative paths are ignored
    return base / "posecv" / kind


def _searched(folder: Path) -> str:
    own = os.environ.get("POSECV_MODELS")
    return f"{folder}, $POSECV_MODELS{f' = {own}' if own else ' (not set)'}, {cache_folder('models')}"


def _remedy(row: Row, folder: Path) -> str:
    """Advice for missing weights."""
    checkout = folder.name == "models"
    target = (folder if checkout else cache_folder("models")) / row.weights / "pose.caffemodel"
    if not row.mirrors:
        return f"no download address is known; put them at {target}, with pose.prototxt beside them"
    if sys.platform != "win32" and shutil.which("bash") and (folder.parent / "getModels.sh").is_file():
        return f"run ./getModels.sh {row.weights}"
    return f"download {row.mirrors[0]} (MD5 {row.md5 or 'unknown'}) and save it as {target}"


def sha256_of(path: Path) -> str:
    """The hash of a file's content, in hexadecimal digits."""
    return once(("sha256", path), lambda: _hashed(path))


def _hashed(path: Path) -> str:
    if path.stat().st_size <= KEPT:  # the content will be needed again to load the network
        return hashlib.sha256(content(path)).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# --------------------------------------------------------------------------------------------- reading the manifest


def manifest(folder: Path | None = None) -> tuple[Row, ...]:
    """The rows of the manifest in a folder, by default this package's, read once."""
    path = (folder or models_folder()) / "MANIFEST.tsv"
    return _read_once(_on_disk(path) or path)


@cache
def _read_once(path: Path) -> tuple[Row, ...]:
    return read_manifest(path)


def read_manifest(path: Path) -> tuple[Row, ...]:
    """Read a manifest: tab-separated, with a header of column names, "-" for empty fields.

    Raises
    ------
    ModelError
        If a field is invalid; the message contains its line and column.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    header = lines[0].split("\t") if lines else []
    if sorted(header) != sorted(COLUMNS):
        odd = sorted(set(header) ^ set(COLUMNS)) or ["a column twice"]
        raise ModelError(f"{path}, line 1: missing or unknown columns: {', '.join(odd)}")
    rows = tuple(_read_row(path, number, header, line) for number, line in enumerate(lines[1:], start=2))
    names = [_plain(name) for row in rows for name in (row.name, *row.aliases)]
    if len(set(names)) < len(names):
        raise ModelError(f"{path}: {next(name for name in names if names.count(name) > 1)} occurs twice")
    return rows


def _read_row(path: Path, number: int, header: list[str], line: str) -> Row:
    texts = line.split("\t")
    if len(texts) != len(header):
        raise ModelError(f"{path}, line {number}: {len(texts)} fields instead of {len(header)}")
    values: dict[str, Any] = {}
    for column, text in zip(header, texts, strict=True):
        try:
            values[column] = COLUMNS[column](text)
        except ValueError as error:
            raise ModelError(f"{path}, line {number}, column {column}: {text!r} is {error}") from None
    preprocessing = _preprocessing({name: values.pop(name) for name in FED})
    constants = {column.name: values.pop(column.name) for column in fields(Thresholds)}
    own = {name: value for name, value in constants.items() if value is not None}
    skeleton = values["skeleton"]  # a detector has none
    thresholds = replace(skeleton.thresholds if skeleton else Thresholds(), **own)
    return Row(preprocessing=preprocessing, thresholds=thresholds, **values)


def _preprocessing(values: dict[str, Any]) -> Preprocessing:
    """Imported late because `geometry` needs OpenCV, and the scripts' help and error messages do not."""
    from posecv.geometry import Preprocessing

    return Preprocessing(**values)


def _text(text: str) -> str:
    if not text.strip() or text == "-":
        raise ValueError("empty")
    return text


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError("not an integer")
    return int(text)


def read_number(text: str) -> float:
    """A number or a fraction such as 1/256."""
    over, _, under = text.partition("/")
    try:
        value = float(over) / float(under or 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError("not a number") from None
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def _byte(text: str) -> int:
    if _count(text) > 255:
        raise ValueError("more than 255")
    return int(text)


def read_mean(text: str) -> tuple[float, float, float]:
    """One number for all channels, or three separated by commas."""
    values = [read_number(part) for part in text.split(",")]
    if len(values) not in (1, 3):
        raise ValueError("neither one number nor three")
    first, second, third = values * (3 // len(values))
    return first, second, third


def _yes_no(text: str) -> bool:
    return _one_of("yes", "no")(text) == "yes"


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return text

    return parse


def _skeleton(text: str) -> Skeleton:
    return SKELETONS[_one_of(*SKELETONS)(text)]


def _words(separator: str | None) -> Callable[[str], tuple[str, ...]]:
    return lambda text: () if text == "-" else tuple(_text(text).split(separator))


def _hex(digits: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", text):
            raise ValueError(f"not {digits} hexadecimal digits")
        return text

    return parse


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text == "-" else parse(text)


COLUMNS: dict[str, Callable[[str], Any]] = {
    "name": _text,
    "aliases": _words(","),
    "skeleton": _optional(_skeleton),
    "detector": _optional(_text),
    "scale": read_number,
    "mean": read_mean,
    "swap_rb": _yes_no,
    "padding": _byte,
    "nms_threshold": _optional(read_number),
    "inter_threshold": _optional(read_number),
    "inter_min_above": _optional(read_number),
    "min_subset_cnt": _optional(_count),
    "min_subset_score": _optional(read_number),
    "peak_share": _optional(read_number),
    "refinement": _optional(_one_of(*REFINEMENTS)),
    "person_score": _one_of(*PERSON_SCORES),
    "person_threshold": _optional(read_number),
    "net_side": _optional(_count),
    "gate": _optional(read_number),
    "weights": _text,
    "file": _optional(_text),
    "bytes": _optional(_count),
    "md5": _optional(_hex(32)),
    "sha256": _optional(_hex(64)),
    "use": _one_of(*USES),
    "licence": _text,
    "mirrors": _words(None),
}
