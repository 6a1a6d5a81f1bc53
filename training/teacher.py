"""PicoDet and TinyPose, the networks that label people in images without human labels; ONNX Runtime runs them."""

from __future__ import annotations

from pathlib import Path

from posecv.engines.engine import Engine, needed
from posecv.engines.layouts import CropLayout
from posecv.estimators.top_down import BoxList, CropNetwork
from posecv.geometry import Preprocessing
from posecv.skeletons import COCO, COCO_17

__all__ = ["CROP", "detector", "pose"]

MEAN = 123.675, 116.28, 103.53  # of ImageNet's colours, red first
SPREAD = 58.395, 57.12, 57.375
COLOURS = Preprocessing((1 / SPREAD[0], 1 / SPREAD[1], 1 / SPREAD[2]), MEAN, swap_rb=True)
CROP = 256, 192


def detector(folder: Path, threshold: float) -> BoxList:
    """PicoDet, whose files lie in a folder: boxes that score more than a threshold."""
    return BoxList(_engine(folder / "picodet_s_320_pedestrian.onnx"), COLOURS, (320, 320), threshold)


def pose(folder: Path) -> CropNetwork:
    """TinyPose, whose files lie in a folder."""
    engine = _engine(folder / "tinypose_256x192.onnx")
    return CropNetwork(engine, COLOURS, CropLayout(COCO_17, COCO, CROP, stride=4))


def _engine(path: Path) -> Engine:
    runtime = needed("onnxruntime", "onnxruntime")
    session = runtime.InferenceSession(str(path))
    outputs = tuple(each.name for each in session.get_outputs())
    return Engine("onnxruntime", outputs, lambda blob: session.run(None, {"image": blob}))
