"""Read, write and check Caffe pairs, the prototxt (text) and the caffemodel (binary), using only NumPy.

A prototxt is in protobuf's text format: the layers of a network, their bottoms and tops, their options. A caffemodel is
in protobuf's binary format: the layers again, with their weights as blobs. This module reads both without Caffe, OpenCV
or protobuf. The files need not be trusted: for any bytes, the functions quickly return a result or raise a
`ModelError`, and the memory that they need grows only with the file.

>>> message = parse_prototxt('layer { name: "conv" type: "Convolution" convolution_param { num_output: 2 } }')
>>> message["layer"][0]["name"]
['conv']
>>> weights = read_caffemodel(write_caffemodel({"conv": [np.ones((2, 3, 1, 1)), np.zeros(2)]}))
>>> [blob.shape for blob in weights["conv"]]
[(2, 3, 1, 1), (2,)]

Source: the field numbers of caffe.proto (BVLC Caffe); 10 and 12 of BlobProto are those that
`cv2.dnn.shrinkCaffeModel` writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array
from posecv.errors import ModelError
from posecv.files import content
from posecv.formats.protobuf import BYTES, VARINT, delimited, read_fields, read_varint, varint

__all__ = [
    "Message",
    "Word",
    "called",
    "check_weights",
    "format_prototxt",
    "layers_of",
    "open_tops",
    "output_layers",
    "parse_prototxt",
    "read_binary",
    "read_caffemodel",
    "read_pair",
    "read_prototxt",
    "type_of",
    "value_of",
    "values_of",
    "write_caffemodel",
]

Message = dict[str, list[Any]]
Shape = tuple[int | None, ...]
T = TypeVar("T")

DEPTH = 100  # maximum nesting of messages, as in protobuf's own reader
AXES = 32  # maximum axes of a blob, as in Caffe
FIELDS = 1 << 18  # maximum fields of a caffemodel; OpenPose's have a few thousand
PROTOTXT_BYTES = 1 << 22  # OpenPose's have 50 kB
WORDS = 1 << 18  # maximum words, numbers, strings and marks of a prototxt; BODY_25's has 6,000
STRING = 1 << 16  # maximum characters of a string in a prototxt
WHOLE = frozenset({"num_output", "group", "dilation"}).union(
    f"{name}{side}" for name in ("kernel", "stride", "pad") for side in ("", "_size", "_h", "_w")
)  # options that are whole numbers
LAYERS = 1 << 12  # maximum layers of a network; OpenPose's have 300
PROTOBUF_BYTES = (1 << 31) - 1  # protobuf's limit


class Word(str):
    """A word without quotes in a prototxt, the value of an enum: `pool: MAX`; strings have quotes."""

    __slots__ = ()


# --- prototxt -------------------------------------------------------------------------------------------------------

_QUOTED = r"""(?:"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"""
# The last alternative matches any character, so that the pattern never backtracks.
_TOKEN = re.compile(
    rf"""(?:\s|\#[^\n]*)*(?:
    (?P<word>[A-Za-z_]\w*) | (?P<number>-?\.?[0-9][\w.]*(?:(?<=[eE])[+-][0-9]+)?[fF]? | -[A-Za-z]+) |
    (?P<string>{_QUOTED}(?:\s*{_QUOTED}){{0,999}}) | (?P<mark>[{{}}<>\[\]:;,]) | (?P<end>\Z) | (?P<wrong>.) )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,19})")
_OCTAL = re.compile(r"-?0[0-7]{1,22}")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_WORDS: dict[str, bool | float] = {
    "true": True, "True": True, "false": False, "False": False, "inf": math.inf, "nan": math.nan,
}  # fmt: skip
_CLOSING = {"{": "}", "<": ">"}


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def parse_prototxt(text: str) -> Message:
    r"""Read a prototxt.

    Parameters
    ----------
    text : str
        Any message in protobuf's text format; the names of fields are not checked.

    Returns
    -------
    dict of lists
        The values of each field in their order: int, float, bool, `Word` (enums), str, dict (messages).

    Raises
    ------
    ModelError
        If the text is not in this format, ends inside a message, or nests messages more than 100 deep.

    Examples
    --------
    >>> parse_prototxt('name: "a"  # a comment\n input_dim: [1, 3]; pool: MAX; shape { dim: 2 } shape: <dim: .5>')
    {'name': ['a'], 'input_dim': [1, 3], 'pool': ['MAX'], 'shape': [{'dim': [2]}, {'dim': [0.5]}]}
    >>> parse_prototxt('layer { name: "a"')
    Traceback (most recent call last):
    posecv.errors.ModelError: line 1: the text ends inside the message that opens in line 1
    """
    return _message(_tokens(text), _Token("mark", "", 0), 0)


def _tokens(text: str) -> Iterator[_Token]:
    line, counted, budget = 1, 0, iter(range(WORDS))
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "end"
        start = match.start(kind)
        line += text.count("\n", counted, start)
        counted = start
        if next(budget, None) is None:
            raise ModelError(f"line {line}: more than {WORDS} words and marks, which no network needs")
        if match.end() - start > STRING:
            raise ModelError(f"line {line}: a word or a string of more than {STRING} characters")
        if kind == "wrong":
            found = "a string that does not end," if match[kind] in "\"'" else "unexpected"
            raise ModelError(f"line {line}: {found} {text[start : start + 20]!r}")
        yield _Token(kind, match[kind], line)


def _message(tokens: Iterator[_Token], opening: _Token, depth: int) -> Message:
    """The fields up to the mark that closes `opening`, or, at depth 0, up to the end."""
    if depth > DEPTH:
        raise ModelError(f"line {opening.line}: messages are nested more than {DEPTH} deep")
    message: Message = {}
    for token in tokens:
        if token.kind == "word":
            message.setdefault(token.text, []).extend(_values(tokens, token, depth))
        elif token.kind == "end" and depth:
            raise ModelError(f"line {token.line}: the text ends inside the message that opens in line {opening.line}")
        elif token.text == _CLOSING.get(opening.text, ""):
            return message
        elif token.text not in (";", ","):
            raise ModelError(f"line {token.line}: found {token.text[:40]!r} where a field's name belongs")
    return message


def _values(tokens: Iterator[_Token], name: _Token, depth: int) -> list[Any]:
    """The value after a field's name, or the values of a list in brackets."""
    token = next(tokens)
    colon = token.text == ":"
    token = next(tokens) if colon else token
    if token.text == "[" and colon:
        values: list[Any] = []
        for token in tokens:
            if token.text == "]":
                return values
            if token.text != ",":
                values.append(_value(tokens, token, depth))
    if not colon and token.text not in _CLOSING:
        raise ModelError(f"line {token.line}: {name.text[:40]!r} is followed by neither a colon nor a message")
    return [_value(tokens, token, depth)]


def _value(tokens: Iterator[_Token], token: _Token, depth: int) -> Any:
    if token.kind == "string":
        return _unquoted(token.text)
    if token.kind == "word":
        return _WORDS.get(token.text, Word(token.text))
    if token.kind == "number":
        return _number(token)
    if token.text in _CLOSING:
        return _message(tokens, token, depth + 1)
    raise ModelError(f"line {token.line}: found {token.text or 'the end'!r} where a value belongs")


def _number(token: _Token) -> int | float:
    if _INTEGER.fullmatch(token.text):
        return int(token.text, 0)
    if _OCTAL.fullmatch(token.text):
        return int(token.text, 8)
    try:
        return float(token.text if token.text[-3:].lower() in ("inf", "nan") else token.text.rstrip("fF"))
    except ValueError:
        raise ModelError(f"line {token.line}: {token.text[:40]!r} is not a number") from None


def _unquoted(text: str) -> str:
    """The string that one or more quoted literals stand for; escapes may spell the bytes of UTF-8."""

    def byte(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, letter = match.groups()
        if letter:
            return _ESCAPED.get(letter, letter)
        return bytes([(int(octal, 8) if octal else int(hexadecimal, 16)) & 255])

    parts = (part[1:-1].encode("utf-8", "replace") for part in re.findall(_QUOTED, text, re.DOTALL))
    return b"".join(_ESCAPE.sub(byte, part) for part in parts).decode("utf-8", "replace")


def format_prototxt(message: Message) -> str:
    """Write a prototxt, which `parse_prototxt` reads back as an equal message.

    >>> print(format_prototxt({"name": ["a"], "layer": [{"type": ["Pooling"], "pooling_param": [{"pool": [Word("MAX")],
    ...     "stride": [2]}]}]}), end="")
    name: "a"
    layer {
      type: "Pooling"
      pooling_param { pool: MAX stride: 2 }
    }
    """
    return "".join(line + "\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, values in message.items():
        for value in values:
            if not isinstance(value, dict):
                yield f"{name}: {_written(value)}"
                continue
            inner = list(_lines(value))
            if name != "layer" and sum(map(len, inner)) < 80:  # write short messages on one line
                yield " ".join([name, "{", *inner, "}"])
            else:
                yield from (f"{name} {{", *(f"  {line}" for line in inner), "}")


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not isinstance(value, Word):
        escaped = re.sub(r'[\\"\x00-\x1f\x7f]', lambda match: f"\\{ord(match[0]):03o}", value)
        return f'"{escaped}"'
    return str(value)


# --- caffemodel -----------------------------------------------------------------------------------------------------

# NetParameter: field number of a layer -> field numbers of its name and its blobs (LayerParameter, V1LayerParameter).
_LAYER_FIELDS = {100: (1, 7), 2: (4, 6)}
# BlobProto: field number -> type of the values; read in this order, like OpenCV.
_VALUE_TYPES = {8: "<f8", 5: "<f4", 12: "<f2"}
_SHAPE, _RAW_TYPE, _HALF = 7, 10, 2


def read_caffemodel(data: bytes | memoryview, *, most_fields: int = FIELDS) -> dict[str, list[Array]]:
    """Read the weights of a caffemodel; single-precision floats are not copied.

    Parameters
    ----------
    data : bytes or memoryview
        The whole file: layers of the current (`layer`) or the old format (`layers`); values as floats, doubles or
        OpenCV's half floats.
    most_fields : int
        A file with more fields is refused.

    Returns
    -------
    dict
        Name of each layer -> its blobs, float32 arrays of the declared shape. They may be views of `data`.

    Raises
    ------
    ModelError
        If the bytes are not in this format or end early, or a blob's values do not match its shape.
    """
    budget = iter(range(most_fields))
    weights: dict[str, list[Array]] = {}
    for number, _, layer in read_fields(memoryview(data).cast("B"), budget):
        if number not in _LAYER_FIELDS or isinstance(layer, int):
            continue
        name, blobs = "", []
        name_field, blobs_field = _LAYER_FIELDS[number]
        for field, wire, value in read_fields(layer, budget):
            if field == name_field and wire == BYTES:
                name = bytes(value).decode("utf-8", "replace")
            elif field == blobs_field and wire == BYTES:
                blobs.append(_in_layer(name, value, budget))
        weights.setdefault(name, blobs)  # like OpenCV, use the first of two layers with the same name
    return weights


def _in_layer(name: str, data: memoryview, budget: Iterator[int]) -> Array:
    try:
        return _blob(data, budget)
    except ModelError as error:
        raise ModelError(f"layer {name[:60]!r}: {error}") from None


def _blob(data: memoryview, budget: Iterator[int]) -> Array:
    pieces: dict[int, list[memoryview]] = {}
    numbers: dict[int, int] = {}
    shape: list[int] = []
    for number, wire, value in read_fields(data, budget):
        if wire == VARINT:
            numbers[number] = value
        elif number == _SHAPE and wire == BYTES:
            shape += _dims(value, budget)
        elif number in _VALUE_TYPES:
            pieces.setdefault(number, []).append(value)
    if numbers.keys() & {1, 2, 3, 4}:
        shape = [numbers.get(axis, 0) for axis in (1, 2, 3, 4)]  # num, channels, height, width of old files
    if len(shape) > AXES:
        raise ModelError(f"a blob has {len(shape)} axes: Caffe allows {AXES}")
    kind = next((kind for kind in _VALUE_TYPES if kind in pieces), 5)
    if kind == 12 and numbers.get(_RAW_TYPE) != _HALF:
        raise ModelError("a blob holds raw values of a type that OpenCV does not read")
    dtype = np.dtype(_VALUE_TYPES[kind])
    if any(len(piece) % dtype.itemsize for piece in pieces.get(kind, [])):
        raise ModelError("a blob ends inside a number")
    arrays = [np.frombuffer(piece, dtype) for piece in pieces.get(kind, [])]
    array = arrays[0] if len(arrays) == 1 else np.concatenate([*arrays, np.zeros(0, dtype)])
    with np.errstate(all="ignore"):  # a double may be too large for a float
        values = array.astype(np.float32, copy=False)
    if math.prod(shape) != values.size:
        raise ModelError(f"a blob of shape {_by(shape)} holds {values.size} values: the file is damaged")
    return values.reshape(shape) if values.size else values


def _dims(data: memoryview, budget: Iterator[int]) -> Iterator[int]:
    """The axes of a BlobShape, packed or not; at most one more than allowed."""
    dims: list[int] = []
    for number, wire, value in read_fields(data, budget):
        if number == 1 and wire == VARINT:
            dims.append(value)
        elif number == 1 and wire == BYTES:
            at = 0
            while at < len(value) and len(dims) <= AXES:
                dim, at = read_varint(value, at)
                dims.append(dim)
    return iter(dims[: AXES + 1])


def _by(shape: Iterable[object]) -> str:
    return " x ".join(map(str, shape)) or "()"


def write_caffemodel(
    layers: Mapping[str, Sequence[NDArray[Any]]], types: Mapping[str, str] | None = None, *, half: bool = False
) -> bytes:
    """Write a caffemodel that `read_caffemodel` and `cv2.dnn.readNetFromCaffe` read.

    Parameters
    ----------
    layers : mapping
        Name of each layer -> its blobs, arrays of any shape; stored as float32.
    types : mapping, optional
        Name -> type of layers ("Convolution"), for other readers; OpenCV takes the types from the prototxt.
    half : bool
        Store half floats, which need half the bytes, like `cv2.dnn.shrinkCaffeModel`. Only OpenCV and posecv read them.

    Raises
    ------
    ModelError
        If a value is too large for a half float (beyond 65504).
    """
    parts: list[bytes] = []
    for name, blobs in layers.items():
        layer = [delimited(1, name.encode())]
        if types and name in types:
            layer.append(delimited(2, types[name].encode()))
        layer += [delimited(7, _blob_bytes(name, np.asarray(blob, np.float32), half)) for blob in blobs]
        parts.append(delimited(100, b"".join(layer)))
    return b"".join(parts)


def _blob_bytes(name: str, blob: Array, half: bool) -> bytes:
    shape = delimited(_SHAPE, delimited(1, b"".join(map(varint, blob.shape))))
    if not half:
        return shape + delimited(5, blob.astype("<f4", copy=False).tobytes())
    with np.errstate(over="ignore"):
        small = blob.astype("<f2")
    if np.any(np.isinf(small) & np.isfinite(blob)):
        raise ModelError(f"layer {name!r} holds values beyond 65504, too large for half floats: write single ones")
    return shape + varint(_RAW_TYPE << 3 | VARINT) + varint(_HALF) + delimited(12, small.tobytes())


# --- networks -------------------------------------------------------------------------------------------------------


def layers_of(message: Message) -> list[Message]:
    """The layers of a network for inference (`layer`, or `layers` in old files).

    Those only for TRAIN are left out, and Silence, which does nothing.

    >>> len(layers_of(parse_prototxt('layer { name: "a" } layer { name: "b" include { phase: TRAIN } }')))
    1
    """
    layers: list[Message] = [*values_of(message, "layer", dict), *values_of(message, "layers", dict)]
    phases = [[rule.get("phase") for rule in values_of(layer, "include", dict)] for layer in layers]
    used = [layer for layer, phase in zip(layers, phases, strict=True) if ["TRAIN"] not in phase]
    return [layer for layer in used if str((layer.get("type") or [""])[-1]).lower() != "silence"]


def output_layers(message: Message) -> list[str]:
    """Names of the layers whose result no other layer takes: the outputs for `cv2.dnn.Net.forward`.

    Layers that work in place (top equals bottom) pass the result on under their own name:

    >>> output_layers(parse_prototxt('''
    ...     layer { name: "conv" bottom: "image" top: "maps" }
    ...     layer { name: "relu" bottom: "maps" top: "maps" }'''))
    ['relu']
    """
    return list(dict.fromkeys(open_tops(message).values()))


def open_tops(message: Message) -> dict[str, str]:
    """The results that no layer takes, each with the name of the last layer that writes it."""
    tops: dict[str, str] = {}
    for layer in layers_of(message):
        for bottom in values_of(layer, "bottom", str):
            tops.pop(bottom, None)
        tops.update(dict.fromkeys(values_of(layer, "top", str), value_of(layer, "name", "")))
    return tops


def type_of(layer: Message) -> str:
    """A layer's type in lower case without underscores: INNER_PRODUCT of old files is innerproduct.

    >>> type_of({"type": ["InnerProduct"]}) == type_of({"type": [Word("INNER_PRODUCT")]})
    True
    """
    return value_of(layer, "type", "").replace("_", "").lower()


def called(layer: Message) -> str:
    """The beginning of a layer's name, for messages."""
    return f"layer {value_of(layer, 'name', '')[:60]!r}"


def values_of(message: Message, name: str, kind: type[T]) -> list[T]:
    """All values of a field, which must have one type; integers are valid floats, 0 and 1 are valid booleans."""
    values = message.get(name, [])
    for value in values:
        accepted = (float, int) if kind is float else kind
        if not isinstance(value, accepted) and not (kind is bool and value in (0, 1)):
            raise ModelError(f"the field {name!r} is {str(value)[:40]!r}, which is not valid in a Caffe network")
    return values


def value_of(message: Message, name: str, default: T) -> T:
    """The effective value of a field, even if it is given several times; it must have the default's type."""
    return (values_of(message, name, type(default)) or [default])[-1]


def check_weights(message: Message, weights: Mapping[str, Sequence[Array]]) -> None:
    """Raise a `ModelError` if a layer of the network has no weights, or weights of the wrong shape."""
    for layer in layers_of(message):
        expected = _expected_shapes(layer, type_of(layer))
        shapes = [blob.shape for blob in weights.get(value_of(layer, "name", ""), [])]
        if expected and not shapes:
            raise ModelError(f"{called(layer)} has no weights: files of two models, or a caffemodel that is cut short")
        if len(shapes) < len(expected):
            raise ModelError(f"{called(layer)} has {len(shapes)} blobs of weights and needs {len(expected)}")
        for shape, wanted in zip(shapes, expected, strict=False):
            if not _fits(shape, wanted):
                text = _by("any" if axis is None else axis for axis in wanted or ())
                raise ModelError(f"{called(layer)} has weights of shape {_by(shape)} and needs {text}")


def _fits(shape: Shape, wanted: Shape | None) -> bool:
    """Whether a shape agrees, ignoring leading axes of length 1 (old files always have four axes)."""
    if wanted is None:
        return True
    extra = len(shape) - len(wanted)
    return extra >= 0 and all(length in (None, axis) for length, axis in zip((1,) * extra + wanted, shape, strict=True))


def _expected_shapes(layer: Message, kind: str) -> Sequence[Shape | None]:
    """Shapes of the blobs that a layer needs; None for an axis, or a shape, that its options do not determine."""
    if kind in ("convolution", "convolutiondepthwise", "deconvolution"):
        options = value_of(layer, "convolution_param", Message())
        outputs, group = value_of(options, "num_output", 0), value_of(options, "group", 1)
        sides = values_of(options, "kernel_size", int) or [value_of(options, f"kernel_{side}", 0) for side in "hw"]
        kernel = tuple(sides * 2 if len(sides) == 1 else sides)
        if min(outputs, group, *kernel) < 1 or outputs % group:
            raise ModelError(f"{called(layer)} has {outputs} outputs in {group} groups and a kernel of {_by(kernel)}")
        channels: Shape = (None, outputs // group) if kind == "deconvolution" else (outputs, None)
        return [channels + kernel, (outputs,)][: 1 + value_of(options, "bias_term", True)]
    if kind == "innerproduct":
        options = value_of(layer, "inner_product_param", Message())
        outputs = value_of(options, "num_output", 0)
        matrix: Shape = (None, outputs) if value_of(options, "transpose", False) else (outputs, None)
        return [matrix, (outputs,)][: 1 + value_of(options, "bias_term", True)]
    if kind == "scale" and len(layer.get("bottom", [])) < 2:  # with two bottoms the second is the factor
        return [None] * (1 + value_of(value_of(layer, "scale_param", Message()), "bias_term", False))
    return [None] * {"prelu": 1, "batchnorm": 2}.get(kind, 0)


# --- files ----------------------------------------------------------------------------------------------------------

# First bytes of a file, what it is, and what to do.
_SIGNS = (
    (rb"\s*<(?:!doctype|html|\?xml|head)", "a web page", "the download went wrong: fetch the file again"),
    (rb"version https://git-lfs", "a Git-LFS pointer", "run `git lfs pull`, or download the file itself"),
    (rb"\xef\xbb\xbf", "a text with a byte order mark", "OpenCV cannot read that; save it as UTF-8 without the mark"),
    (rb"\xff\xfe|\xfe\xff|(?:[\t-~]\0|\0[\t-~]){4}", "a text in UTF-16", "OpenCV cannot read that; save it as UTF-8"),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|BZh|Rar!", "an archive", "unpack it first"),
)
_CONTROL = re.compile(rb"[^\t\n\f\r\x20-\xff]")


def read_pair(prototxt: Path, caffemodel: Path) -> tuple[Message, dict[str, list[Array]]]:
    """Read and check a pair of files, before OpenCV reads it.

    Parameters
    ----------
    prototxt, caffemodel : Path
        The two files, under any names.

    Returns
    -------
    message : dict of lists
        The network, as `parse_prototxt` gives it.
    weights : dict
        Name of each layer -> its blobs, as `read_caffemodel` gives them.

    Raises
    ------
    ModelError
        If one of the files is missing, empty, a folder, unreadable, cut short, damaged or of another type (a web page,
        a Git-LFS pointer, an archive); if the two are swapped; or if they are of different models.
    """
    swapped = _is_text(_head(caffemodel, "caffemodel")) and not _is_text(_head(prototxt, "prototxt"))
    if swapped and re.search(rb"\blayers?\s*:?\s*[{<]", _head(caffemodel, "caffemodel", 1 << 16)):
        raise ModelError(
            f"{prototxt} and {caffemodel} are swapped: give the prototxt first (-p), the caffemodel second (-m)"
        )
    message = read_prototxt(prototxt)
    data = read_binary(caffemodel, "caffemodel")
    try:
        weights = read_caffemodel(data)
        if not weights:
            raise ModelError("it holds no layers: this is not a caffemodel, or it is cut short")
    except ModelError as error:
        raise ModelError(f"{caffemodel} is not a complete caffemodel; download it again ({error})") from None
    try:
        check_weights(message, weights)
    except ModelError as error:
        raise ModelError(f"{prototxt} and {caffemodel} do not belong together: {error}") from None
    return message, weights


def read_binary(path: Path, what: str) -> bytes:
    """Read a file of weights; if it is not a `what`, the ModelError says what it is instead."""
    head = _head(path, what)
    _refuse_other_kinds(path, head, what)
    if _is_text(head):
        raise ModelError(f"{path} is text, but a {what} is binary: give the file with the weights")
    return _content(path, what, PROTOBUF_BYTES)


def read_prototxt(path: Path) -> Message:
    """Read a prototxt file that describes a network; otherwise the ModelError says what the file is instead."""
    head = _head(path, "prototxt")
    _refuse_other_kinds(path, head, "prototxt")
    if not _is_text(head):
        raise ModelError(f"{path} is binary, but a prototxt is text: give the file that describes the layers")
    text = _content(path, "prototxt", PROTOTXT_BYTES).decode("utf-8", "replace")
    try:
        message = parse_prototxt(text)
        if not layers_of(message):
            raise ModelError("it describes no layers")
        if len(layers_of(message)) > LAYERS:
            raise ModelError(f"it describes {len(layers_of(message))} layers, more than {LAYERS}")
        output_layers(message)
    except ModelError as error:
        raise ModelError(f"{path} is not a complete prototxt of a network; get it again ({error})") from None
    _refuse_other_networks(path, message)
    return message


def _refuse_other_networks(path: Path, message: Message) -> None:
    """Raise a ModelError for a network for training, and for what only some of Caffe's readers accept."""
    for layer in layers_of(message):
        name = str((layer.get("name") or [""])[-1])[:60]
        kind = (layer.get("type") or [""])[-1]
        if isinstance(kind, int):
            raise ModelError(f"{path}: layer {name!r} has its type as the number {kind}; write the type's name")
        for options in (value_of(layer, f"{each}_param", Message()) for each in ("convolution", "pooling")):
            for option, values in options.items():
                if option in WHOLE and isinstance(values[-1], float):
                    raise ModelError(f"{path}: layer {name!r} has {option}: {values[-1]}; write it without decimals")
        if re.search(r"(?:data|loss|accuracy)$", str(kind).replace("_", "").lower()):
            raise ModelError(f"{path} is for training (layer {name!r} of type {kind}): take the deploy prototxt")


def _is_text(head: bytes) -> bool:
    return _CONTROL.search(head) is None


def _refuse_other_kinds(path: Path, head: bytes, what: str) -> None:
    for sign, found, advice in _SIGNS:
        if re.match(sign, head, re.IGNORECASE):
            raise ModelError(f"{path} is {found}, not a {what}: {advice}")


def _head(path: Path, what: str, size: int = 512) -> bytes:
    """The first bytes of a file, which must exist and not be empty."""
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a folder: give the {what} file in it")
        if not path.exists():
            raise ModelError(f"{path} is missing: give the path of a {what} file, or download it")
        if not path.is_file():
            raise ModelError(f"{path} is not a file: give a {what} file")
        with path.open("rb") as file:
            head = file.read(size)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not head:
        raise ModelError(f"{path} is empty: download the {what} again")
    return head


def _content(path: Path, what: str, limit: int) -> bytes:
    try:
        if path.stat().st_size > limit:
            raise ModelError(f"{path} has more than {limit >> 20} MB, which is too large for a {what}")
        return content(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
