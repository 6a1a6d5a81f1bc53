"""Engines read a network's files and run its layers. They all have the same interface.

OpenCV is always available; OpenVINO and ONNX Runtime are optional and imported only when needed.
"""

from __future__ import annotations

from collections.abc import Callable

from posecv.engines import onnxruntime, opencv, openvino
from posecv.engines.engine import Engine
from posecv.models import Model

__all__ = ["ENGINES", "Engine"]

# Name -> the function that loads a model onto a device.
ENGINES: dict[str, Callable[[Model, str], Engine]] = {
    "opencv": opencv.load,
    "opencv-thin": opencv.load_thin,
    "openvino": openvino.load,
    "openvino-float32": openvino.load_float32,
    "onnxruntime": onnxruntime.load,
}
