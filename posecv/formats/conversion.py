"""Convert pairs of files to ONNX, and keep copies so that a large pair is converted only once.

The name of a copy contains a hash of both files, and a copy contains its own checksum. Copies are written atomically,
also by several programs at once. You can delete them at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from posecv.arrays import Array
from posecv.errors import ModelError, OutputError
from posecv.files import clear_unfinished, once, write_whole
from posecv.formats import onnx
from posecv.formats.caffe import Message, layers_of, read_pair, type_of, values_of
from posecv.formats.sizes import Size, follow, steps_of_pair
from posecv.formats.stages import first_stages
from posecv.models import cache_folder, sha256_of

__all__ = ["ORIGIN", "check_pair", "convert_pair", "kept_folder", "kept_or_converted", "with_one_input"]

ORIGIN = "caffemodel_sha256"  # metadata of an ONNX file: the hash of its caffemodel
EDITION = 2  # increase this when the output of `posecv.formats.onnx` changes
SMALL = 16 << 20  # bytes of weights; converting fewer is faster than reading a copy


class Convert(Protocol):
    """Converts a pair to ONNX, as `convert_pair` does."""

    def __call__(self, prototxt: Path, caffemodel: Path, *, thin: bool, stages: int | None) -> bytes: ...


def convert_pair(prototxt: Path, caffemodel: Path, *, thin: bool = False, stages: int | None = None) -> bytes:
    """Read a pair and convert it to an ONNX file that contains its origin.

    `thin` is as in `posecv.formats.onnx.convert`, `stages` as in `posecv.formats.stages.first_stages`.

    Raises
    ------
    ModelError
        If a file is missing or damaged (see `posecv.formats.caffe.read_pair`), or a layer cannot be converted.
    """
    message, weights = read_pair(prototxt, caffemodel)
    check_pair(prototxt, message, weights)
    try:
        return onnx.convert(first_stages(message, stages), weights, {ORIGIN: sha256_of(caffemodel)}, thin=thin)
    except ModelError as error:
        raise ModelError(f"{prototxt}: {error}") from None


def check_pair(prototxt: Path, message: Message, weights: Mapping[str, Sequence[Array]]) -> None:
    """Raise a ModelError if a pair does not take one image, or its layers do not fit together.

    OpenCV 4 would say so in words of its own, or read beyond its memory.
    """
    declared, taken = dict(onnx.inputs(message)), _taken(message)
    images = {name: dims for name, dims in declared.items() if name in taken}
    if len(images) > 1:
        names = ", ".join(images)[:60]
        raise ModelError(f"{prototxt}: the network takes {len(images)} inputs ({names}); one image is needed")
    for dims in images.values():
        if len(dims) != 4 or dims[1] != 3:
            shape = f"any x {dims[1]} x any x any" if len(dims) == 4 else " x ".join(map(str, dims)) or "unknown shape"
            raise ModelError(f"{prototxt}: the network has an input of {shape}; any x 3 x any x any is needed")
    try:
        follow(steps_of_pair(message, weights), dict.fromkeys(declared, Size(3)))
    except ModelError as error:
        raise ModelError(f"{prototxt}: {error}") from None


def with_one_input(message: Message) -> Message:
    """The network without inputs that no layer takes; OpenCV 4 would give the image to the first of all."""
    declared, taken = dict(onnx.inputs(message)), _taken(message)
    if len(declared) == 1:
        return message
    others = {name: values for name, values in message.items() if name not in ("input", "input_dim", "input_shape")}
    image = next(name for name in declared if name in taken)
    others["layer" if "layer" in message else "layers"] = [
        layer for layer in layers_of(message) if type_of(layer) != "input"
    ]
    return {"input": [image], "input_shape": [{"dim": list(declared[image])}], **others}


def _taken(message: Message) -> set[str]:
    """The names of what layers take."""
    return {bottom for layer in layers_of(message) for bottom in values_of(layer, "bottom", str)}


def kept_or_converted(
    prototxt: Path,
    caffemodel: Path,
    *,
    thin: bool = False,
    stages: int | None = None,
    small: int = SMALL,
    convert: Convert | None = None,
) -> bytes:
    """The pair as ONNX, from the user's cache folder (or `$POSECV_CACHE`) if its weights have more than `small` bytes.

    A damaged copy is replaced. If the folder cannot be written to, nothing is kept. `convert` is `convert_pair`, or a
    replacement with the same arguments.
    """
    convert = convert or convert_pair
    if not caffemodel.is_file() or caffemodel.stat().st_size <= small:
        key = ("onnx", prototxt, caffemodel, thin, stages)
        return once(key, lambda: convert(prototxt, caffemodel, thin=thin, stages=stages))
    kind = f"{'-thin' if thin else ''}{f'-{stages}-stages' if stages else ''}"
    copy = kept_folder("onnx") / f"{_hash_of(prototxt, caffemodel)}{kind}.onnx"
    clear_unfinished(copy.parent)  # of a run that was killed while it wrote one
    with contextlib.suppress(OSError):
        data = copy.read_bytes()
        if data.endswith(_seal(memoryview(data)[:-SEAL])):
            return data
    data = convert(prototxt, caffemodel, thin=thin, stages=stages)
    data += _seal(data)
    with contextlib.suppress(OutputError):
        write_whole(copy, data)
    return data


def kept_folder(kind: str) -> Path:
    """The folder for cached files: `$POSECV_CACHE`, or this system's folder for caches."""
    own = os.environ.get("POSECV_CACHE")
    return Path(own) / kind if own else cache_folder(kind)


def _hash_of(*paths: Path) -> str:
    """A hash of these files, for the name of the copy."""
    return hashlib.sha256(" ".join([str(EDITION), *map(sha256_of, paths)]).encode()).hexdigest()


def _seal(data: bytes | memoryview) -> bytes:
    """The checksum of a file, as an additional property in its metadata."""
    return onnx.property_field("crc32", f"{zlib.crc32(data):08x}")


SEAL = len(_seal(b""))
