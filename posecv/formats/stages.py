"""Cut networks that refine their maps in several stages, so that only the first stages run.

A stage of an OpenPose network gets the features and the maps of the previous stage from a Concat layer, and refines the
maps. The names of its layers contain its number, such as `Mconv7_stage3_L2`, except perhaps in the first stage.

>>> from posecv.formats.caffe import parse_prototxt
>>> message = parse_prototxt('''
...     layer { name: "maps" type: "Convolution" bottom: "image" top: "maps" convolution_param { num_output: 19 } }
...     layer { name: "both" type: "Concat" bottom: "maps" bottom: "image" top: "both" }
...     layer { name: "maps_stage2" type: "Convolution" bottom: "both" top: "better"
...             convolution_param { num_output: 19 } }''')
>>> count_stages(message)
2
>>> [layer["name"] for layer in layers_of(first_stages(message, 1))]
[['maps']]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from posecv.checks import check_number
from posecv.errors import UsageError
from posecv.formats.caffe import Message, layers_of, open_tops, read_prototxt, type_of, value_of, values_of
from posecv.models import Model

__all__ = ["check_stages", "count_stages", "first_stages", "read_network"]

NUMBER = re.compile(r"_stage_?(\d{1,9})")


def read_network(model: Model) -> Message:
    """The prototxt of a pair, cut to the model's number of stages."""
    return first_stages(read_prototxt(model.prototxt), model.stages)


def check_stages(model: Model) -> None:
    """Raise UsageError if a model does not have the requested stages."""
    if model.stages is None:
        return
    check_number("stages", model.stages, whole=True)
    if model.is_onnx:
        raise UsageError(f"stages={model.stages}: {model.prototxt} is an ONNX file, which cannot be cut; give its pair")
    count = count_stages(read_prototxt(model.prototxt))
    if not 1 <= model.stages <= count:
        there = f"{count} stages: give 1 to {count}" if count > 1 else "one stage: omit the option"
        raise UsageError(f"stages={model.stages}: {model.name} has {there}")


def count_stages(message: Message) -> int:
    """The number of stages of a network; if kinds of maps differ, the largest number."""
    return max((len(chain) for chain in _chains(layers_of(message))), default=1)


def first_stages(message: Message, count: int | None) -> Message:
    """Cut a network after an earlier stage, whose maps take the place of the last stage's.

    Parameters
    ----------
    message : dict of lists
        The network.
    count : int or None
        Number of stages to run, at least 1. If heatmaps and fields are refined separately (BODY_25: fields four times,
        then heatmaps twice), the number limits each. None leaves the network unchanged.
    """
    if count is None:
        return message
    layers = layers_of(message)
    chains = _chains(layers)
    instead = {_top(chain[-1]): _top(chain[min(count, len(chain)) - 1]) for chain in chains}
    last = {value_of(chain[-1], "name", "") for chain in chains}
    outputs = {instead.get(top, top) if name in last else top for top, name in open_tops(message).items()}
    kept = _ancestors([_moved(layer, instead) for layer in layers], outputs)
    return {**message, "layer" if "layer" in message else "layers": kept}


def _chains(layers: list[Message]) -> list[list[Message]]:
    """The convolutions that output the maps of each stage, in order: one chain for each kind of map."""
    return [_chain(layers, last) for last in _last_maps(layers)]


def _last_maps(layers: list[Message]) -> list[Message]:
    """The last convolutions of the network."""
    open_, found = set(open_tops({"layer": layers})), []
    for layer in reversed(layers):
        if open_.intersection(values_of(layer, "top", str)):
            if _is_convolution(layer):
                found.append(layer)
                open_.discard(_top(layer))
            else:
                open_.update(_bottoms(layer))
    return found


def _chain(layers: list[Message], last: Message) -> list[Message]:
    """The maps of all stages up to the last; those before it have the same number of channels and go into a Concat."""
    joined = {bottom for layer in layers if type_of(layer) == "concat" for bottom in _bottoms(layer)}
    chain = [last]
    for layer in reversed(_ancestors(layers, _bottoms(last))):
        alike = _is_convolution(layer) and _outputs(layer) == _outputs(last) and _top(layer) in joined
        if alike and _number(layer) < _number(chain[0]):
            chain.insert(0, layer)
    return chain


def _moved(layer: Message, instead: Mapping[str, str]) -> Message:
    """The layer with renamed bottoms."""
    bottoms = [instead.get(bottom, bottom) for bottom in _bottoms(layer)]
    return layer | {"bottom": bottoms} if bottoms else layer


def _ancestors(layers: list[Message], tops: Iterable[str]) -> list[Message]:
    """The layers that some results depend on, in order."""
    needed = set(tops)
    kept: list[Message] = []
    for layer in reversed(layers):
        if needed.intersection(values_of(layer, "top", str)):
            kept.insert(0, layer)
            needed.update(_bottoms(layer))
    return kept


def _number(layer: Message) -> int:
    """The stage number in a layer's name; -1 if there is none."""
    found = NUMBER.search(value_of(layer, "name", ""))
    return int(found[1]) if found else -1


def _is_convolution(layer: Message) -> bool:
    return type_of(layer) == "convolution"


def _outputs(layer: Message) -> int:
    return value_of(value_of(layer, "convolution_param", Message()), "num_output", 0)


def _top(layer: Message) -> str:
    return value_of(layer, "top", "")


def _bottoms(layer: Message) -> list[str]:
    return values_of(layer, "bottom", str)
