"""Engines: what reads a network's files and runs its layers. From outside they all look alike.

OpenCV is always there; OpenVINO and ONNX Runtime are extras, imported when they are asked for or installed.
"""

from __future__ import annotations

from collections.abc import Callable

from posecv.engines import onnxruntime, opencv, openvino
from posecv.engines.engine import Engine
from posecv.models import Model

__all__ = ["ENGINES", "Engine"]

# Name -> what loads a model onto a device.
ENGINES: dict[str, Callable[[Model, str], Engine]] = {
    "opencv": opencv.load,
    "opencv-thin": opencv.load_thin,
    "openvino": openvino.load,
    "openvino-float32": openvino.load_float32,
    "onnxruntime": onnxruntime.load,
}
