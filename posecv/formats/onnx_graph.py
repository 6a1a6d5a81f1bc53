"""Read the graph of an ONNX file: its inputs and outputs, its nodes in order, the shapes of its constants.

Source: the field numbers of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from posecv.errors import ModelError
from posecv.formats.protobuf import BYTES, VARINT, read_fields, read_varint

__all__ = ["Axes", "Graph", "Node", "read_graph"]

FIELDS = 1 << 18  # maximum fields of a file
NODES = 1 << 13  # maximum nodes; a pose network has hundreds
NUMBERS = 1 << 10  # of an attribute, or axes of a constant, that are read
Axes = tuple[int | None, ...]


@dataclass(frozen=True)
class Node:
    """An operator: its name and type, the values that it takes and gives, its attributes that are numbers or words."""

    name: str
    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    numbers: Mapping[str, Sequence[int]]
    words: Mapping[str, str]


@dataclass(frozen=True)
class Graph:
    """A graph: axes of its inputs (None for variable ones), names of its outputs, nodes, axes of its constants."""

    inputs: dict[str, Axes] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Axes] = field(default_factory=dict)


def read_graph(data: bytes) -> Graph:
    """Read an ONNX file; constants that old files list among the inputs are none.

    Raises
    ------
    ModelError
        If the bytes are not in protobuf's format or end early, or there are more nodes than in any pose network.

    Examples
    --------
    >>> from posecv.formats.onnx import convert
    >>> pair = {"layer": [{"type": ["Input"], "top": ["x"], "input_param": [{"shape": [{"dim": [1, 3, 8, 8]}]}]},
    ...     {"name": ["relu"], "type": ["ReLU"], "bottom": ["x"], "top": ["y"]}]}
    >>> graph = read_graph(convert(pair, {}))
    >>> graph.inputs, graph.outputs
    ({'x': (None, 3, None, None)}, ['y'])
    >>> [(node.kind, node.takes, node.gives) for node in graph.nodes]
    [('Relu', ('x',), ('y',))]
    """
    graph, budget = Graph(), iter(range(FIELDS))
    for number, wire, message in read_fields(memoryview(data), budget):
        if (number, wire) == (7, BYTES):
            _add(graph, message, budget)
    for node in graph.nodes:
        if node.kind == "Constant":
            graph.constants.update(dict.fromkeys(node.gives, ()))
    for name in graph.constants:
        graph.inputs.pop(name, None)
    return graph


def _add(graph: Graph, message: memoryview, budget: Iterator[int]) -> None:
    """GraphProto: nodes 1, initializers 5, inputs 11, outputs 12, sparse initializers 15."""
    for number, wire, value in read_fields(message, budget):
        if wire != BYTES:
            continue
        if number == 1:
            graph.nodes.append(_node(value, budget))
            if len(graph.nodes) > NODES:
                raise ModelError(f"it has more than {NODES} nodes")
        elif number == 5:
            name, axes = _tensor(value, budget)
            graph.constants[name] = axes
        elif number == 11:
            name, axes = _input(value, budget)
            graph.inputs[name] = axes
        elif number == 12:
            graph.outputs.append(_text_of(value, 1, budget))
        elif number == 15:  # its values are a tensor with the name
            for part in _messages(value, 1, budget):
                graph.constants[_tensor(part, budget)[0]] = ()


def _node(message: memoryview, budget: Iterator[int]) -> Node:
    """NodeProto: inputs 1, outputs 2, name 3, type 4, attributes 5."""
    texts: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: []}
    numbers, words = {}, {}
    for number, wire, value in read_fields(message, budget):
        if wire == BYTES and number in texts:
            texts[number].append(_decoded(value))
        elif wire == BYTES and number == 5:
            name, integers, word = _attribute(value, budget)
            numbers[name], words[name] = integers, word
    name, kind = ((texts[number] or [""])[-1] for number in (3, 4))
    return Node(name, kind, tuple(texts[1]), tuple(texts[2]), numbers, words)


def _attribute(message: memoryview, budget: Iterator[int]) -> tuple[str, list[int], str]:
    """AttributeProto: name 1, an integer 3, a text 4, integers 8."""
    name, integers, word = "", [], ""
    for number, wire, value in read_fields(message, budget):
        if wire == BYTES and number == 1:
            name = _decoded(value)
        elif wire == BYTES and number == 4:
            word = _decoded(value)
        elif number in (3, 8):
            integers += _integers(wire, value)
    return name, integers, word


def _tensor(message: memoryview, budget: Iterator[int]) -> tuple[str, Axes]:
    """TensorProto: axes 1, name 8."""
    name, axes = "", []
    for number, wire, value in read_fields(message, budget):
        if number == 1:
            axes += _integers(wire, value)
        elif number == 8 and wire == BYTES:
            name = _decoded(value)
    return name, tuple(axes)


def _input(message: memoryview, budget: Iterator[int]) -> tuple[str, Axes]:
    """ValueInfoProto: name 1; type 2, in it the tensor 1, in it the shape 2, in it axes 1 with a number 1 or a name."""
    found = [message]
    for field_number in (2, 1, 2):
        found = [part for each in found for part in _messages(each, field_number, budget)]
    axes = [read_fields(axis, budget) for each in found[:1] for axis in _messages(each, 1, budget)]
    sizes = (next((value for number, wire, value in axis if (number, wire) == (1, VARINT)), None) for axis in axes)
    return _text_of(message, 1, budget), tuple(sizes)


def _integers(wire: int, value: memoryview | int) -> list[int]:
    """One signed number, or several packed ones."""
    if isinstance(value, int):
        return [_signed(value)]
    numbers: list[int] = []
    at = 0
    while wire == BYTES and at < len(value) and len(numbers) < NUMBERS:
        number, at = read_varint(value, at)
        numbers.append(_signed(number))
    return numbers


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _messages(data: memoryview, wanted: int, budget: Iterator[int]) -> Iterator[memoryview]:
    return (value for number, wire, value in read_fields(data, budget) if (number, wire) == (wanted, BYTES))


def _text_of(data: memoryview, wanted: int, budget: Iterator[int]) -> str:
    return next((_decoded(value) for value in _messages(data, wanted, budget)), "")


def _decoded(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")
