"""What the outputs of networks for two stages mean: the boxes of people, and the keypoints in a crop of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posecv.arrays import Array
from posecv.engines.engine import Engine
from posecv.errors import ModelError
from posecv.files import content
from posecv.formats import caffe, onnx
from posecv.formats.onnx_graph import read_graph
from posecv.models import Model
from posecv.skeletons import BODY_25, COCO, COCO_17, Skeleton

__all__ = ["BOX_MAPS", "BoxLayout", "CropLayout", "box_layout", "crop_layout", "crop_size"]

BOX_MAPS = 5  # centre, left, top, right, bottom
CROP = 256, 192  # the usual height and width of a crop
BOXES = 320, 320  # and of a detector's input
LEAST = 32  # pixels; files with a variable size may have 1
HALPE_26 = (
    *COCO_17, "head", "neck", "mid_hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
    "left_heel", "right_heel",
)  # fmt: skip
# Number of heatmaps -> what they show, and the layout of the people.
KEYPOINTS: dict[int, tuple[tuple[str, ...], Skeleton]] = {
    17: (COCO_17, COCO),
    18: (COCO.keypoints, COCO),
    19: (COCO.keypoints, COCO),  # and the background
    26: (HALPE_26, BODY_25),
}


@dataclass(frozen=True)
class CropLayout:
    """How a network finds the keypoints of one person in a crop.

    Attributes
    ----------
    keypoints : tuple of str
        Names of the heatmaps, or of the pairs of distributions, in order.
    skeleton : Skeleton
        The layout of the people.
    size : (int, int)
        Height and width of a crop.
    stride : int
        Pixels of a crop per cell; 0 if the network outputs two distributions, along x and along y (SimCC).
    batches : bool
        Whether it can process several crops at once.
    odds : bool
        Whether it ends with a sigmoid, like our own networks: maps are probabilities and cells have their position in
        the middle. Otherwise maps are Gaussian bumps and a cell's position is its first pixel, as is usual.
    """

    keypoints: tuple[str, ...]
    skeleton: Skeleton
    size: tuple[int, int]
    stride: int
    batches: bool = True
    odds: bool = False


@dataclass(frozen=True)
class BoxLayout:
    """How a network finds people's boxes.

    Attributes
    ----------
    stride : int
        Pixels of its input per cell of its maps; 0 if it outputs lists of boxes and scores.
    size : (int, int)
        Height and width of its input, if these are fixed; otherwise the usual ones.
    """

    stride: int
    size: tuple[int, int] = BOXES


def crop_size(model: Model) -> tuple[int, int]:
    """Height and width of the crops that a network looks at, from its file."""
    return _size(_input_axes(model)) or CROP


def crop_layout(model: Model, engine: Engine) -> CropLayout:
    """Run a network on an empty crop; ModelError if it does not output one person's keypoints."""
    axes = _input_axes(model)
    height, width = size = _size(axes) or CROP
    outputs = [np.asarray(each) for each in engine.forward(np.zeros((1, 3, height, width), np.float32))]
    maps = next((each for each in outputs if each.ndim == 4), None)
    if maps is not None:
        stride = height // maps.shape[2] if maps.shape[2] else 0
        if not stride or maps.shape[2:] != (height // stride, width // stride):
            raise ModelError(_said(model, size, outputs))
        count = maps.shape[1]
    elif len(outputs) == 2 and all(each.ndim == 3 for each in outputs) and outputs[0].shape[1] == outputs[1].shape[1]:
        stride, count = 0, outputs[0].shape[1]
    else:
        raise ModelError(_said(model, size, outputs))
    if count not in KEYPOINTS:
        known = ", ".join(map(str, KEYPOINTS))
        raise ModelError(f"{model.prototxt} finds {count} keypoints in a crop; layouts with {known} are known")
    return CropLayout(*KEYPOINTS[count], size, stride, axes[:1] != [1] or not model.is_onnx, _ends_with_sigmoid(model))


def box_layout(model: Model, engine: Engine) -> BoxLayout:
    """Run a detector on an empty image; ModelError if it does not output boxes."""
    height, width = size = _size(_input_axes(model)) or BOXES
    outputs = [np.asarray(each) for each in engine.forward(np.zeros((1, 3, height, width), np.float32))]
    if len(outputs) == 1 and outputs[0].ndim == 4 and outputs[0].shape[1] == BOX_MAPS:
        return BoxLayout(height // outputs[0].shape[2], size)
    if len(outputs) == 2 and any(each.ndim == 3 and each.shape[2] in (4, 5) for each in outputs):
        return BoxLayout(0, size)
    raise ModelError(
        f"{model.prototxt} is not a detector: it turns {width} x {height} pixels into {_shapes(outputs)}; needed are "
        f"{BOX_MAPS} maps (centre, left, top, right, bottom), or boxes (1, N, 4) with scores, or (1, N, 5) with labels"
    )


def _said(model: Model, size: tuple[int, int], outputs: Sequence[Array]) -> str:
    height, width = size
    return (
        f"{model.prototxt} turns a crop of {width} x {height} pixels into {_shapes(outputs)}; needed are heatmaps "
        "(crops, keypoints, height, width), or two outputs (crops, keypoints, bins)"
    )


def _shapes(outputs: Sequence[Array]) -> str:
    """The shapes in words."""
    return ", ".join(" x ".join(map(str, each.shape)) for each in outputs)


def _input_axes(model: Model) -> list[int | None]:
    """The axes of a network's input as its file has them, None for variable ones."""
    if model.is_onnx:
        return list(next(iter(read_graph(content(model.prototxt)).inputs.values()), ()))
    return list(next((dims for _, dims in onnx.inputs(caffe.read_prototxt(model.prototxt))), ()))


def _size(axes: list[int | None]) -> tuple[int, int] | None:
    """Height and width, if both are fixed."""
    if len(axes) != 4 or axes[2] is None or axes[3] is None or min(axes[2], axes[3]) < LEAST:
        return None
    return axes[2], axes[3]


def _ends_with_sigmoid(model: Model) -> bool:
    if model.is_onnx:
        return onnx.operators(content(model.prototxt))[-1:] == ["Sigmoid"]
    return caffe.layers_of(caffe.read_prototxt(model.prototxt))[-1].get("type") == ["Sigmoid"]
