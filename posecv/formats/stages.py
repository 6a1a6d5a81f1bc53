"""Networks that refine their maps over several stages, cut so that the first of them alone run.

A stage of OpenPose's kind gets features and the maps of the stage before in one Concat, and gives the same maps
better. Its layers carry its number, `Mconv7_stage3_L2`; those of the first stage may carry none.

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

from posecv.errors import UsageError
from posecv.formats.caffe import Message, layers_of, open_tops, read_prototxt, type_of, value_of, values_of
from posecv.models import Model

__all__ = ["check_stages", "count_stages", "first_stages", "read_network"]

NUMBER = re.compile(r"_stage_?(\d+)")


def read_network(model: Model) -> Message:
    """The prototxt of a pair, cut to the stages that the model is to run."""
    return first_stages(read_prototxt(model.prototxt), model.stages)


def check_stages(model: Model) -> None:
    """UsageError where a model has not the stages that it is to run."""
    if model.stages is None:
        return
    if model.is_onnx:
        raise UsageError(f"stages={model.stages}: {model.prototxt} is an ONNX file, which runs whole; give its pair")
    count = count_stages(read_prototxt(model.prototxt))
    if not 1 <= model.stages <= count:
        there = f"{count} stages: give 1 to {count}" if count > 1 else "one stage: leave the option out"
        raise UsageError(f"stages={model.stages}: {model.name} has {there}")


def count_stages(message: Message) -> int:
    """How many stages a network has, of the maps that are refined most often."""
    return max((len(chain) for chain in _chains(layers_of(message))), default=1)


def first_stages(message: Message, count: int | None) -> Message:
    """A network that gives the maps of an earlier stage under the last one's place, without the layers after it.

    Parameters
    ----------
    message : dict of lists
        The network.
    count : int or None
        How many stages run, at least 1. Heatmaps and fields that are refined apart (BODY_25: fields four times, then
        heatmaps twice) have as many stages each, or all that they have. None is the network as it is.
    """
    if count is None:
        return message
    layers = layers_of(message)
    chains = _chains(layers)
    instead = {_top(chain[-1]): _top(chain[min(count, len(chain)) - 1]) for chain in chains}
    last = {value_of(chain[-1], "name", "") for chain in chains}
    outputs = {instead[top] if name in last else top for top, name in open_tops(message).items()}
    kept = _ancestors([_moved(layer, instead) for layer in layers], outputs)
    return {**message, "layer" if "layer" in message else "layers": kept}


def _chains(layers: list[Message]) -> list[list[Message]]:
    """The convolutions that give the maps of each stage, first stage first: a chain for each kind of maps."""
    return [_chain(layers, last) for last in _last_maps(layers)]


def _last_maps(layers: list[Message]) -> list[Message]:
    """The convolutions nearest to the network's end."""
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
    """The maps of all stages up to the last: those before have as many channels and go into a Concat."""
    joined = {bottom for layer in layers if type_of(layer) == "concat" for bottom in _bottoms(layer)}
    chain = [last]
    for layer in reversed(_ancestors(layers, _bottoms(last))):
        alike = _is_convolution(layer) and _outputs(layer) == _outputs(last) and _top(layer) in joined
        if alike and _number(layer) < _number(chain[0]):
            chain.insert(0, layer)
    return chain


def _moved(layer: Message, instead: Mapping[str, str]) -> Message:
    """The layer with other results for its bottoms."""
    bottoms = [instead.get(bottom, bottom) for bottom in _bottoms(layer)]
    return layer | {"bottom": bottoms} if bottoms else layer


def _ancestors(layers: list[Message], tops: Iterable[str]) -> list[Message]:
    """The layers that some results are made of, in their order."""
    needed = set(tops)
    kept: list[Message] = []
    for layer in reversed(layers):
        if needed.intersection(values_of(layer, "top", str)):
            kept.insert(0, layer)
            needed.update(_bottoms(layer))
    return kept


def _number(layer: Message) -> int:
    """The stage that a layer's name tells; -1 where it tells none."""
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
