"""OpenCV: the engine that is always available, with all its devices."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from posecv.arrays import Array
from posecv.engines.devices import DEVICES, fallen_back
from posecv.engines.engine import Engine, one_at_a_time, onnx_of
from posecv.errors import ModelError
from posecv.formats import caffe, onnx
from posecv.formats.conversion import check_pair, with_one_input
from posecv.formats.stages import first_stages, read_network
from posecv.models import Model

__all__ = ["is_wide", "load", "load_thin"]

PROBE = 32  # side of the empty image for finding out what runs where
NEW_ENGINE = hasattr(cv2.dnn, "ENGINE_NEW")  # OpenCV 5's, which supports only the CPU and warns about other devices


def load(model: Model, device: str) -> Engine:
    """Load the network in OpenCV: a pair by its Caffe importer, or, in OpenCV 5, which has none, as ONNX.

    Raises
    ------
    ModelError
        If a file is missing, damaged or not of this pair, or OpenCV cannot read it.
    """
    converted = not model.is_onnx and not hasattr(cv2.dnn, "readNetFromCaffe")
    note = f"OpenCV {cv2.__version__} cannot read Caffe pairs, so this one was converted to ONNX" if converted else ""
    try:
        net = _from_onnx(onnx_of(model), device) if model.is_onnx or converted else _from_pair(model)
    except cv2.error as error:
        raise ModelError(f"{model.prototxt}: OpenCV cannot read this network: {_reason(error)}") from error
    return _engine("opencv", model, net, device, note)


def load_thin(model: Model, device: str) -> Engine:
    """Load the network of a pair with its 7 x 7 convolutions as 3 x 3 ones; ModelError as for `load`."""
    try:
        net = _from_onnx(onnx_of(model, thin=True), device)
    except cv2.error as error:
        raise ModelError(f"{model.prototxt}: OpenCV cannot read this network: {_reason(error)}") from error
    return _engine("opencv-thin", model, net, device, "its 7 x 7 convolutions are computed as 3 x 3 ones")


def is_wide(model: Model) -> bool:
    """Whether a model has layers that `load_thin` changes."""
    if model.is_onnx:
        return False
    try:
        return any(map(onnx.is_wide, caffe.layers_of(read_network(model))))
    except ModelError:
        return False  # `load` reports the error


def _engine(name: str, model: Model, net: cv2.dnn.Net, device: str, note: str) -> Engine:
    """Put OpenCV's network on a device."""
    if device != "cpu" or not NEW_ENGINE:
        backend, target = DEVICES[device]
        net.setPreferableBackend(backend)
        net.setPreferableTarget(target)
    outputs = tuple(net.getUnconnectedOutLayersNames())

    @one_at_a_time  # two threads in one network crash (OpenCV 4) or get each other's maps (OpenCV 5)
    def forward(blob: Array) -> Sequence[Array]:
        try:
            net.setInput(blob)
            return net.forward(outputs)
        except cv2.error as error:
            raise ModelError(f"{model.prototxt}: OpenCV cannot run this network: {_reason(error)}") from error

    if device == "cpu":
        return Engine(name, outputs, forward, note)
    forward(np.zeros((1, 3, PROBE, PROBE), np.float32))
    return Engine(name, outputs, forward, note, fallen_back(net.dump(), device))


def _from_pair(model: Model) -> cv2.dnn.Net:
    message, checked = caffe.read_pair(model.prototxt, model.caffemodel)  # OpenCV would fail an assertion
    check_pair(model.prototxt, message, checked)
    given = with_one_input(first_stages(message, model.stages))
    text = model.prototxt.read_bytes() if given is message else caffe.format_prototxt(given).encode()
    weights = caffe.read_binary(model.caffemodel, "caffemodel")
    return cv2.dnn.readNetFromCaffe(np.frombuffer(text, np.uint8), np.frombuffer(weights, np.uint8))


def _from_onnx(data: bytes, device: str) -> cv2.dnn.Net:
    classic = [cv2.dnn.ENGINE_CLASSIC] if device != "cpu" and hasattr(cv2.dnn, "ENGINE_CLASSIC") else []
    return cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8), *classic)


def _reason(error: cv2.error) -> str:
    """OpenCV's message without its source file names."""
    return " ".join(str(getattr(error, "err", None) or error).split())
