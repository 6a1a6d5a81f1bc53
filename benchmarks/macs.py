"""How much a network computes: the multiply-adds of its convolutions, counted from its prototxt."""

from __future__ import annotations

from collections.abc import Sequence

from posecv.formats.caffe import Message, layers_of, type_of, value_of, values_of

Shape = tuple[int, int, int]  # channels, height, width


def multiply_adds(message: Message, height: int, width: int) -> int:
    """Multiply-adds of all convolutions and deconvolutions for an input of 3 x `height` x `width`.

    They are counted for the direct sums; Winograd's 3 x 3 convolutions multiply less often.

    Parameters
    ----------
    message : dict of lists
        The network, as `posecv.formats.caffe.read_prototxt` gives it, with square kernels.
    """
    picture = 3, height, width
    shapes: dict[str, Shape] = {}
    total = 0
    for layer in layers_of(message):
        sources = [shapes.get(bottom, picture) for bottom in values_of(layer, "bottom", str)] or [picture]
        result = _shape(layer, sources)
        shapes.update(dict.fromkeys(values_of(layer, "top", str), result))
        total += _of_layer(layer, sources[0], result)
    return total


def _of_layer(layer: Message, source: Shape, result: Shape) -> int:
    if type_of(layer) not in ("convolution", "deconvolution"):
        return 0
    options = value_of(layer, "convolution_param", Message())
    _, height, width = result if type_of(layer) == "convolution" else source  # where the kernel is laid
    side, group = value_of(options, "kernel_size", 1), value_of(options, "group", 1)
    return side * side * source[0] * result[0] // group * height * width


def _shape(layer: Message, sources: Sequence[Shape]) -> Shape:
    """The shape of a layer's result."""
    channels, height, width = sources[0]
    kind = type_of(layer)
    if kind == "concat":
        return sum(source[0] for source in sources), height, width
    options = value_of(layer, "pooling_param" if kind == "pooling" else "convolution_param", Message())
    side, pad, stride = (value_of(options, name, one) for name, one in (("kernel_size", 1), ("pad", 0), ("stride", 1)))
    reach = value_of(options, "dilation", 1) * (side - 1) + 1
    outputs = value_of(options, "num_output", channels)

    def length(before: int) -> int:
        if kind == "deconvolution":
            return stride * (before - 1) + reach - 2 * pad
        beyond = before + 2 * pad - reach
        return 1 + (-(-beyond // stride) if kind == "pooling" else beyond // stride)

    return outputs, length(height), length(width)
