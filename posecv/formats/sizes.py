"""Sizes of maps before an engine computes them: whether each layer gets what it needs, and what the end is joined from.

OpenCV 5 crashes where a window is larger than what it looks at, and every engine has its own message for a layer that
takes what no layer before it gives. So networks of both formats become steps here, which are followed first.

>>> steps = [Step("layer 'a'", "window", ("image",), ("a",), channels=38, windows=(Window(8, 8),) * 2),
...          Step("layer 'b'", "window", ("image",), ("b",), channels=19, windows=(Window(8, 8),) * 2),
...          Step("layer 'c'", "join", ("a", "b"), ("maps",))]
>>> follow(steps, {"image": Size(3, 32, 32)})["maps"]
Size(channels=57, height=4, width=4, parts=(38, 19))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from posecv.arrays import Array
from posecv.errors import ModelError
from posecv.formats.caffe import Message, called, layers_of, type_of, value_of, values_of
from posecv.formats.onnx_graph import Graph, Node

__all__ = ["Size", "Step", "Window", "follow", "steps_of_graph", "steps_of_pair"]


LARGEST = 1 << 15  # of a kernel, a stride, a padding, a dilation


class Size(NamedTuple):
    """Channels, height and width of a value, None for what is not known, and the channels that it is joined from."""

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    parts: tuple[int, ...] = ()


class Window(NamedTuple):
    """A window along one axis, in cells; `up` if the number of its places is rounded up."""

    kernel: int
    stride: int = 1
    begin: int = 0
    end: int = 0
    dilation: int = 1
    up: bool = False

    @property
    def reach(self) -> int:
        """The cells that it spans."""
        return self.dilation * (self.kernel - 1) + 1

    def places(self, length: int) -> int:
        """How many places it has along an axis."""
        free = length + self.begin + self.end - self.reach
        if not self.up:
            return free // self.stride + 1
        further = -(-free // self.stride)  # the last one begins inside the image or its padding
        return further + (further * self.stride < length + self.begin)

    def grown(self, length: int) -> int:
        """The length that a transposed convolution makes."""
        return (length - 1) * self.stride + self.reach - self.begin - self.end


class Step(NamedTuple):
    """A layer or node: how the sizes of what it gives follow from what it takes.

    Attributes
    ----------
    name : str
        For messages.
    kind : str
        "window" (a convolution or a pooling), "grow" (a transposed convolution), "same" (the size of the first value),
        "join" (along the channels), "cut" (at `points` of the channels), "crop" (the first value's channels, the second
        one's size) or "other" (unknown).
    takes, gives : tuple of str
        Names of values.
    channels : int or None
        The channels of the result; None for those of the first value.
    needs : int or None
        The channels that the first value must have.
    windows : (Window, Window) or empty
        Along height and width.
    points : tuple of int
        Where to cut.
    """

    name: str
    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    channels: int | None = None
    needs: int | None = None
    windows: tuple[Window, ...] = ()
    points: tuple[int, ...] = ()


def follow(steps: Iterable[Step], known: Mapping[str, Size]) -> dict[str, Size]:
    """The sizes of all values, from those of the inputs and constants.

    Raises
    ------
    ModelError
        If a step takes what none before it gives, other channels than it needs, or less than its window spans.
    """
    sizes = dict(known)
    for step in steps:
        for name in step.takes:
            if name not in sizes:
                raise ModelError(f"{step.name} takes {name[:60]!r}, which no {step.name.split()[0]} before it produces")
        taken = [sizes[name] for name in step.takes]
        first = taken[0] if taken else Size()
        if step.needs and first.channels and step.needs != first.channels:
            raise ModelError(f"{step.name} has weights for {step.needs} channels and is given {first.channels}")
        sizes.update(zip(step.gives, _results(step, first, taken), strict=False))
    return sizes


def _results(step: Step, first: Size, taken: Sequence[Size]) -> Sequence[Size]:
    """The sizes of what a step gives."""
    if step.kind in ("window", "grow"):
        channels = step.channels or first.channels
        return [Size(channels, _length(step, 0, first.height), _length(step, 1, first.width), _alone(channels))]
    if step.kind == "same":
        return [first] * len(step.gives)
    if step.kind == "crop":
        return [first._replace(height=taken[-1].height, width=taken[-1].width)]
    if step.kind == "join":
        known = all(each.channels for each in taken)
        total = sum(each.channels or 0 for each in taken) if known else None
        parts = tuple(part for each in taken for part in each.parts or _alone(each.channels)) if known else ()
        return [first._replace(channels=total, parts=parts)]
    if step.kind == "cut" and first.channels:
        count = len(step.gives)
        points = step.points or tuple(first.channels // count * part for part in range(1, count))
        pieces = [end - start for start, end in pairwise((0, *points, first.channels))]
        return [first._replace(channels=piece, parts=_alone(piece)) for piece in pieces]
    return [Size()] * len(step.gives)


def _alone(channels: int | None) -> tuple[int, ...]:
    return (channels,) if channels else ()


def _length(step: Step, axis: int, length: int | None) -> int | None:
    """The length of a result along height or width; ModelError if the window does not fit."""
    if length is None or not step.windows:
        return None
    window = step.windows[axis]
    if step.kind == "grow":
        return window.grown(length)
    if window.reach > length + window.begin + window.end:
        side = "height" if axis == 0 else "width"
        raise ModelError(
            f"{step.name} has a window of {window.reach} cells, more than the {side} of what it takes, {length}, with "
            f"a padding of {window.begin} and {window.end}: networks for maps need enough padding"
        )
    return window.places(length)


# --- pairs ----------------------------------------------------------------------------------------------------------

_KEEPING = frozenset({
    "absval", "batchnorm", "bnll", "clip", "dropout", "eltwise", "elu", "exp", "hardswish", "log", "lrn", "mish", "mvn",
    "power", "prelu", "relu", "relu6", "scale", "sigmoid", "softmax", "split", "swish", "tanh",
})  # fmt: skip


def steps_of_pair(message: Message, weights: Mapping[str, Sequence[Array]]) -> list[Step]:
    """The layers of a pair, without its inputs, as steps; `weights` may be empty."""
    return [_layer(layer, weights) for layer in layers_of(message) if type_of(layer) != "input"]


def _layer(layer: Message, weights: Mapping[str, Sequence[Array]]) -> Step:
    kind = type_of(layer)
    takes, gives = (tuple(values_of(layer, name, str)) for name in ("bottom", "top"))
    step = Step(f"{called(layer)} of type {value_of(layer, 'type', '')[:60]}", "other", takes, gives)
    options = value_of(layer, "convolution_param", Message())
    outputs, group = value_of(options, "num_output", 0), value_of(options, "group", 1)
    blob = next(iter(weights.get(value_of(layer, "name", ""), ())), None)
    if kind in ("convolution", "convolutiondepthwise"):
        needs = blob.shape[-3] * group if blob is not None and blob.ndim > 2 else None
        return step._replace(kind="window", channels=outputs, needs=needs, windows=_windows(step, options, False))
    if kind == "deconvolution":
        needs = blob.shape[-4] if blob is not None and blob.ndim > 3 else None
        return step._replace(kind="grow", channels=outputs, needs=needs, windows=_windows(step, options, False))
    if kind == "pooling":
        options = value_of(layer, "pooling_param", Message())
        if value_of(options, "global_pooling", False):
            return step._replace(kind="window")
        up = value_of(options, "ceil_mode", True) and options.get("round_mode", [0])[-1] not in (1, "FLOOR")
        return step._replace(kind="window", windows=_windows(step, options, up))
    if kind in ("concat", "slice"):
        options = value_of(layer, f"{kind}_param", Message())
        axis = value_of(options, "axis", value_of(options, f"{kind}_dim", 1))
        points = tuple(values_of(options, "slice_point", int))
        return step._replace(kind="join" if kind == "concat" else "cut", points=points) if axis in (1, -3) else step
    if kind == "crop" and value_of(value_of(layer, "crop_param", Message()), "axis", 2) == 2:
        return step._replace(kind="crop")
    return step._replace(kind="same") if kind in _KEEPING else step


def _windows(step: Step, options: Message, up: bool) -> tuple[Window, ...]:
    """The windows along height and width of Caffe's options; empty if they are not two, ModelError if they are none."""
    sides = [_sides(options, *names) for names in (("kernel_size", "kernel", 0), ("stride", "stride", 1),
                                                   ("pad", "pad", 0), ("dilation", "dilation", 1))]  # fmt: skip
    if any(len(side) != 2 for side in sides):
        return ()
    kernels, strides, pads, dilations = sides
    if min(kernels + strides + dilations) < 1 or min(pads) < 0 or max(map(max, sides)) > LARGEST:
        said = f"a kernel of {kernels}, a stride of {strides}, a padding of {pads} and a dilation of {dilations}"
        raise ModelError(f"{step.name} has {said}: paddings are 0 or more, the others 1 or more, all at most {LARGEST}")
    return tuple(Window(length, stride, pad, pad, apart, up) for length, stride, pad, apart in zip(*sides, strict=True))


def _sides(options: Message, both: str, each: str, default: int) -> list[int]:
    sides = values_of(options, both, int) or [value_of(options, f"{each}_{side}", default) for side in "hw"]
    return sides * 2 if len(sides) == 1 else sides


# --- ONNX files -----------------------------------------------------------------------------------------------------

_WINDOWS = frozenset({"Conv", "MaxPool", "AveragePool"})
_SAME = frozenset({
    "Abs", "Add", "BatchNormalization", "Cast", "Clip", "Div", "Dropout", "Elu", "Exp", "HardSigmoid", "HardSwish",
    "Identity", "InstanceNormalization", "LRN", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow",
    "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Sub", "Sum", "Tanh",
})  # fmt: skip


def steps_of_graph(graph: Graph) -> list[Step]:
    """The nodes of an ONNX file as steps."""
    return [_step(node, graph) for node in graph.nodes]


def _step(node: Node, graph: Graph) -> Step:
    values = tuple(name for name in node.takes if name and name not in graph.constants)
    name = f"node {(node.name or ', '.join(node.gives))[:60]!r} of type {node.kind[:60]}"
    step = Step(name, "other", values, node.gives)
    axes = graph.constants.get(node.takes[1], ()) if len(node.takes) > 1 else ()
    group = (node.numbers.get("group") or [1])[0]
    if node.kind in _WINDOWS or node.kind == "ConvTranspose":
        windows = _onnx_windows(node, axes[2:])
        if node.kind == "ConvTranspose":
            outputs = axes[1] * group if len(axes) == 4 and axes[1] else None
            plain = not {"output_padding", "output_shape"} & node.numbers.keys() and not node.words.get("auto_pad")
            return step._replace(kind="grow", channels=outputs, windows=windows if plain else ()) if outputs else step
        if node.kind != "Conv":
            return step._replace(kind="window", windows=windows)
        if len(axes) != 4:
            return step
        return step._replace(kind="window", channels=axes[0], needs=(axes[1] or 0) * group, windows=windows)
    if node.kind == "Concat" and node.numbers.get("axis") in ([1], [-3]) and len(values) == len(node.takes):
        return step._replace(kind="join")
    alike = node.kind in _SAME and len(values) == 1
    return step._replace(kind="same") if alike else step


def _onnx_windows(node: Node, kernel_axes: Sequence[int | None]) -> tuple[Window, ...]:
    """The windows of a node, empty if they are not two or follow from the size of its input."""
    kernel = list(node.numbers.get("kernel_shape") or [side for side in kernel_axes if side])
    strides, dilations = (list(node.numbers.get(name) or [1, 1]) for name in ("strides", "dilations"))
    pads = list(node.numbers.get("pads") or [0, 0, 0, 0])
    counts = [len(kernel), len(strides), len(dilations), len(pads)]
    if node.words.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID", "") or counts != [2, 2, 2, 4]:
        return ()
    if min(*kernel, *strides, *dilations) < 1:
        return ()
    up = node.numbers.get("ceil_mode") == [1]
    return tuple(
        Window(kernel[axis], strides[axis], pads[axis], pads[axis + 2], dilations[axis], up) for axis in (0, 1)
    )
