"""The interface and helpers of all engines."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2

from posecv.arrays import Array
from posecv.errors import DeviceError, ModelError
from posecv.formats import caffe
from posecv.formats.conversion import kept_or_converted
from posecv.formats.onnx_graph import read_graph
from posecv.formats.sizes import Size, follow, steps_of_graph
from posecv.models import Model

__all__ = ["Engine", "Forward", "needed", "one_at_a_time", "onnx_of", "threads"]

Forward = Callable[[Array], Sequence[Array]]


@dataclass(frozen=True)
class Engine:
    """A loaded network, ready to run.

    Attributes
    ----------
    name : str
        As for `--engine`.
    outputs : tuple of str
        Names of the network's outputs.
    forward : callable
        Maps a (N, 3, H, W) float32 blob of any size to a (N, C, h, w) float32 array for each output, which later calls
        do not overwrite; ModelError if the network cannot process the blob. Safe for threads.
    note : str
        A line for verbose output; may be empty.
    warning : str
        A line for every user; may be empty.
    """

    name: str
    outputs: tuple[str, ...]
    forward: Forward
    note: str = ""
    warning: str = ""


def one_at_a_time(forward: Forward) -> Forward:
    """Make a function safe for threads: calls wait for each other.

    This costs no speed, since engines use all cores for each frame.
    """
    lock = threading.Lock()

    def locked(blob: Array) -> Sequence[Array]:
        with lock:
            return forward(blob)

    return locked


def needed(package: str, engine: str) -> ModuleType:
    """Import the package of an engine; DeviceError if it is not installed or does not work."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        why = "is not installed" if error.name == package else f"does not work here ({error})"
        raise DeviceError(
            f"engine={engine}: the package {package} {why}: pip install {package}, or use engine=opencv"
        ) from None


def onnx_of(model: Model, *, thin: bool = False) -> bytes:
    """The network as ONNX, for blobs of images; `thin`, only for pairs, is as in `posecv.formats.onnx.convert`.

    Raises
    ------
    ModelError
        If a file is missing or damaged, a layer cannot be converted, or the network's input is not an image. OpenCV 5
        would read beyond its memory for a network with more channels.
    """
    if model.is_onnx:
        data = caffe.read_binary(model.prototxt, ".onnx")
    else:
        data = kept_or_converted(model.prototxt, model.caffemodel, thin=thin, stages=model.stages)
    _check_graph(model.prototxt, data)
    return data


def _check_graph(path: Path, data: bytes) -> None:
    """Raise a ModelError if an ONNX file does not take one image, or a node takes what no node before it gives."""
    try:
        graph = read_graph(data)
        if len(graph.inputs) > 1:
            names = ", ".join(graph.inputs)[:60]
            raise ModelError(f"the network takes {len(graph.inputs)} inputs ({names}); one image is needed")
        name, shape = next(iter(graph.inputs.items()), ("", ()))
        if len(shape) != 4 or shape[1] not in (None, 3):
            wanted = " x ".join(str(axis or "any") for axis in shape) or "unknown shape"
            raise ModelError(f"the network has an input of {wanted}; any x 3 x any x any is needed")
        follow(steps_of_graph(graph), {name: Size(3)})
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def threads() -> int:
    """How many threads an engine should use: as many as OpenCV was told to (`cv2.setNumThreads`); 0 for all."""
    told = cv2.getNumThreads()
    return told if 0 < told < (os.cpu_count() or 1) else 0
