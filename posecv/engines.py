"""Engines: what reads a network's files and runs its layers. From outside they all look alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv import caffe, onnx
from posecv.conversion import kept_or_converted
from posecv.errors import ModelError
from posecv.models import Model

__all__ = ["DEVICES", "Engine", "load_opencv"]

Array = NDArray[np.float32]

# Device: backend and target of cv2.dnn.
DEVICES = {
    "cpu": (cv2.dnn.DNN_BACKEND_OPENCV, cv2.dnn.DNN_TARGET_CPU),
    "cuda": (cv2.dnn.DNN_BACKEND_CUDA, cv2.dnn.DNN_TARGET_CUDA),
    "cuda-fp16": (cv2.dnn.DNN_BACKEND_CUDA, cv2.dnn.DNN_TARGET_CUDA_FP16),
    "opencl": (cv2.dnn.DNN_BACKEND_OPENCV, cv2.dnn.DNN_TARGET_OPENCL),
}
NEW_ENGINE = hasattr(cv2.dnn, "ENGINE_NEW")  # OpenCV 5's, which knows the CPU alone and warns about anything else


@dataclass(frozen=True)
class Engine:
    """A network in the hands of what runs it.

    Attributes
    ----------
    outputs : tuple of str
        Names of what the network gives.
    forward : callable
        A (N, 3, H, W) float32 blob -> a (N, C, h, w) float32 array for each output; ModelError where the network does
        not run on this blob.
    note : str
        What is worth a line to those who want to know; may be empty.
    """

    outputs: tuple[str, ...]
    forward: Callable[[Array], Sequence[Array]]
    note: str = ""


def load_opencv(model: Model, device: str) -> Engine:
    """The network in OpenCV: a pair by its Caffe importer, or as ONNX where it has none any more (OpenCV 5).

    Raises
    ------
    ModelError
        If a file is missing, damaged or not of this pair, or OpenCV cannot read it.
    """
    converted = not model.is_onnx and not hasattr(cv2.dnn, "readNetFromCaffe")
    try:
        if model.is_onnx:
            net = _from_onnx(model, caffe.read_binary(model.prototxt, ".onnx"), device)
        elif converted:
            net = _from_onnx(model, kept_or_converted(model.prototxt, model.caffemodel), device)
        else:
            caffe.read_pair(model.prototxt, model.caffemodel)  # says what is wrong where OpenCV would fail an assertion
            net = cv2.dnn.readNetFromCaffe(str(model.prototxt), str(model.caffemodel))
    except cv2.error as error:
        raise ModelError(f"{model.prototxt}: OpenCV cannot read this network: {_reason(error)}") from error
    if device != "cpu" or not NEW_ENGINE:
        backend, target = DEVICES[device]
        net.setPreferableBackend(backend)
        net.setPreferableTarget(target)

    outputs = tuple(net.getUnconnectedOutLayersNames())

    def forward(blob: Array) -> Sequence[Array]:
        try:
            net.setInput(blob)
            return net.forward(outputs)
        except cv2.error as error:
            raise ModelError(f"{model.prototxt}: OpenCV cannot run this network: {_reason(error)}") from error

    note = f"OpenCV {cv2.__version__} reads no Caffe pairs: this one was turned into ONNX for it" if converted else ""
    return Engine(outputs, forward, note)


def _from_onnx(model: Model, data: bytes, device: str) -> cv2.dnn.Net:
    """OpenCV's network; OpenCV 5 runs one for other channels than a picture's on memory that is not its own."""
    shape = onnx.input_shape(data)
    if len(shape) != 4 or shape[1] not in (None, 3):
        wanted = " x ".join(str(axis or "any") for axis in shape) or "unknown shape"
        raise ModelError(f"{model.prototxt}: the network takes an input of {wanted}; any x 3 x any x any is needed")
    classic = [cv2.dnn.ENGINE_CLASSIC] if device != "cpu" and hasattr(cv2.dnn, "ENGINE_CLASSIC") else []
    return cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8), *classic)


def _reason(error: cv2.error) -> str:
    """What OpenCV says, without its file names."""
    return " ".join(str(getattr(error, "err", None) or error).split())
