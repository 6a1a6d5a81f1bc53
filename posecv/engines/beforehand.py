"""What a network's files tell of its maps before an engine runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from posecv.errors import ModelError
from posecv.files import content, once
from posecv.formats import onnx
from posecv.formats.caffe import open_tops, read_pair
from posecv.formats.onnx_graph import Axes, read_graph
from posecv.formats.sizes import Size, Step, follow, steps_of_graph, steps_of_pair
from posecv.formats.stages import first_stages
from posecv.models import Model
from posecv.skeletons import Skeleton

__all__ = ["PROBE", "check_maps", "fields_first", "output_sizes"]

PROBE = 32  # side of the empty image for a trial run


def output_sizes(model: Model, height: int, width: int) -> list[Size]:
    """The sizes of a network's outputs for an image, as far as they are known.

    Raises
    ------
    ModelError
        If its layers do not fit together, or a window is larger than what it is given; OpenCV 5 would crash.
    """
    try:
        inputs, outputs, steps = once(("steps", model.prototxt, model.caffemodel, model.stages), lambda: _read(model))
        images = {name: _input(axes, height, width) for name, axes in inputs.items()}
        sizes = follow(steps, images)
    except ModelError as error:
        prefix = "" if str(error).startswith(str(model.prototxt)) else f"{model.prototxt}: "
        raise ModelError(f"{prefix}{error}") from None
    return [sizes[name] for name in outputs if name in sizes and name not in images]


def _read(model: Model) -> tuple[Mapping[str, Axes], Sequence[str], Sequence[Step]]:
    """The axes of a network's inputs, the names of its outputs and its steps."""
    if model.is_onnx:
        graph = read_graph(content(model.prototxt))
        return graph.inputs, graph.outputs, steps_of_graph(graph)
    message, weights = read_pair(model.prototxt, model.caffemodel)
    message = first_stages(message, model.stages)
    return dict.fromkeys(dict(onnx.inputs(message)), ()), list(open_tops(message)), steps_of_pair(message, weights)


def _input(axes: Axes, height: int, width: int) -> Size:
    """The size that an ONNX file fixes, otherwise that of an image; a pair takes any."""
    _, channels, rows, columns = axes if len(axes) == 4 else (None,) * 4
    return Size(channels or 3, rows or height, columns or width)


def check_maps(model: Model) -> None:
    """Raise a ModelError if maps do not become twice as large with the image, so that cells have no fixed place."""
    small, large = (output_sizes(model, side, side) for side in (PROBE, 2 * PROBE))
    for one, two in zip(small, large, strict=True):
        if one.height and two.height not in (one.height, 2 * one.height):
            raise ModelError(
                f"{model.prototxt} turns {PROBE} pixels into {one.height} cells and {2 * PROBE} into {two.height}: "
                "maps need layers with padding, so that every cell stands for as many pixels"
            )


def fields_first(model: Model, skeleton: Skeleton) -> int:
    """The number of fields that the last Concat layer puts before the heatmaps; 0 if it has the heatmaps first.

    Raises
    ------
    ModelError
        If it joins its inputs in neither order.
    """
    (output,) = output_sizes(model, PROBE, PROBE) or [Size()]
    heatmaps, fields = skeleton.heatmaps, skeleton.channels - skeleton.heatmaps
    ends = set(accumulate(output.parts))
    if len(ends) < 2 or not fields or heatmaps in ends:
        return 0
    if fields in ends:
        return fields
    joined = " + ".join(map(str, output.parts[:9]))
    raise ModelError(
        f"{model.prototxt} joins maps of {joined} channels at its end; {skeleton.name} needs its {heatmaps} heatmaps "
        f"and then its {fields} fields, or the fields first"
    )
