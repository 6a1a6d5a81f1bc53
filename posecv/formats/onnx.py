"""Write Caffe pairs as ONNX files, which OpenCV 5, OpenVINO and ONNX Runtime read.

A network keeps its layers, weights and outputs; batch size, height and width of the input are variable. Where Caffe and
ONNX differ (poolings that round up, averages at a border), the file uses operators that every engine computes in the
same way.

Sources: the field numbers of onnx.proto (ONNX 1.8, IR version 7), the operators of opset 13, and Caffe's layers as
OpenCV 4 computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.errors import ModelError
from posecv.formats.caffe import Message, called, check_weights, layers_of, open_tops, type_of, value_of, values_of
from posecv.formats.protobuf import BYTES, delimited, integer, opening, read_fields, varint

__all__ = ["convert", "inputs", "is_wide", "node_names", "operators", "properties", "property_field"]

T = TypeVar("T")

IR_VERSION, OPSET = 7, 13  # from 2020: OpenCV 4.8 and all newer engines read them
FLOAT, INT64 = 1, 7  # TensorProto.DataType
END = (1 << 63) - 1  # the end of a slice that goes to the end
FIELDS = 1 << 18  # maximum fields of a file
LARGEST = 1 << 15  # maximum of a kernel, a stride, a padding, a size
MOST = 1 << 16  # maximum channels
SHUFFLED = 1 << 12  # maximum channels to shuffle, by a kernel that grows quadratically
ZOOM = 32  # maximum factor of an enlargement, whose kernel grows quadratically


class Value(NamedTuple):
    """An output of a layer: its number in the graph and its channels."""

    number: int
    channels: int


class Node(NamedTuple):
    """An operator on values and constants, the latter by name."""

    name: str
    kind: str
    inputs: tuple[int | str, ...]
    output: int
    attributes: Mapping[str, float | int | str | Sequence[int]]


@dataclass
class Graph:
    """Collects the operators and constants of a network; `thin` replaces 7 x 7 kernels by 3 x 3 ones."""

    thin: bool = False
    inputs: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    count: int = 0

    def value(self, channels: int) -> Value:
        """A new value."""
        self.count += 1
        return Value(self.count, channels)


@dataclass
class Layer:
    """A layer that is being added to the graph: its options, its bottoms and its blobs."""

    graph: Graph
    message: Message
    bottoms: list[Value]
    blobs: Sequence[Array]

    @property
    def name(self) -> str:
        """Its name."""
        return value_of(self.message, "name", "")

    def options(self, name: str) -> Message:
        """The message of its options, empty if it has none."""
        return value_of(self.message, name, Message())

    def node(self, kind: str, *inputs: Value | str, channels: int | None = None, **attributes: Any) -> Value:
        """The value of an operator; by default it has the first input's channels."""
        first = next(value for value in inputs if isinstance(value, Value))
        output = self.graph.value(first.channels if channels is None else channels)
        if output.channels > MOST:
            raise self.error(f"gives {output.channels} channels; the maximum is {MOST}")
        names = tuple(value.number if isinstance(value, Value) else value for value in inputs)
        taken = self.name in self.graph.names
        self.graph.names.add(self.name)
        name = f"{self.name}/{output.number}" if taken else self.name  # OpenCV 4 needs unique names
        self.graph.nodes.append(Node(name, kind, names, output.number, attributes))
        return output

    def constant(self, array: Any, dtype: type = np.float32) -> str:
        """The name of a constant."""
        with np.errstate(over="ignore"):  # a number of the prototxt may be too large for a float
            values: NDArray[Any] = np.asarray(array, dtype)
        name = f"{self.name}/{len(self.graph.constants)}"
        self.graph.constants[name] = values
        return name

    def a_channel(self, blob: int) -> Array:
        """A blob with one number per channel, or one for all."""
        values, channels = self.blobs[blob], self.bottoms[0].channels
        if values.size not in (1, channels):
            raise self.error(f"has {values.size} numbers for {channels} channels")
        return values.ravel()

    def error(self, found: str) -> ModelError:
        """An error that names the layer."""
        return ModelError(f"{called(self.message)} of type {value_of(self.message, 'type', '')[:60]} {found}")

    def beyond(self, found: str) -> ModelError:
        """An error for what only the conversion cannot do."""
        return self.error(f"{found}; OpenCV 4 may read the pair itself")


def convert(
    message: Message,
    weights: Mapping[str, Sequence[Array]],
    properties: Mapping[str, str] | None = None,
    *,
    thin: bool = False,
) -> bytes:
    """Convert a pair, as `posecv.formats.caffe.read_pair` returns it, to an ONNX file.

    Parameters
    ----------
    message : dict of lists
        The network.
    weights : mapping
        Name of each layer -> its blobs, float32 arrays.
    properties : mapping of str to str, optional
        Metadata of the file (`metadata_props`).
    thin : bool
        Replace 7 x 7 convolutions by 3 x 3 ones with the same result, which are faster in OpenCV 4 (`_thinned`).

    Returns
    -------
    bytes
        IR version 7, opset 13, float32. Inputs and outputs have the names of Caffe's blobs.

    Raises
    ------
    ModelError
        If a layer, or one of its options, cannot be converted (the message contains its name and type), or weights do
        not fit.
    """
    check_weights(message, weights)
    graph = Graph(thin)
    values: dict[str, Value] = {}
    taken = {bottom for each in layers_of(message) for bottom in values_of(each, "bottom", str)}
    for name, dims in inputs(message):
        if name in taken:  # an engine would ask for a value of an input that no layer takes
            values[name] = graph.inputs[name] = graph.value(_channels(name, dims))
    for each in layers_of(message):
        if type_of(each) == "input":
            continue
        tops = values_of(each, "top", str)
        try:
            bottoms = [values[bottom] for bottom in values_of(each, "bottom", str)]
        except KeyError as missing:
            raise ModelError(f"{called(each)} takes {missing}, which no layer before it produces") from None
        results = _converted(Layer(graph, each, bottoms, weights.get(value_of(each, "name", ""), ())))
        if len(results) != len(tops):
            raise ModelError(f"{called(each)} of type {value_of(each, 'type', '')} has {len(tops)} tops")
        values.update(zip(tops, results, strict=True))
    outputs = {name: values[name] for name in open_tops(message) if name in values and name not in graph.inputs}
    if not outputs:
        raise ModelError("the network has no layers after its input")
    return _model(graph, outputs, properties or {})


def inputs(message: Message) -> Iterator[tuple[str, Sequence[int]]]:
    """Name and dims of each input: layers of type Input, or `input` with `input_dim` or `input_shape` in old files."""
    for layer in layers_of(message):
        if type_of(layer) == "input":
            shapes = values_of(value_of(layer, "input_param", Message()), "shape", dict)
            for index, top in enumerate(values_of(layer, "top", str)):
                yield top, values_of(shapes[min(index, len(shapes) - 1)], "dim", int) if shapes else ()
    shapes, dims = values_of(message, "input_shape", dict), values_of(message, "input_dim", int)
    for index, name in enumerate(values_of(message, "input", str)):
        yield name, values_of(shapes[index], "dim", int) if index < len(shapes) else dims[4 * index : 4 * index + 4]


def _channels(name: str, dims: Sequence[int]) -> int:
    if len(dims) != 4 or not 0 < dims[1] < LARGEST:
        raise ModelError(f"the input {name!r} has the shape {list(dims)}; 1, channels, height, width are needed")
    return dims[1]


def _converted(layer: Layer) -> list[Value]:
    """The values of a layer's tops."""
    kind = type_of(layer.message)
    if kind not in LAYERS:
        known = ", ".join(sorted(TYPES))
        raise layer.beyond(f"cannot be converted; types that can are {known}")
    count = len(layer.bottoms)
    least, most = BOTTOMS.get(kind, (1, 1))
    if not least <= count <= most:
        raise layer.error(f"has {count} bottoms")
    _check_options(layer)
    results = LAYERS[kind](layer)
    return [results] if isinstance(results, Value) else results


# --- layers ---------------------------------------------------------------------------------------------------------


def _convolution(layer: Layer) -> Value:
    options, (bottom,) = layer.options("convolution_param"), layer.bottoms
    window, group = _window(layer, options), value_of(options, "group", 1)
    kernel = layer.blobs[0].reshape(-1, *layer.blobs[0].shape[-3:])
    transposed = type_of(layer.message) == "deconvolution"
    taken = len(kernel) if transposed else kernel.shape[1] * group
    if taken != bottom.channels:
        raise layer.error(f"has weights for {taken} channels and is given {bottom.channels}")
    bias = [layer.constant(layer.blobs[1].ravel())] if value_of(options, "bias_term", True) else []
    if layer.graph.thin and is_wide(layer.message):
        return _thinned(layer, kernel, bias)
    return layer.node(
        "ConvTranspose" if transposed else "Conv",
        bottom,
        layer.constant(kernel),
        *bias,
        channels=value_of(options, "num_output", 0),
        group=group,
        **window,
    )


def is_wide(layer: Message) -> bool:
    """Whether `thin` replaces a layer: a convolution with a 7 x 7 kernel, stride 1, one group and equal output size.

    >>> is_wide({"type": ["Convolution"], "convolution_param": [{"num_output": [4], "kernel_size": [7], "pad": [3]}]})
    True
    """
    options = value_of(layer, "convolution_param", Message())
    ones = {"stride", "group", "dilation"}  # OpenPose's hand network writes them although they are 1
    known = {"num_output", "kernel_size", "pad", "bias_term", "weight_filler", "bias_filler"} | ones
    plain = options.keys() <= known and all(set(values_of(options, name, int)) <= {1} for name in ones)
    sizes = [set(values_of(options, name, int)) for name in ("kernel_size", "pad")]
    return type_of(layer) == "convolution" and plain and sizes == [{7}, {3}]


def _thinned(layer: Layer, kernel: Array, bias: list[str]) -> Value:
    """A 7 x 7 convolution as a 3 x 3 one over nine copies of its input, shifted by -3, 0 or 3 cells along each axis.

    With a border of zeros, the kernel is 9 x 9: nine blocks of 3 x 3, one for each copy.
    """
    wide = np.pad(kernel, ((0, 0), (0, 0), (1, 1), (1, 1)))
    blocks = [wide[:, :, row : row + 3, column : column + 3] for row in (0, 3, 6) for column in (0, 3, 6)]
    padded = layer.node("Pad", layer.bottoms[0], layer.constant([0, 0, 4, 4] * 2, np.int64), mode="constant")
    axes = layer.constant([2, 3], np.int64)
    copies = []
    for row, column in np.ndindex(3, 3):
        start = layer.constant([3 * row, 3 * column], np.int64)
        end = layer.constant([3 * at - 6 if at < 2 else END for at in (row, column)], np.int64)
        copies.append(layer.node("Slice", padded, start, end, axes))
    together = layer.node("Concat", *copies, channels=9 * padded.channels, axis=1)
    weights = layer.constant(np.concatenate(blocks, axis=1))
    return layer.node("Conv", together, weights, *bias, channels=len(kernel), kernel_shape=[3, 3])


def _window(layer: Layer, options: Message) -> dict[str, list[int]]:
    """ONNX's attributes for kernel, stride, padding and dilation."""
    kernel = _sides(layer, options, "kernel_size", "kernel", 0, 1)
    strides = _sides(layer, options, "stride", "stride", 1, 1)
    pads = _sides(layer, options, "pad", "pad", 0, 0)
    dilations = _sides(layer, options, "dilation", "dilation", 1, 1)
    return {"kernel_shape": kernel, "strides": strides, "pads": pads * 2, "dilations": dilations}


def _sides(layer: Layer, options: Message, both: str, each: str, default: int, least: int) -> list[int]:
    """The vertical and horizontal value of an option that is given once, twice, or separately as `_h` and `_w`."""
    sides = values_of(options, both, int) or [value_of(options, f"{each}_{side}", default) for side in "hw"]
    sides = sides * 2 if len(sides) == 1 else sides
    if len(sides) != 2 or not all(least <= side <= LARGEST for side in sides):
        raise layer.error(f"has {both} {sides}")
    return sides


def _pooling(layer: Layer) -> Value:
    """Caffe rounds the number of windows up, but no window starts outside the image and its padding.

    This equals ONNX's rounding down if the padding at the end is larger by stride - 1, up to kernel - 1. Averages count
    only Caffe's own padding, which is therefore added before as zeros.
    """
    options, (bottom,) = layer.options("pooling_param"), layer.bottoms
    average = _word(layer, options, "pool", ("MAX", "AVE")) == "AVE"
    if value_of(options, "global_pooling", False):
        return layer.node("GlobalAveragePool" if average else "GlobalMaxPool", bottom)
    window = _window(layer, options)
    kernel, strides, pads = window["kernel_shape"], window["strides"], window["pads"][:2]
    if any(pad >= side for pad, side in zip(pads, kernel, strict=True)):
        raise layer.error(f"has a padding {pads} that is not less than its kernel {kernel}")
    further = _beyond(layer, options, kernel, strides, pads)
    if not average:
        ends = [pad + more for pad, more in zip(pads, further, strict=True)]
        return layer.node("MaxPool", bottom, kernel_shape=kernel, strides=strides, pads=pads + ends)
    if any(pads):
        padding = layer.constant([0, 0, *pads, 0, 0, *pads], np.int64)
        bottom = layer.node("Pad", bottom, padding, mode="constant")
    return layer.node("AveragePool", bottom, kernel_shape=kernel, strides=strides, pads=[0, 0, *further])


def _beyond(layer: Layer, options: Message, kernel: list[int], strides: list[int], pads: list[int]) -> list[int]:
    """The maximum distance by which the last windows of a pooling exceed the image and its padding."""
    mode = _word(layer, options, "round_mode", ("CEIL", "FLOOR"))
    if mode == "FLOOR" or not value_of(options, "ceil_mode", True):
        return [0, 0]
    return [min(stride - 1, side - 1 - pad) for side, stride, pad in zip(kernel, strides, pads, strict=True)]


def _word(layer: Layer, options: Message, name: str, words: Sequence[str]) -> str:
    """An option that is one of several words, or the number of one; the first word by default."""
    value = (options.get(name) or [0])[-1]
    word = words[value] if isinstance(value, int) and 0 <= value < len(words) else str(value)
    if word not in words:
        raise layer.error(f"has {name} {word}; {', '.join(words)} can be converted")
    return word


def _relu(layer: Layer) -> Value:
    slope = value_of(layer.options("relu_param"), "negative_slope", 0.0)
    if slope:
        return layer.node("LeakyRelu", *layer.bottoms, alpha=float(slope))
    return layer.node("Relu", *layer.bottoms)


def _prelu(layer: Layer) -> Value:
    return layer.node("PRelu", *layer.bottoms, layer.constant(layer.a_channel(0).reshape(-1, 1, 1)))


def _elu(layer: Layer) -> Value:
    return layer.node("Elu", *layer.bottoms, alpha=float(value_of(layer.options("elu_param"), "alpha", 1.0)))


def _relu6(layer: Layer) -> Value:
    options = layer.options("relu6_param")
    return _clip(layer, value_of(options, "min_value", 0.0), value_of(options, "max_value", 6.0))


def _clip_layer(layer: Layer) -> Value:
    options = layer.options("clip_param")
    if not {"min", "max"} <= options.keys():
        raise layer.error("needs min and max")
    return _clip(layer, value_of(options, "min", 0.0), value_of(options, "max", 0.0))


def _clip(layer: Layer, low: float, high: float) -> Value:
    return layer.node("Clip", *layer.bottoms, layer.constant(low), layer.constant(high))


def _same(kind: str) -> Callable[[Layer], Value]:
    """A layer that equals an operator without options."""
    return lambda layer: layer.node(kind, *layer.bottoms)


def _softmax(layer: Layer) -> Value:
    return layer.node("Softmax", *layer.bottoms, axis=_axis(layer, layer.options("softmax_param")))


def _axis(layer: Layer, options: Message, old_name: str = "axis", default: int = 1) -> int:
    """The axis of (N, C, H, W) for a layer, as a non-negative number."""
    axis = value_of(options, "axis", value_of(options, old_name, default))
    if not -4 <= axis < 4:
        raise layer.error(f"has the axis {axis}; its bottom has 4")
    return axis % 4


def _concat(layer: Layer) -> Value:
    axis = _axis(layer, layer.options("concat_param"), "concat_dim")
    channels = sum(bottom.channels for bottom in layer.bottoms) if axis == 1 else None
    return layer.node("Concat", *layer.bottoms, channels=channels, axis=axis)


def _slice(layer: Layer) -> list[Value]:
    """One part per top, cut at the slice points, or in equal parts."""
    options, (bottom,) = layer.options("slice_param"), layer.bottoms
    axis, parts = _axis(layer, options, "slice_dim"), len(values_of(layer.message, "top", str))
    points = values_of(options, "slice_point", int)
    if not points and parts > 1:
        if axis != 1 or bottom.channels % parts:
            raise layer.error(f"needs slice_point: {bottom.channels} channels in {parts} parts along axis {axis}")
        points = [bottom.channels // parts * part for part in range(1, parts)]
    end = bottom.channels if axis == 1 else END
    bounds = [0, *points, end]
    if len(points) != parts - 1 or any(start >= stop for start, stop in pairwise(bounds)):
        raise layer.error(f"cuts {bottom.channels} channels at {points} into {parts} parts")
    values = []
    for start, stop in pairwise(bounds):
        ends = [layer.constant([number], np.int64) for number in (start, stop, axis)]
        values.append(layer.node("Slice", bottom, *ends, channels=stop - start if axis == 1 else None))
    return values


def _eltwise(layer: Layer) -> Value:
    """Sum (with coefficients), product or maximum, applied pairwise."""
    options, bottoms = layer.options("eltwise_param"), layer.bottoms
    operation = _word(layer, {"operation": [1], **options}, "operation", ("PROD", "SUM", "MAX"))
    factors = [float(factor) for factor in values_of(options, "coeff", float)]
    if factors and (operation != "SUM" or len(factors) != len(bottoms)):
        raise layer.error(f"has {len(factors)} coefficients for {len(bottoms)} bottoms and the operation {operation}")
    if len({bottom.channels for bottom in bottoms}) > 1:
        raise layer.error(f"is given {' and '.join(str(bottom.channels) for bottom in bottoms)} channels")
    if factors:
        bottoms = [_affine(layer, bottom, factor, 0) for bottom, factor in zip(bottoms, factors, strict=True)]
    result, *others = bottoms
    for other in others:
        result = layer.node({"PROD": "Mul", "SUM": "Add", "MAX": "Max"}[operation], result, other)
    return result if others else layer.node("Identity", result)


def _affine(layer: Layer, value: Value, factor: Any, summand: Any) -> Value:
    """Multiply by a factor and add an offset, each the same for all channels or one per channel.

    It is written as a normalisation: that avoids broadcasting, which engines compute wrongly with variable sizes, and
    engines can merge it with a preceding convolution.
    """
    if np.all(np.asarray(factor) == 1) and not np.any(summand):
        return value
    arrays = [np.broadcast_to(numbers, value.channels) for numbers in (factor, summand, 0.0, 1.0)]
    return layer.node("BatchNormalization", value, *map(layer.constant, arrays), epsilon=0.0)


def _power(layer: Layer) -> Value:
    """(shift + scale x) ^ power."""
    options = layer.options("power_param")
    scale, shift = value_of(options, "scale", 1.0), value_of(options, "shift", 0.0)
    value, power = _affine(layer, layer.bottoms[0], scale, shift), value_of(options, "power", 1.0)
    if power in (1, 2):
        return layer.node("Identity", value) if power == 1 else layer.node("Mul", value, value)
    return layer.node("Pow", value, layer.constant([[[power]]]))


def _scale(layer: Layer) -> Value:
    """A factor and optionally an offset per channel; with two bottoms, their product."""
    options = layer.options("scale_param")
    axis, bias = _axis(layer, options), value_of(options, "bias_term", False)
    if len(layer.bottoms) == 2 and axis == 0 and not bias:
        return layer.node("Mul", *layer.bottoms)
    if len(layer.bottoms) > 1 or axis != 1 or value_of(options, "num_axes", 1) != 1:
        raise layer.error("can be converted with a blob for axis 1, or with two bottoms for axis 0 and no bias")
    value = _affine(layer, layer.bottoms[0], layer.a_channel(0), layer.a_channel(1) if bias else 0)
    return layer.node("Identity", value)


def _batch_norm(layer: Layer) -> Value:
    """(x - mean) / sqrt(variance + eps); the blobs hold sums, and the third holds their number."""
    options = layer.options("batch_norm_param")
    if not value_of(options, "use_global_stats", True):
        raise layer.error("takes the statistics of its input, which cannot be converted")
    count = float(layer.blobs[2].ravel()[0]) if len(layer.blobs) > 2 and layer.blobs[2].size else 1.0
    mean, variance = (layer.a_channel(blob).astype(np.float64) / (count or 1) for blob in (0, 1))
    with np.errstate(all="ignore"):  # untrusted values may be negative
        factor = 1 / np.sqrt(variance + value_of(options, "eps", 1e-5))
        return layer.node("Identity", _affine(layer, layer.bottoms[0], factor, -mean * factor))


def _interp(layer: Layer) -> Value:
    """Linear enlargement that keeps the values at the corners, by a factor or to a size.

    By a factor z, to z (n - 1) + 1, it is a deconvolution with a triangle of 2 z - 1 values. To a size, it needs an
    engine with shapes at run time. OpenCV 4 does not have them, but it reads the pair itself.
    """
    options, (bottom,) = layer.options("interp_param"), layer.bottoms
    zoom, size = value_of(options, "zoom_factor", 0), [value_of(options, side, 0) for side in ("height", "width")]
    known = {"zoom_factor", "height", "width"}
    if not options.keys() <= known or (not 0 < zoom <= ZOOM if zoom else not all(0 < n <= LARGEST for n in size)):
        raise layer.error(f"can be converted with a zoom_factor of up to {ZOOM}, or with height and width")
    if not zoom:
        shape = layer.node("Shape", bottom)
        begin, end, axis = (layer.constant([number], np.int64) for number in (0, 2, 0))
        front = layer.node("Slice", shape, begin, end, axis)
        sizes = layer.node("Concat", front, layer.constant(size, np.int64), axis=0)
        corners = "align_corners"
        return layer.node("Resize", bottom, "", "", sizes, mode="linear", coordinate_transformation_mode=corners)
    ramp = 1 - np.abs(np.arange(1 - zoom, zoom)) / zoom
    kernel = np.tile(np.outer(ramp, ramp), (bottom.channels, 1, 1, 1))
    window: dict[str, Any] = {"kernel_shape": [len(ramp)] * 2, "strides": [zoom] * 2, "pads": [zoom - 1] * 4}
    return layer.node("ConvTranspose", bottom, layer.constant(kernel), group=bottom.channels, **window)


def _split(layer: Layer) -> list[Value]:
    """The bottom under the name of each top."""
    return [layer.node("Identity", *layer.bottoms) for _ in values_of(layer.message, "top", str)]


def _swish(layer: Layer) -> Value:
    """x times the sigmoid of x."""
    return layer.node("Mul", *layer.bottoms, layer.node("Sigmoid", *layer.bottoms))


def _lrn(layer: Layer) -> Value:
    """x / (1 + alpha mean(x^2))^beta, the mean over neighbouring channels, or over a window of each channel.

    OpenCV 4 takes 1 for `k` whatever the file says, and another alpha than Caffe where there is none.
    """
    options, (bottom,) = layer.options("lrn_param"), layer.bottoms
    size, beta = value_of(options, "local_size", 5), float(value_of(options, "beta", 0.75))
    if size % 2 == 0 or not 0 < size <= LARGEST or "alpha" not in options or value_of(options, "k", 1.0) != 1:
        raise layer.beyond("can be converted with an odd local_size, an alpha, and a k of 1")
    alpha = float(value_of(options, "alpha", 1.0))
    if _word(layer, options, "norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL")) == "ACROSS_CHANNELS":
        return layer.node("LRN", bottom, size=size, alpha=alpha, beta=beta, bias=1.0)
    pad = size // 2
    padding = layer.constant([0, 0, pad, pad] * 2, np.int64)
    squares = layer.node("Pad", layer.node("Mul", bottom, bottom), padding, mode="constant")
    means = layer.node("AveragePool", squares, kernel_shape=[size, size], strides=[1, 1])
    powers = layer.node("Pow", _affine(layer, means, alpha, 1.0), layer.constant([[[beta]]]))
    return layer.node("Div", bottom, powers)


def _crop(layer: Layer) -> Value:
    """The part of the first bottom with the size of the second, from axis `axis` on, at an offset for each or all axes.

    As for a size of Interp, an engine with shapes at run time is needed; OpenCV 4 reads the pair itself.
    """
    options, (bottom, like) = layer.options("crop_param"), layer.bottoms
    axis = _axis(layer, options, default=2)
    offsets = values_of(options, "offset", int) or [0]
    offsets = offsets * (4 - axis) if len(offsets) == 1 else offsets
    if len(offsets) != 4 - axis or not all(0 <= offset <= LARGEST for offset in offsets):
        raise layer.error(f"has {len(offsets)} offsets for {4 - axis} axes")
    if axis < 2 and offsets[1 - axis] + like.channels > bottom.channels:
        raise layer.error(f"cuts {like.channels} channels at {offsets[1 - axis]} from {bottom.channels}")
    starts = layer.constant(offsets, np.int64)
    first, end, along = (layer.constant([number], np.int64) for number in (axis, 4, 0))
    sizes = layer.node("Slice", layer.node("Shape", like), first, end, along)
    ends = layer.node("Add", sizes, starts)
    axes = layer.constant(range(axis, 4), np.int64)
    return layer.node("Slice", bottom, starts, ends, axes, channels=like.channels if axis < 2 else None)


def _reshape(layer: Layer) -> Value:
    """The same numbers in another shape of four axes: 0 keeps an axis, -1 takes what is left."""
    options, (bottom,) = layer.options("reshape_param"), layer.bottoms
    shape = values_of(value_of(options, "shape", Message()), "dim", int)
    axis, count = value_of(options, "axis", 0), value_of(options, "num_axes", -1)
    axis += 5 if axis < 0 else 0  # -1 is behind the last axis
    after = 0 if count == -1 else 4 - axis - count
    dims = [0] * axis + shape + [0] * after if 0 <= axis <= 4 and 0 <= after <= 4 else []
    if len(dims) != 4 or dims.count(-1) > 1 or not all(-1 <= dim <= MOST for dim in dims):
        raise layer.beyond(f"can be converted to four axes, one of them -1 at most, not {shape[:9]} from axis {axis}")
    if dims[1] == -1 and dims[2:] != [0, 0]:
        raise layer.beyond("leaves the number of channels open, so that it cannot be converted")
    channels = dims[1] if dims[1] > 0 else bottom.channels
    return layer.node("Reshape", bottom, layer.constant(dims, np.int64), channels=channels)


def _shuffle_channel(layer: Layer) -> Value:
    """The first channel of every group, then the second of every group, and so on: a 1 x 1 convolution of ones.

    Engines without shapes at run time cannot reshape to five axes and back in any size.
    """
    (bottom,), group = layer.bottoms, int(value_of(layer.options("shuffle_channel_param"), "group", 1))
    if group < 1 or bottom.channels % group or bottom.channels > SHUFFLED:
        raise layer.error(f"has {bottom.channels} channels in {group} groups")
    order = np.arange(bottom.channels).reshape(group, -1).T.ravel()
    kernel = np.eye(bottom.channels, dtype=np.float32)[order, :, None, None]
    return layer.node("Conv", bottom, layer.constant(kernel), kernel_shape=[1, 1])


def _check_options(layer: Layer) -> None:
    """Raise a ModelError if a layer has a message of options, or an option, that its converter does not know."""
    name, known = OPTIONS.get(type_of(layer.message), ("", frozenset()))
    others = [field for field in layer.message if field not in FIELDS_OF_LAYERS and not field.endswith("_param")]
    for message in layer.message:
        if message.endswith("_param") and message not in HARMLESS:
            options = layer.options(message)
            odd = options.keys() - (known if message == name else frozenset()) - {"engine"}
            others += [f"{message}.{option}" for option in odd if (option, options[option]) != ("axis", [1])]
    if others:
        raise layer.beyond(f"has options that cannot be converted: {', '.join(sorted(others))}")


_SIDES = {f"{name}_{side}" for name in ("kernel", "stride", "pad") for side in "hw"} | {"kernel_size", "stride", "pad"}
_FILLERS = {"weight_filler", "bias_filler"}  # only for training
_CONVOLUTION = frozenset({"num_output", "group", "bias_term", "dilation", "force_nd_im2col", *_SIDES, *_FILLERS})
FIELDS_OF_LAYERS = frozenset({
    "name", "type", "bottom", "top", "phase", "include", "exclude", "blobs", "blobs_lr", "weight_decay", "loss_weight",
    "propagate_down", "blob_share_mode", "param",
})  # fmt: skip
HARMLESS = "param", "transform_param", "loss_param", "dropout_param"
# Type -> its message of options, and the options that are understood or change nothing.
OPTIONS: dict[str, tuple[str, frozenset[str]]] = {
    "batchnorm": ("batch_norm_param", frozenset({"use_global_stats", "eps", "moving_average_fraction"})),
    "clip": ("clip_param", frozenset({"min", "max"})),
    "concat": ("concat_param", frozenset({"axis", "concat_dim"})),
    "convolution": ("convolution_param", _CONVOLUTION),
    "convolutiondepthwise": ("convolution_param", _CONVOLUTION),
    "crop": ("crop_param", frozenset({"axis", "offset"})),
    "deconvolution": ("convolution_param", _CONVOLUTION),
    "elu": ("elu_param", frozenset({"alpha"})),
    "eltwise": ("eltwise_param", frozenset({"operation", "coeff", "stable_prod_grad"})),
    "interp": ("interp_param", frozenset({"zoom_factor", "height", "width", "shrink_factor", "pad_beg", "pad_end"})),
    "lrn": ("lrn_param", frozenset({"local_size", "alpha", "beta", "k", "norm_region"})),
    "pooling": ("pooling_param", frozenset({"pool", "global_pooling", "round_mode", "ceil_mode", *_SIDES})),
    "power": ("power_param", frozenset({"power", "scale", "shift"})),
    "prelu": ("prelu_param", frozenset({"channel_shared", "filler"})),
    "relu": ("relu_param", frozenset({"negative_slope"})),
    "relu6": ("relu6_param", frozenset({"min_value", "max_value"})),
    "reshape": ("reshape_param", frozenset({"shape", "axis", "num_axes"})),
    "scale": ("scale_param", frozenset({"axis", "num_axes", "bias_term", "filler", "bias_filler"})),
    "shufflechannel": ("shuffle_channel_param", frozenset({"group"})),
    "slice": ("slice_param", frozenset({"axis", "slice_point", "slice_dim"})),
    "softmax": ("softmax_param", frozenset({"axis"})),
}

# Type -> the least and the most bottoms, where these are not one.
BOTTOMS = {"concat": (1, MOST), "crop": (2, 2), "eltwise": (1, MOST), "scale": (1, MOST)}

# Types in Caffe's spelling; `type_of` gives them in lower case.
TYPES: dict[str, Callable[[Layer], Value | list[Value]]] = {
    "AbsVal": _same("Abs"),
    "BatchNorm": _batch_norm,
    "Clip": _clip_layer,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Dropout": _same("Identity"),
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Interp": _interp,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": _relu6,
    "Reshape": _reshape,
    "Scale": _scale,
    "ShuffleChannel": _shuffle_channel,
    "Sigmoid": _same("Sigmoid"),
    "Slice": _slice,
    "Split": _split,
    "Swish": _swish,
    "Softmax": _softmax,
    "TanH": _same("Tanh"),
}
LAYERS = {name.lower(): converter for name, converter in TYPES.items()}


# --- bytes ----------------------------------------------------------------------------------------------------------


def _model(graph: Graph, outputs: Mapping[str, Value], properties: Mapping[str, str]) -> bytes:
    """ModelProto. The constants, which are most of the data, are copied only once."""
    names = {number: f"value {number}" for number in range(graph.count + 1)}
    names |= {value.number: name for name, value in (*graph.inputs.items(), *outputs.items())}
    parts = [delimited(1, _node(node, names)) for node in graph.nodes]
    parts.append(_text(2, "posecv"))
    for name, array in graph.constants.items():
        parts += _initializer(name, array)
    for name, value in graph.inputs.items():
        parts.append(delimited(11, _value_info(name, value, "batch", "height", "width")))
    for name, value in outputs.items():
        parts.append(delimited(12, _value_info(name, value, "batch", f"height of {name}", f"width of {name}")))
    head = [integer(1, IR_VERSION), _text(2, "posecv"), opening(7, sum(map(len, parts)))]
    tail = [delimited(8, integer(2, OPSET))]
    tail += [property_field(key, value) for key, value in properties.items()]
    return b"".join([*head, *parts, *tail])


def _node(node: Node, names: Mapping[int, str]) -> bytes:
    inputs = [_text(1, names[value] if isinstance(value, int) else value) for value in node.inputs]
    parts = [*inputs, _text(2, names[node.output]), _text(3, node.name), _text(4, node.kind)]
    return b"".join(parts + [delimited(5, _attribute(*item)) for item in node.attributes.items()])


def _attribute(name: str, value: float | int | str | Sequence[int]) -> bytes:
    """AttributeProto: its name, its value in the field of its kind, the kind."""
    if isinstance(value, str):
        content, kind = _text(4, value), 3
    elif isinstance(value, float):
        with np.errstate(over="ignore"):  # as for constants
            content, kind = varint(2 << 3 | 5) + np.float32(value).tobytes(), 1
    elif isinstance(value, int):
        content, kind = integer(3, value), 2
    else:
        content, kind = b"".join(integer(8, each) for each in value), 7
    return _text(1, name) + content + integer(20, kind)


def _initializer(name: str, array: NDArray[Any]) -> list[Any]:
    """TensorProto in two pieces; the values are not copied."""
    kind, values = (INT64, array.astype("<i8")) if array.dtype == np.int64 else (FLOAT, array.astype("<f4", copy=False))
    head = b"".join(integer(1, length) for length in array.shape) + integer(2, kind) + _text(8, name)
    head += opening(9, values.nbytes)
    return [opening(5, len(head) + values.nbytes) + head, np.ascontiguousarray(values).reshape(-1).view(np.uint8)]


def _value_info(name: str, value: Value, *dims: str) -> bytes:
    batch, height, width = (delimited(1, _text(2, dim)) for dim in dims)
    shape = batch + delimited(1, integer(1, value.channels)) + height + width
    return _text(1, name) + delimited(2, delimited(1, integer(1, FLOAT) + delimited(2, shape)))


def _text(number: int, text: str) -> bytes:
    return delimited(number, text.encode("utf-8", "replace"))


def property_field(key: str, value: str) -> bytes:
    """A metadata entry, as bytes that can be appended to a file."""
    return delimited(14, _text(1, key) + _text(2, value))


def properties(data: bytes) -> dict[str, str]:
    """The metadata of an ONNX file (`metadata_props`).

    >>> pair = {"layer": [{"type": ["Input"], "top": ["x"], "input_param": [{"shape": [{"dim": [1, 3, 8, 8]}]}]},
    ...     {"name": ["relu"], "type": ["ReLU"], "bottom": ["x"], "top": ["y"]}]}
    >>> properties(convert(pair, {}, {"origin": "here"}))
    {'origin': 'here'}
    """
    budget = iter(range(FIELDS))
    found: dict[str, str] = {}
    for entry in _messages(data, 14, budget):
        texts = {number: _decoded(value) for number, wire, value in read_fields(entry, budget) if wire == BYTES}
        found[texts.get(1, "")] = texts.get(2, "")
    return found


def node_names(data: bytes) -> list[str]:
    """The names of an ONNX file's operators, which are those of the original layers."""
    return _of_nodes(data, 3)


def operators(data: bytes) -> list[str]:
    """The types of an ONNX file's operators, in order."""
    return _of_nodes(data, 4)


def _of_nodes(data: bytes, field: int) -> list[str]:
    budget = iter(range(FIELDS))
    return [
        _decoded(value)
        for graph in _messages(data, 7, budget)
        for node in _messages(graph, 1, budget)
        for value in _messages(node, field, budget)
    ]


def _messages(data: bytes | memoryview, wanted: int, budget: Iterator[int]) -> Iterator[memoryview]:
    fields = read_fields(memoryview(data), budget)
    return (value for number, wire, value in fields if (number, wire) == (wanted, BYTES))


def _decoded(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")
