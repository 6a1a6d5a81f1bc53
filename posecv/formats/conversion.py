"""Pairs of files converted to ONNX, and the copies that are kept so that a large pair is converted once.

A copy is found by what it was made of, a hash of both files, and carries a checksum of itself. It appears whole or not
at all; several programs may make the same one at once; all of them may be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from pathlib import Path

from posecv.errors import OutputError
from posecv.files import once, write_whole
from posecv.formats import onnx
from posecv.formats.caffe import read_pair
from posecv.formats.stages import first_stages
from posecv.models import cache_folder, sha256_of

__all__ = ["ORIGIN", "convert_pair", "kept_folder", "kept_or_converted"]

ORIGIN = "caffemodel_sha256"  # what an ONNX file says it was made of
EDITION = 1  # to be raised when `posecv.formats.onnx` writes something else
SMALL = 16 << 20  # bytes of weights that are converted sooner than a copy is read


def convert_pair(prototxt: Path, caffemodel: Path, *, thin: bool = False, stages: int | None = None) -> bytes:
    """Read a pair and turn it into an ONNX file that names its origin.

    `thin` is as in `posecv.formats.onnx.convert`, `stages` as in `posecv.formats.stages.first_stages`.

    Raises
    ------
    ModelError
        A file that is missing or damaged, as `posecv.formats.caffe.read_pair` tells; a layer that cannot be converted.
    """
    message, weights = read_pair(prototxt, caffemodel)
    return onnx.convert(first_stages(message, stages), weights, {ORIGIN: sha256_of(caffemodel)}, thin=thin)


def kept_or_converted(prototxt: Path, caffemodel: Path, *, thin: bool = False, stages: int | None = None) -> bytes:
    """The pair as ONNX, from the user's cache folder (or `$POSECV_CACHE`) where its weights are large.

    A copy that is damaged is made again; a folder that cannot be written to does no harm.
    """
    if not caffemodel.is_file() or caffemodel.stat().st_size <= SMALL:
        key = ("onnx", prototxt, caffemodel, thin, stages)
        return once(key, lambda: convert_pair(prototxt, caffemodel, thin=thin, stages=stages))
    kind = f"{'-thin' if thin else ''}{f'-{stages}-stages' if stages else ''}"
    copy = kept_folder("onnx") / f"{_hash_of(prototxt, caffemodel)}{kind}.onnx"
    with contextlib.suppress(OSError):
        data = copy.read_bytes()
        if data.endswith(_seal(memoryview(data)[:-SEAL])):
            return data
    data = convert_pair(prototxt, caffemodel, thin=thin, stages=stages)
    data += _seal(data)
    with contextlib.suppress(OutputError):
        write_whole(copy, data)
    return data


def kept_folder(kind: str) -> Path:
    """Where what can be made again is kept: in `$POSECV_CACHE`, or where this system's programs keep such things."""
    own = os.environ.get("POSECV_CACHE")
    return Path(own) / kind if own else cache_folder(kind)


def _hash_of(*paths: Path) -> str:
    """A name for what is made of these files."""
    return hashlib.sha256(" ".join([str(EDITION), *map(sha256_of, paths)]).encode()).hexdigest()


def _seal(data: bytes | memoryview) -> bytes:
    """The checksum of a file, as one more thing that it says about itself."""
    return onnx.property_field("crc32", f"{zlib.crc32(data):08x}")


SEAL = len(_seal(b""))
