"""Caffe pairs turned into ONNX: each layer gives what its formula and OpenCV's Caffe importer give."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import REPOSITORY
from networks import painted_network
from posecv.errors import ModelError
from posecv.formats.caffe import (
    Message,
    format_prototxt,
    parse_prototxt,
    read_caffemodel,
    read_pair,
    read_prototxt,
    type_of,
    write_caffemodel,
)
from posecv.formats.onnx import TYPES, convert, node_names, properties
from posecv.formats.onnx_graph import read_graph
from posecv.skeletons import COCO

Array = NDArray[Any]
Weights = dict[str, list[Array]]

OPENCV_4 = hasattr(cv2.dnn, "readNetFromCaffe")
CHANNELS = 4
SHAPES = ((1, CHANNELS, 7, 9), (1, CHANNELS, 12, 8), (2, CHANNELS, 5, 5))
RANDOM = np.random.default_rng(12)


# ------------------------------------------------------------------------------------- the layers, slowly and plainly


def convolved(x: Array, kernel: Array, *, stride: int = 1, pad: int = 0, dilation: int = 1, group: int = 1) -> Array:
    """Each output channel is the sum over kernel positions of shifted inputs."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    (_, _, height, width), (outputs, share, kh, kw) = x.shape, kernel.shape
    rows, columns = (height - dilation * (kh - 1) - 1) // stride + 1, (width - dilation * (kw - 1) - 1) // stride + 1
    result = np.zeros((len(x), outputs, rows, columns))
    for output, place, i, j in np.ndindex(kernel.shape):
        channel = output // (outputs // group) * share + place
        shifted = x[:, channel, i * dilation :, j * dilation :][:, ::stride, ::stride]
        result[:, output] += kernel[output, place, i, j] * shifted[:, :rows, :columns]
    return result


def deconvolved(x: Array, kernel: Array, *, stride: int = 1, pad: int = 0, dilation: int = 1, group: int = 1) -> Array:
    """Each cell of the input paints the kernel, times its value, into the output."""
    (batch, inputs, height, width), (_, share, kh, kw) = x.shape, kernel.shape
    size = [(side - 1) * stride + dilation * (k - 1) + 1 for side, k in ((height, kh), (width, kw))]
    result = np.zeros((batch, share * group, *size))
    for channel, place, i, j in np.ndindex(kernel.shape):
        output = channel // (inputs // group) * share + place
        rows = slice(i * dilation, i * dilation + (height - 1) * stride + 1, stride)
        columns = slice(j * dilation, j * dilation + (width - 1) * stride + 1, stride)
        result[:, output, rows, columns] += kernel[channel, place, i, j] * x[:, channel]
    return result[:, :, pad : size[0] - pad, pad : size[1] - pad]


def windows(size: int, kernel: int, stride: int, pad: int, floor: bool) -> list[tuple[int, int]]:
    """Begin and end of Caffe's pooling windows: rounded up, the last one begins inside picture and padding."""
    count = (math.floor if floor else math.ceil)((size + 2 * pad - kernel) / stride) + 1
    if pad and (count - 1) * stride >= size + pad:
        count -= 1
    begins = [place * stride - pad for place in range(count)]
    return [(begin, min(begin + kernel, size + pad)) for begin in begins]


def pooled(
    x: Array, kernel: int, *, stride: int = 1, pad: int = 0, average: bool = False, floor: bool = False
) -> Array:
    """Caffe's maximum of what is in the picture, or sum of it over the window's area with padding."""
    rows, columns = (windows(size, kernel, stride, pad, floor) for size in x.shape[2:])
    result = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            seen = x[:, :, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            area = (bottom - top) * (right - left)
            result[:, :, i, j] = seen.sum(axis=(2, 3)) / area if average else seen.max(axis=(2, 3))
    return result


def enlarged(x: Array, height: int, width: int) -> Array:
    """Linear interpolation whose corners keep their values."""
    for axis, size in ((2, height), (3, width)):
        places = np.linspace(0, x.shape[axis] - 1, size)
        low = np.minimum(places.astype(int), x.shape[axis] - 2)
        share = (places - low).reshape([-1 if each == axis else 1 for each in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, low + 1, axis) * share
    return x


def shared(x: Array, size: int, alpha: float, beta: float, *, along: tuple[int, ...]) -> Array:
    """x over a power of 1 + alpha times the mean of the squares in a window along some axes, with zeros outside."""
    half = size // 2
    squares = np.pad(x**2, [(half, half) if axis in along else (0, 0) for axis in range(4)])
    windows = np.lib.stride_tricks.sliding_window_view(squares, [size] * len(along), along)
    return x / (1 + alpha * windows.mean(axis=tuple(range(4, windows.ndim)))) ** beta


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@dataclass(frozen=True)
class Case:
    """A layer that takes the network's input, as often as `bottoms` says: its options, blobs and formula."""

    kind: str
    formula: Callable[..., Array]
    options: str = ""
    blobs: Sequence[Array] = ()
    bottoms: int = 1
    sizes: Sequence[tuple[int, ...]] = field(default=SHAPES)
    in_caffe: bool = True  # whether OpenCV's Caffe importer knows the layer
    in_opencv_4: bool = True  # whether OpenCV 4 reads it from ONNX

    @property
    def text(self) -> str:
        bottoms = 'bottom: "x" ' * self.bottoms
        return (
            f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [1, {CHANNELS}, 8, 8] }} }} }}\n'
            f'layer {{ name: "it" type: "{self.kind}" {bottoms} top: "y" {self.options} }}\n'
        )

    @property
    def weights(self) -> Weights:
        return {"it": [np.asarray(blob, np.float32) for blob in self.blobs]}

    def onnx(self) -> bytes:
        return convert(parse_prototxt(self.text), self.weights)


def blob(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


DENSE, WIDE, GROUPED, DEPTHWISE = blob(6, 4, 3, 3), blob(5, 4, 1, 1), blob(6, 2, 3, 3), blob(4, 1, 3, 3)
TALL, UP, UP_GROUPED, UP_DEPTHWISE = blob(3, 4, 3, 1), blob(4, 3, 4, 4), blob(4, 3, 3, 3), blob(4, 1, 4, 4)
BIAS, SLOPES, MEAN, SPREAD = blob(6), blob(4), blob(4), np.abs(blob(4)) + 0.5


def convolution(options: str) -> str:
    return f"convolution_param {{ {options} }}"


def pooling(options: str) -> str:
    return f"pooling_param {{ {options} }}"


CASES = {
    "convolution": Case(
        "Convolution",
        lambda x: convolved(x, DENSE, pad=1) + BIAS[:, None, None],
        convolution("num_output: 6 kernel_size: 3 pad: 1"),
        (DENSE, BIAS),
    ),
    "1x1 without bias": Case(
        "Convolution",
        lambda x: convolved(x, WIDE),
        convolution("num_output: 5 kernel_size: 1 bias_term: false"),
        (WIDE,),
    ),
    "stride": Case(
        "Convolution",
        lambda x: convolved(x, DENSE, stride=2, pad=1) + BIAS[:, None, None],
        convolution("num_output: 6 kernel_size: [3, 3] stride: 2 pad: [1, 1]"),
        (DENSE, BIAS[None, None, None]),
    ),
    "tall kernel": Case(
        "Convolution",
        lambda x: convolved(x, TALL),
        convolution("num_output: 3 kernel_h: 3 kernel_w: 1 bias_term: false"),
        (TALL,),
    ),
    "groups": Case(
        "Convolution",
        lambda x: convolved(x, GROUPED, group=2) + BIAS[:, None, None],
        convolution("num_output: 6 kernel_size: 3 group: 2"),
        (GROUPED, BIAS),
    ),
    "depthwise": Case(
        "Convolution",
        lambda x: convolved(x, DEPTHWISE, pad=1, group=4),
        convolution("num_output: 4 kernel_size: 3 pad: 1 group: 4 bias_term: false"),
        (DEPTHWISE,),
    ),
    "depthwise by its type": Case(
        "ConvolutionDepthwise",
        lambda x: convolved(x, DEPTHWISE, pad=1, group=4),
        convolution("num_output: 4 kernel_size: 3 pad: 1 group: 4 bias_term: false"),
        (DEPTHWISE,),
    ),
    "dilation": Case(
        "Convolution",
        lambda x: convolved(x, DENSE, pad=2, dilation=2) + BIAS[:, None, None],
        convolution("num_output: 6 kernel_size: 3 pad: 2 dilation: 2"),
        (DENSE, BIAS),
    ),
    "deconvolution": Case(
        "Deconvolution",
        lambda x: deconvolved(x, UP, stride=2, pad=1) + BIAS[:3, None, None],
        convolution("num_output: 3 kernel_size: 4 stride: 2 pad: 1"),
        (UP, BIAS[:3]),
    ),
    "deconvolution in groups": Case(
        "Deconvolution",
        lambda x: deconvolved(x, UP_GROUPED, stride=2, group=2),
        convolution("num_output: 6 kernel_size: 3 stride: 2 group: 2 bias_term: false"),
        (UP_GROUPED,),
    ),
    "depthwise deconvolution": Case(
        "Deconvolution",
        lambda x: deconvolved(x, UP_DEPTHWISE, stride=2, pad=1, group=4),
        convolution("num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 4 bias_term: false"),
        (UP_DEPTHWISE,),
    ),
    "ReLU": Case("ReLU", lambda x: np.maximum(x, 0)),
    "leaky ReLU": Case("ReLU", lambda x: np.where(x > 0, x, 0.25 * x), "relu_param { negative_slope: .25 }"),
    "PReLU": Case("PReLU", lambda x: np.where(x > 0, x, SLOPES[:, None, None] * x), "", (SLOPES,)),
    "PReLU of one slope": Case(
        "PReLU", lambda x: np.where(x > 0, x, SLOPES[0] * x), "prelu_param { channel_shared: true }", (SLOPES[:1],)
    ),
    "ELU": Case("ELU", lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    "ELU of another alpha": Case("ELU", lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1)), "elu_param { alpha: .5 }"),
    "ReLU6": Case("ReLU6", lambda x: np.clip(x, 0, 6)),
    "ReLU6 of other bounds": Case("ReLU6", lambda x: np.clip(x, 0.5, 2), "relu6_param { min_value: 0.5 max_value: 2 }"),
    "Clip": Case("Clip", lambda x: np.clip(x, -0.5, 1), "clip_param { min: -0.5 max: 1 }", in_caffe=False),
    "Swish": Case("Swish", lambda x: x / (1 + np.exp(-x))),
    "Sigmoid": Case("Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    "TanH": Case("TanH", np.tanh),
    "AbsVal": Case("AbsVal", np.abs),
    "LRN": Case(
        "LRN", lambda x: shared(x, 3, 0.5, 0.6, along=(1,)), "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 }"
    ),
    "LRN of five channels": Case("LRN", lambda x: shared(x, 5, 0.1, 0.75, along=(1,)), "lrn_param { alpha: 0.1 }"),
    "LRN within a channel": Case(
        "LRN",
        lambda x: shared(x, 3, 0.5, 0.75, along=(2, 3)),
        "lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }",
    ),
    "ShuffleChannel": Case("ShuffleChannel", lambda x: x[:, [0, 2, 1, 3]], "shuffle_channel_param { group: 2 }"),
    "Reshape to taller channels": Case(
        "Reshape",
        lambda x: x.reshape(len(x), 2, -1, x.shape[3]),
        "reshape_param { shape { dim: [0, 2, -1, 0] } }",
    ),
    "Reshape of two axes": Case(
        "Reshape",
        lambda x: x.reshape(len(x), 2, -1, x.shape[3]),
        "reshape_param { shape { dim: [2, -1] } axis: 1 num_axes: 2 }",
    ),
    "Reshape to the same": Case("Reshape", lambda x: x, "reshape_param { shape { dim: [0, -1, 0, 0] } }"),
    "Softmax": Case("Softmax", lambda x: softmax(x, 1)),
    "Softmax along rows": Case("Softmax", lambda x: softmax(x, 3), "softmax_param { axis: -1 }"),
    "Dropout": Case("Dropout", lambda x: x, "dropout_param { dropout_ratio: 0.5 }"),
    **{
        f"{pool} pooling {kernel} by {stride}, padding {pad}": Case(
            "Pooling",
            lambda x, k=kernel, s=stride, p=pad, average=pool == "AVE": pooled(x, k, stride=s, pad=p, average=average),
            pooling(f"pool: {pool} kernel_size: {kernel} stride: {stride} pad: {pad}"),
        )
        for pool in ("MAX", "AVE")
        for kernel, stride, pad in ((2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 2, 1), (3, 1, 1), (4, 3, 2))
    },
    "pooling rounded down": Case(
        "Pooling",
        lambda x: pooled(x, 2, stride=2, floor=True),
        pooling("pool: MAX kernel_size: 2 stride: 2 ceil_mode: false"),
    ),
    "maximum of all": Case(
        "Pooling", lambda x: x.max(axis=(2, 3), keepdims=True), pooling("pool: MAX global_pooling: true")
    ),
    "average of all": Case(
        "Pooling", lambda x: x.mean(axis=(2, 3), keepdims=True), pooling("pool: AVE global_pooling: true")
    ),
    "Concat": Case("Concat", lambda x: np.concatenate([x, x, x], axis=1), bottoms=3),
    "Concat along columns": Case(
        "Concat", lambda x: np.concatenate([x, x], axis=3), "concat_param { axis: 3 }", bottoms=2
    ),
    "sum": Case("Eltwise", lambda x: 3 * x, bottoms=3),
    "weighted sum": Case("Eltwise", lambda x: -1.5 * x, "eltwise_param { operation: SUM coeff: [.5, -2] }", bottoms=2),
    "product": Case("Eltwise", lambda x: x**3, "eltwise_param { operation: PROD }", bottoms=3),
    "maximum": Case("Eltwise", lambda x: x, "eltwise_param { operation: MAX }", bottoms=2),
    "Power": Case("Power", lambda x: (0.5 * x + 3) ** 2, "power_param { power: 2 scale: .5 shift: 3 }"),
    "Power of a half": Case("Power", lambda x: (0 * x + 3) ** 0.5, "power_param { power: .5 scale: 0 shift: 3 }"),
    "Power of one": Case("Power", lambda x: x - 1, "power_param { shift: -1 }"),
    "Scale": Case("Scale", lambda x: SLOPES[:, None, None] * x, "", (SLOPES,)),
    "Scale with bias": Case(
        "Scale",
        lambda x: SLOPES[:, None, None] * x + MEAN[:, None, None],
        "scale_param { bias_term: true }",
        (SLOPES, MEAN),
    ),
    "Scale of two": Case("Scale", lambda x: x * x, "scale_param { axis: 0 }", bottoms=2),
    "BatchNorm": Case(
        "BatchNorm",
        lambda x: (x - MEAN[:, None, None] / 4) / np.sqrt(SPREAD[:, None, None] / 4 + 1e-3),
        "batch_norm_param { eps: 0.001 }",
        (MEAN, SPREAD, np.array([4])),
    ),
    "Interp by a factor": Case(
        "Interp",
        lambda x: enlarged(x, 3 * x.shape[2] - 2, 3 * x.shape[3] - 2),
        "interp_param { zoom_factor: 3 }",
    ),
    "Interp to a size": Case(
        "Interp", lambda x: enlarged(x, 9, 13), "interp_param { height: 9 width: 13 }", in_opencv_4=False
    ),
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def values(shape: Sequence[int]) -> NDArray[np.float32]:
    return np.random.default_rng(shape).normal(0, 2, size=tuple(shape)).astype(np.float32)


def by_onnx(case: Case) -> Any:
    """OpenCV's reading of the converted layer."""
    if not case.in_opencv_4 and OPENCV_4:
        pytest.skip("OpenCV 4 asks for no shapes while it runs")
    return read_onnx(case.onnx())


def read_onnx(data: bytes) -> Any:
    return cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))


def by_caffe(text: str, weights: Weights) -> Any:
    """OpenCV 4's reading of a pair; OpenCV 5 cannot."""
    if not OPENCV_4:
        pytest.skip("this OpenCV has no Caffe importer")
    model = np.frombuffer(write_caffemodel(weights) or b"\n\0", np.uint8)
    return cv2.dnn.readNetFromCaffe(np.frombuffer(text.encode(), np.uint8), model)


def forward(net: Any, x: Array) -> Array:
    net.setInput(x)
    return net.forward().copy()


@EVERY
def test_a_layer_gives_what_its_formula_gives_in_any_size(case: Case) -> None:
    net = by_onnx(case)
    for shape in case.sizes:
        x = values(shape)
        np.testing.assert_allclose(forward(net, x), case.formula(x.astype(np.float64)), atol=1e-4)


@EVERY
def test_a_layer_gives_what_the_caffe_importer_gives(case: Case) -> None:
    if not case.in_caffe:
        pytest.skip("OpenCV's Caffe importer does not know this layer")
    caffe, onnx = by_caffe(case.text, case.weights), by_onnx(case)
    for shape in case.sizes:
        x = values(shape)
        np.testing.assert_allclose(forward(onnx, x), forward(caffe, x), atol=1e-4)


def test_every_type_is_tried() -> None:
    assert {case.kind for case in CASES.values()} | {"Crop", "Slice", "Split"} == set(TYPES)


def test_the_parts_of_a_slice_are_the_channels_between_its_points() -> None:
    for options, bounds in (("slice_param { slice_point: [1, 3] }", (0, 1, 3, 4)), ("", (0, 1, 2, 3, 4))):
        tops = [f"part{number}" for number in range(len(bounds) - 1)]
        text = Case("Slice", np.abs, options).text.replace('top: "y"', " ".join(f'top: "{top}"' for top in tops))
        x = values(SHAPES[0])
        net = read_onnx(convert(parse_prototxt(text), {}))
        net.setInput(x)
        parts = net.forward(tops)
        for part, (start, end) in zip(parts, pairwise(bounds), strict=True):
            np.testing.assert_array_equal(part, x[:, start:end])


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("", np.s_[:, :, :5, :7]),
        ("crop_param { offset: 2 }", np.s_[:, :, 2:7, 2:9]),
        ("crop_param { axis: 2 offset: 0 offset: 1 }", np.s_[:, :, :5, 1:8]),
        ("crop_param { axis: -1 offset: 1 }", np.s_[:, :, :, 1:8]),
        ("crop_param { axis: 1 offset: [2, 0, 1] }", np.s_[:, 2:4, :5, 1:8]),
    ],
)
def test_a_crop_is_the_part_with_the_size_of_its_second_bottom(options: str, part: Any) -> None:
    weights = {"small": [blob(2, CHANNELS, 3, 3)]}
    text = (
        f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [1, {CHANNELS}, 8, 8] }} }} }}'
        'layer { name: "small" type: "Convolution" bottom: "x" top: "small" convolution_param { num_output: 2 '
        'kernel_size: 3 bias_term: false } }'
        f'layer {{ name: "it" type: "Crop" bottom: "x" bottom: "small" top: "y" {options} }}'
    )
    x = values((1, CHANNELS, 7, 9))
    if OPENCV_4:
        np.testing.assert_array_equal(forward(by_caffe(text, weights), x), x[part])
    else:
        np.testing.assert_array_equal(forward(read_onnx(convert(parse_prototxt(text), weights)), x), x[part])


def test_the_tops_of_a_split_are_its_bottom() -> None:
    text = Case("Split", np.abs).text.replace('top: "y"', 'top: "a" top: "b"')
    x = values(SHAPES[0])
    net = read_onnx(convert(parse_prototxt(text), {}))
    net.setInput(x)
    for part in net.forward(["a", "b"]):
        np.testing.assert_array_equal(part, x)


def test_an_input_that_no_layer_takes_is_left_out() -> None:
    unused = 'layer { name: "w" type: "Input" top: "w" input_param { shape { dim: [1, 71, 1, 1] } } }'
    x = values(SHAPES[0])
    data = convert(parse_prototxt(f"{unused} {CASES['AbsVal'].text}"), {})
    assert read_graph(data).inputs == {"x": (None, CHANNELS, None, None)}
    np.testing.assert_allclose(forward(read_onnx(data), x), np.abs(x))


# ------------------------------------------------------------------------------------------------- whole networks

OWN = ("light_body", "light_hand")
OPENPOSE = ("coco", "mpi", "mpi_4_stages", "body_25", "hand", "face")


def narrow(message: Message, share: int = 16) -> Message:
    """The network with a part of its channels, which is quick; its layers and what joins them stay."""
    narrowed = parse_prototxt(format_prototxt(message))
    for layer in narrowed["layer"]:
        for options in layer.get("convolution_param", []):
            options["num_output"] = [math.ceil(options["num_output"][0] / share)]
    return narrowed


def random_weights(message: Message) -> Weights:
    """Weights for a network of OpenPose's, of which each layer gives values of about the size that it is given."""
    channels: dict[str, int] = {}
    weights: Weights = {}
    for layer in message["layer"]:
        name, (top,) = layer["name"][0], layer["top"]
        count = sum(channels.get(bottom, 0) for bottom in layer.get("bottom", []))
        if type_of(layer) == "input":
            count = 3
        elif type_of(layer) == "convolution":
            options = layer["convolution_param"][0]
            side, outputs = options["kernel_size"][0], options["num_output"][0]
            weights[name] = [blob(outputs, count, side, side) * math.sqrt(2 / count) / side, blob(outputs) / 10]
            count = outputs
        elif type_of(layer) == "prelu":
            weights[name] = [blob(count) / 10 + 0.2]
        channels[top] = count
    return weights


@pytest.mark.parametrize("name", OPENPOSE)
def test_openposes_networks_give_the_same_by_both_ways_in_several_sizes(name: str) -> None:
    message = narrow(read_prototxt(REPOSITORY / "models" / name / "pose.prototxt"))
    weights = random_weights(message)
    onnx, caffe = read_onnx(convert(message, weights)), by_caffe(format_prototxt(message), weights)
    for size in ((48, 64), (40, 40), (51, 37)):
        x = values((1, 3, *size)) / 4
        expected = forward(caffe, x)
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(forward(onnx, x), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["coco", "hand"])
def test_7_by_7_convolutions_written_as_3_by_3_ones_give_the_same(name: str) -> None:
    message = narrow(read_prototxt(REPOSITORY / "models" / name / "pose.prototxt"))
    weights = random_weights(message)
    plain, thin = convert(message, weights), convert(message, weights, thin=True)
    assert len(node_names(thin)) > len(node_names(plain))
    for size in ((48, 64), (40, 40), (8, 16)):
        x = values((1, 3, *size)) / 4
        np.testing.assert_allclose(forward(read_onnx(thin), x), forward(read_onnx(plain), x), atol=1e-4)


@pytest.mark.parametrize("pad", [2, 3])
def test_a_7_by_7_convolution_gives_what_its_formula_gives_thin_or_not(pad: int) -> None:
    kernel = blob(3, CHANNELS, 7, 7) / 7
    case = Case("Convolution", np.abs, convolution(f"num_output: 3 kernel_size: 7 pad: {pad}"), (kernel, BIAS[:3]))
    data = convert(parse_prototxt(case.text), case.weights, thin=True)
    x = values((2, CHANNELS, 9, 12))
    expected = convolved(x.astype(np.float64), kernel, pad=pad) + BIAS[:3, None, None]
    np.testing.assert_allclose(forward(read_onnx(data), x), expected, atol=1e-4)
    assert ("Concat" in str(data)) == (pad == 3)


@pytest.mark.parametrize("name", OWN)
def test_our_own_networks_give_the_same_by_both_ways_in_several_sizes(name: str) -> None:
    folder = REPOSITORY / "models" / name
    message, weights = read_pair(folder / "pose.prototxt", folder / "pose.caffemodel")
    onnx = read_onnx(convert(message, weights))
    caffe = by_caffe((folder / "pose.prototxt").read_text(encoding="utf-8"), weights)
    for size in ((96, 128), (64, 64)):
        x = values((1, 3, *size)) / 4
        np.testing.assert_allclose(forward(onnx, x), forward(caffe, x), atol=1e-4)


def test_a_network_with_two_outputs_keeps_both_and_their_names(tmp_path: Path) -> None:
    pair = painted_network(tmp_path, COCO, outputs="split")
    net = read_onnx(convert(*read_pair(*pair)))
    assert sorted(net.getUnconnectedOutLayersNames()) == ["Mconv7_stage6_L1", "Mconv7_stage6_L2"]


OLD_STYLE = """
    name: "old" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
    layers { name: "conv" type: CONVOLUTION bottom: "x" top: "conv" convolution_param { num_output: 2 kernel_size: 1 } }
    layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
    layers { name: "joined" type: CONCAT bottom: "conv" bottom: "conv" top: "y" concat_param { concat_dim: 1 } }
"""


def test_files_of_caffes_first_kind_are_converted_too() -> None:
    kernel = blob(1, 1, 2, 3).reshape(2, 3, 1, 1)
    x = values((1, 3, 5, 4))
    found = forward(read_onnx(convert(parse_prototxt(OLD_STYLE), {"conv": [kernel, BIAS[:2]]})), x)
    expected = np.maximum(convolved(x, kernel) + BIAS[:2, None, None], 0)
    np.testing.assert_allclose(found, np.concatenate([expected, expected], axis=1), atol=1e-5)


def test_a_layer_in_place_changes_what_comes_after_it_alone() -> None:
    text = """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 1, 4, 4] } } }
        layer { name: "less" type: "Power" bottom: "x" top: "a" power_param { shift: -1 } }
        layer { name: "twice" type: "Power" bottom: "a" top: "b" power_param { scale: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
        layer { name: "all" type: "Concat" bottom: "x" bottom: "a" bottom: "b" top: "y" }"""
    x = values((1, 1, 3, 5))
    found = forward(read_onnx(convert(parse_prototxt(text), {})), x)
    np.testing.assert_allclose(found, np.concatenate([x, np.maximum(x - 1, 0), 2 * x - 2], axis=1), atol=1e-6)


# ------------------------------------------------------------------------------------------------------- the file


@EVERY
def test_onnx_itself_has_nothing_to_say_against_a_converted_layer(case: Case) -> None:
    onnx = pytest.importorskip("onnx", reason="the package onnx, which checks files, is not installed")
    model = onnx.load_from_string(case.onnx())
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    (output,) = inferred.graph.output
    dims = output.type.tensor_type.shape.dim
    assert (len(dims), dims[1].dim_value) == (4, case.formula(values(SHAPES[0])).shape[1])
    assert {each.data_type for each in model.graph.initializer} <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


@pytest.mark.parametrize("name", OWN)
def test_onnx_itself_has_nothing_to_say_against_our_own_networks(name: str) -> None:
    onnx = pytest.importorskip("onnx", reason="the package onnx, which checks files, is not installed")
    folder = REPOSITORY / "models" / name
    model = onnx.load_from_string(convert(*read_pair(folder / "pose.prototxt", folder / "pose.caffemodel")))
    onnx.checker.check_model(model, full_check=True)
    (dims,) = [each.type.tensor_type.shape.dim for each in model.graph.input]
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, "height", "width"]


def test_a_file_says_what_it_was_told_to_say_and_keeps_the_layers_names() -> None:
    case = CASES["Power"]
    data = convert(parse_prototxt(case.text), {}, {"source": "über", "": "x"})
    assert properties(data) == {"source": "über", "": "x"}
    assert node_names(data)[0] == "it"
    assert len(set(node_names(data))) == len(node_names(data)) == 2


def test_half_floats_become_single_ones() -> None:
    kernel = np.array([[[[0.1]]], [[[1 / 3]]]], np.float32)
    text = Case("Convolution", np.abs, convolution("num_output: 2 kernel_size: 1 bias_term: false")).text
    text = text.replace(f"[1, {CHANNELS}, 8, 8]", "[1, 1, 8, 8]")
    half = read_caffemodel(write_caffemodel({"it": [kernel]}, half=True))
    x = np.ones((1, 1, 2, 2), np.float32)
    found = forward(read_onnx(convert(parse_prototxt(text), half)), x)
    np.testing.assert_array_equal(found[0, :, 0, 0], kernel.astype(np.float16).astype(np.float32).ravel())


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("kind", "options", "blobs", "words"),
    [
        ("InnerProduct", "inner_product_param { num_output: 2 }", (blob(2, 4), BIAS[:2]), "cannot be converted"),
        ("Upsample", "", (), "cannot be converted"),
        ("Pooling", pooling("pool: STOCHASTIC kernel_size: 2"), (), "MAX, AVE"),
        ("Pooling", pooling("pool: 2 kernel_size: 2"), (), "MAX, AVE"),
        ("Pooling", "", (), r"kernel_size \[0, 0\]"),
        ("Pooling", pooling("kernel_size: 2 pad: 2"), (), "padding"),
        ("Pooling", pooling("kernel_size: 2 stride: 0"), (), "stride"),
        ("Convolution", convolution("num_output: 6 kernel_size: [3, 3, 3]"), (blob(6, 4, 3, 3, 3), BIAS), "size"),
        ("Convolution", convolution("num_output: 6 kernel_size: 3"), (GROUPED, BIAS), "2 channels and is given 4"),
        ("Deconvolution", convolution("num_output: 3 kernel_size: 4"), (UP[:2], BIAS[:3]), "2 channels and is given 4"),
        ("Convolution", convolution("num_output: 6 kernel_size: 3 padding: 1"), (DENSE, BIAS), "_param.padding"),
        ("Pooling", pooling("kernel_size: 2 dilation: 2"), (), "pooling_param.dilation"),
        ("ReLU", "relu_param { slope: 0.1 }", (), "relu_param.slope"),
        ("Sigmoid", "sigmoid_param { gain: 2 }", (), "sigmoid_param.gain"),
        ("ReLU", "pooling_param { stride: 2 }", (), "pooling_param.stride"),
        ("PReLU", "", (SLOPES[:3],), "3 numbers for 4 channels"),
        ("BatchNorm", "batch_norm_param { use_global_stats: false }", (MEAN, SPREAD), "statistics"),
        ("Softmax", "softmax_param { axis: 4 }", (), "axis 4"),
        ("Slice", "slice_param { slice_point: 2 }", (), "into 1 parts"),
        ("Scale", "scale_param { axis: 2 }", (SLOPES,), "axis 1"),
        ("Eltwise", "eltwise_param { coeff: [1, 2] }", (), "2 coefficients for 1 bottoms"),
        ("Clip", "", (), "min and max"),
        ("ReLU", "negative_slope: 0.1", (), "converted: negative_slope; OpenCV 4 may read"),
        ("LRN", "lrn_param { alpha: 1 local_size: 4 }", (), "odd local_size"),
        ("LRN", "lrn_param { local_size: 3 }", (), "an alpha"),
        ("LRN", "lrn_param { alpha: 1 k: 2 }", (), "a k of 1; OpenCV 4 may read"),
        ("LRN", "lrn_param { alpha: 1 norm_by_size: false }", (), "lrn_param.norm_by_size"),
        ("Reshape", "reshape_param { shape { dim: [0, -1] } }", (), "four axes"),
        ("Reshape", "reshape_param { shape { dim: [0, -1, -1, 0] } }", (), "one of them -1"),
        ("Reshape", "reshape_param { shape { dim: [0, -1, 2, 0] } }", (), "channels open"),
        ("Reshape", "", (), "four axes"),
        ("ShuffleChannel", "shuffle_channel_param { group: 3 }", (), "4 channels in 3 groups"),
        ("Crop", "", (), "1 bottoms"),
        ("Interp", "interp_param { shrink_factor: 2 }", (), "zoom_factor"),
        ("Interp", "interp_param { zoom_factor: 30000 }", (), "zoom_factor"),
        ("Interp", "interp_param { zoom_factor: 2 pad_beg: -1 }", (), "zoom_factor"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_told_with_the_layers_name_and_type(
    kind: str, options: str, blobs: Sequence[Array], words: str
) -> None:
    with pytest.raises(ModelError, match=words) as error:
        Case(kind, np.abs, options, blobs).onnx()
    assert f"layer 'it' of type {kind}" in str(error.value)
    assert "\n" not in str(error.value)


INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 3, 8, 8] } } }'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (INPUT, "no layers after its input"),
        (INPUT + 'layer { name: "a" type: "ReLU" bottom: "y" top: "y" }', "'a' takes 'y'"),
        (INPUT + 'layer { name: "a" type: "ReLU" bottom: "x" }', "'a' of type ReLU has 0 tops"),
        (INPUT + 'layer { name: "a" type: "ReLU" bottom: "x" bottom: "x" top: "y" }', "'a' of type ReLU has 2 bottoms"),
        (INPUT + 'layer { name: "a" type: "ReLU" top: "y" }', "'a' of type ReLU has 0 bottoms"),
        (INPUT.replace("8, 8", "8") + 'layer { name: "a" type: "ReLU" bottom: "x" top: "y" }', "input 'x'"),
        ('input: "x" layer { name: "a" type: "ReLU" bottom: "x" top: "y" }', "input 'x'"),
        (INPUT + 'layer { name: "a" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 '
         "kernel_size: 1 } }", "'a' has no weights"),
    ],
)  # fmt: skip
def test_a_network_that_does_not_hold_together_is_told_where(text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        convert(parse_prototxt(text), {})


def test_channels_that_double_with_every_layer_end_in_an_error() -> None:
    layers = [f'layer {{ name: "a{n}" type: "Concat" bottom: "x" bottom: "x" top: "x" }}' for n in range(99)]
    with pytest.raises(ModelError, match="gives 98304 channels"):
        convert(parse_prototxt(INPUT + "".join(layers)), {})


def test_whatever_the_options_say_the_answer_is_a_file_or_a_model_error() -> None:
    chance = random.Random(5)
    odd = ("-1", "0", "1", "3", "99999999999999999999", "1e300", "nan", "true", '"x"', "MAX", "[]", "[1, 2]", "{ }")
    refused: list[str] = []
    for case in CASES.values():
        for _ in range(15):
            text = re.sub(r"(?<=: )[\w.-]+(?= )", lambda match: chance.choice((match[0], *odd)), case.text)
            try:
                assert convert(parse_prototxt(text), case.weights)
            except ModelError as error:
                refused.append(str(error))
    assert 100 < len(refused) < 15 * len(CASES)
    assert not any("\n" in line for line in refused)
