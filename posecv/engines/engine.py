"""What all engines have in common."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from posecv.arrays import Array
from posecv.errors import DeviceError, ModelError
from posecv.formats import caffe, onnx
from posecv.formats.conversion import kept_or_converted
from posecv.models import Model

__all__ = ["Engine", "Forward", "needed", "one_at_a_time", "onnx_of"]

Forward = Callable[[Array], Sequence[Array]]


@dataclass(frozen=True)
class Engine:
    """A network in the hands of what runs it.

    Attributes
    ----------
    name : str
        As `--engine` calls it.
    outputs : tuple of str
        Names of what the network gives.
    forward : callable
        A (N, 3, H, W) float32 blob of any size -> a (N, C, h, w) float32 array for each output, which stays as it is;
        ModelError where the network does not run on this blob. Any number of threads may call it at once.
    note : str
        What is worth a line to those who want to know; may be empty.
    warning : str
        What is worth a line to everybody; may be empty.
    """

    name: str
    outputs: tuple[str, ...]
    forward: Forward
    note: str = ""
    warning: str = ""


def one_at_a_time(forward: Forward) -> Forward:
    """The same for many threads: each waits until the one before it is done.

    Nothing is lost by it: engines share one frame's work among all cores.
    """
    lock = threading.Lock()

    def locked(blob: Array) -> Sequence[Array]:
        with lock:
            return forward(blob)

    return locked


def needed(package: str, engine: str) -> ModuleType:
    """The package of an engine; DeviceError where it is not installed or does not work."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        why = "is not installed" if error.name == package else f"does not work here ({error})"
        raise DeviceError(
            f"engine={engine}: the package {package} {why}: pip install {package}, or use engine=opencv"
        ) from None


def onnx_of(model: Model, *, thin: bool = False) -> bytes:
    """The network as ONNX, for blobs of images; `thin` (a pair's alone) as in `posecv.formats.onnx.convert`.

    Raises
    ------
    ModelError
        If a file is missing or damaged, a layer cannot be converted, or the network takes something else than
        images: OpenCV 5 runs one for more channels on memory that is not its own.
    """
    if model.is_onnx:
        data = caffe.read_binary(model.prototxt, ".onnx")
    else:
        data = kept_or_converted(model.prototxt, model.caffemodel, thin=thin, stages=model.stages)
    shape = onnx.input_shape(data)
    if len(shape) != 4 or shape[1] not in (None, 3):
        wanted = " x ".join(str(axis or "any") for axis in shape) or "unknown shape"
        raise ModelError(f"{model.prototxt}: the network takes an input of {wanted}; any x 3 x any x any is needed")
    return data
