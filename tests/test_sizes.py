"""Sizes of maps are known before an engine runs, and what cannot run is one line with every OpenCV and engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import Layers, Pair, painted_network
from posecv.engines.beforehand import output_sizes
from posecv.engines.network import load_network
from posecv.errors import ModelError
from posecv.formats import onnx_graph
from posecv.formats.caffe import format_prototxt, parse_prototxt, read_pair, read_prototxt
from posecv.formats.onnx import convert
from posecv.formats.onnx_graph import read_graph
from posecv.formats.protobuf import delimited, integer
from posecv.formats.sizes import Size, Window, follow, steps_of_graph, steps_of_pair
from posecv.models import Model
from posecv.skeletons import COCO

ENGINES = ["opencv", *(name for name in ("onnxruntime",) if importlib.util.find_spec(name))]
CHANNELS, HEATMAPS = COCO.channels, COCO.heatmaps
FIELDS = CHANNELS - HEATMAPS


# ------------------------------------------------------------------------------------------------- tiny networks


def random(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(shape).normal(0, 0.1, shape).astype(np.float32)


def cells(network: Layers, name: str, bottom: str, channels: int, inputs: int = 3, side: int = 8) -> str:
    """A convolution that turns 8 x 8 pixels into a cell."""
    return network.convolution(name, bottom, random(channels, inputs, side, side), random(channels), stride=side)


def with_input(
    text: str = 'name: "image" type: "Input" top: "image" input_param { shape { dim: [1, 3, 8, 8] } }',
) -> Layers:
    return Layers([parse_prototxt(text)])


def node(kind: str, takes: Sequence[str], gives: str, **numbers: Sequence[int]) -> bytes:
    """NodeProto."""
    parts = [delimited(1, name.encode()) for name in takes] + [delimited(2, gives.encode())]
    parts += [delimited(3, f"the {gives}".encode()), delimited(4, kind.encode())]
    for name, values in numbers.items():
        each = b"".join(integer(8, value) for value in values)
        parts.append(delimited(5, delimited(1, name.encode()) + each + integer(20, 7)))
    return delimited(1, b"".join(parts))


def tensor(name: str, values: NDArray[np.float32]) -> bytes:
    """TensorProto."""
    dims = b"".join(integer(1, length) for length in values.shape)
    return delimited(5, dims + integer(2, 1) + delimited(8, name.encode()) + delimited(9, values.tobytes()))


def value(number: int, name: str, axes: Sequence[int | str]) -> bytes:
    """ValueInfoProto of an input (11) or an output (12)."""
    dims = [delimited(1, integer(1, axis) if isinstance(axis, int) else delimited(2, axis.encode())) for axis in axes]
    shape = delimited(2, delimited(1, integer(1, 1) + delimited(2, b"".join(dims))))
    return delimited(number, delimited(1, name.encode()) + shape)


IMAGE: Mapping[str, Sequence[int | str]] = {"image": ["n", 3, "h", "w"]}


def onnx_file(
    path: Path, nodes: Sequence[bytes], constants: Mapping[str, Any], inputs: Mapping[str, Sequence[int | str]] = IMAGE
) -> Path:
    """An ONNX file whose output is called maps."""
    parts = [*nodes, delimited(2, b"g"), *(tensor(name, values) for name, values in constants.items())]
    parts += [*(value(11, name, axes) for name, axes in inputs.items()), value(12, "maps", ["n", CHANNELS, "y", "x"])]
    path.write_bytes(integer(1, 7) + delimited(7, b"".join(parts)) + delimited(8, integer(2, 13)))
    return path


def conv(takes: str, weights: str, gives: str, side: int = 8) -> bytes:
    """A convolution: with a kernel of 8 x 8 also a stride of 8."""
    stride = 8 if side == 8 else 1
    return node("Conv", [takes, weights], gives, kernel_shape=[side] * 2, strides=[stride] * 2)


# ------------------------------------------------------------------------------------------------- the sizes


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 2, 1), (3, 1, 1), (4, 3, 2)]
)
def test_a_pooling_has_as_many_places_as_opencv_gives(
    kernel: int, stride: int, pad: int, up: bool, tmp_path: Path
) -> None:
    network = with_input()
    options = {"kernel_size": [kernel], "stride": [stride], "pad": [pad], "ceil_mode": [up]}
    network.add("maps", "Pooling", ["image"], pooling_param=options)
    message = read_prototxt(network.write(tmp_path)[0])
    net = cv2.dnn.readNetFromONNX(np.frombuffer(convert(message, {}), np.uint8))
    for height, width in ((7, 9), (12, 8), (5, 6)):
        net.setInput(np.zeros((1, 3, height, width), np.float32))
        size = follow(steps_of_pair(message, {}), {"image": Size(3, height, width)})["maps"]
        assert size[:3] == net.forward().shape[1:]


def test_both_formats_of_our_own_network_have_the_sizes_that_opencv_gives(tmp_path: Path) -> None:
    prototxt, caffemodel = painted_network(tmp_path, COCO)
    message, weights = read_pair(prototxt, caffemodel)
    graph = read_graph(convert(message, weights))
    image = {"image": Size(3, 64, 32)}
    known = follow(steps_of_pair(message, weights), image)["net_output"]
    assert known == Size(CHANNELS, 8, 4, (HEATMAPS, FIELDS))
    assert follow(steps_of_graph(graph), image)["net_output"][:1] == (CHANNELS,)


def test_a_transposed_convolution_grows() -> None:
    assert Window(4, 2, 1, 1).grown(5) == 10  # (5 - 1) * 2 + 4 - 2


# ------------------------------------------------------------------------------------------------- what cannot run


def unpadded(folder: Path, side: int) -> Pair:
    network = with_input()
    cells(network, "cells", "image", 8)
    network.convolution("maps", "cells", random(CHANNELS, 8, side, side), random(CHANNELS))
    network.layers[-1]["convolution_param"][0]["pad"] = [0]
    return network.write(folder)


@pytest.mark.parametrize(
    ("side", "words"), [(7, r"'maps' of type Conv.* window of 7 cells, more than"), (3, "32 pixels into 2")]
)
def test_a_network_without_padding_is_refused_before_it_runs(side: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=words):
        load_network(*unpadded(tmp_path, side), engine="opencv", device="cpu")
    constants = {"A": random(8, 3, 8, 8), "B": random(CHANNELS, 8, side, side)}
    nodes = [conv("image", "A", "cells"), conv("cells", "B", "maps", side)]
    path = onnx_file(tmp_path / "maps.onnx", nodes, constants)
    for engine in ENGINES:
        with pytest.raises(ModelError, match=words.replace("'maps'", "'the maps'")):
            load_network(path, engine=engine, device="cpu")


@pytest.mark.parametrize("option", ["stride: 0", "stride: -8", "pad: -1", "dilation: 40000", "kernel_size: 0"])
def test_windows_that_are_none_are_one_line_with_every_opencv(option: str) -> None:
    options = f"num_output: 57 kernel_size: 8 {option}"
    layer = f'layer {{ name: "a" type: "Convolution" bottom: "image" top: "a" convolution_param {{ {options} }} }}'
    if option.startswith("kernel"):
        layer = layer.replace("kernel_size: 8 ", "")
    with pytest.raises(ModelError, match=r"layer 'a' of type Convolution has a kernel of .* at most 32768"):
        steps_of_pair(parse_prototxt(layer), {})


def test_layers_and_nodes_out_of_order_are_one_line_with_every_engine(tmp_path: Path) -> None:
    network = with_input()
    cells(network, "cells", "image", 8)
    network.convolution("maps", "cells", random(CHANNELS, 8, 1, 1), random(CHANNELS))
    network.layers[1:] = network.layers[:0:-1]
    with pytest.raises(ModelError, match=r"layer 'maps' of type Convolution takes 'cells', which no layer before it"):
        load_network(*network.write(tmp_path), engine="opencv", device="cpu")
    nodes = [conv("cells", "B", "maps", 1), conv("image", "A", "cells")]
    path = onnx_file(tmp_path / "maps.onnx", nodes, {"A": random(8, 3, 8, 8), "B": random(CHANNELS, 8, 1, 1)})
    for engine in ENGINES:
        with pytest.raises(ModelError, match=r"node 'the maps' of type Conv takes 'cells', which no node before it"):
            load_network(path, engine=engine, device="cpu")


def test_weights_for_other_channels_are_one_line_with_every_opencv(tmp_path: Path) -> None:
    network = with_input()
    cells(network, "cells", "image", 8)
    network.convolution("maps", "cells", random(CHANNELS, 9, 1, 1), random(CHANNELS))
    with pytest.raises(ModelError, match="'maps' of type Convolution has weights for 9 channels and is given 8"):
        load_network(*network.write(tmp_path), engine="opencv", device="cpu")


# ------------------------------------------------------------------------------------------------- several inputs

OTHER = 'name: "other" type: "Input" top: "other" input_param { shape { dim: [1, 5, 6, 7] } }'


@pytest.mark.parametrize("first", [False, True])
def test_an_input_that_no_layer_takes_changes_nothing(first: bool, tmp_path: Path) -> None:
    network = with_input()
    cells(network, "maps", "image", CHANNELS)
    one = load_network(*network.write(tmp_path / "one"), engine="opencv", device="cpu")
    network.layers.insert(0 if first else 1, parse_prototxt(OTHER))
    two = load_network(*network.write(tmp_path / "two"), engine="opencv", device="cpu")
    blob = random(1, 3, 64, 32)
    np.testing.assert_allclose(two.maps(blob), one.maps(blob), atol=1e-6)


def test_two_inputs_that_layers_take_are_one_line(tmp_path: Path) -> None:
    network = with_input()
    network.layers.append(parse_prototxt(OTHER.replace("[1, 5, 6, 7]", "[1, 3, 8, 8]")))
    parts = [cells(network, "heat", "image", CHANNELS), cells(network, "more", "other", CHANNELS)]
    network.add("maps", "Eltwise", parts)
    with pytest.raises(ModelError, match=r"takes 2 inputs \(image, other\); one image is needed"):
        load_network(*network.write(tmp_path), engine="opencv", device="cpu")


@pytest.mark.parametrize("first", [False, True])
def test_a_second_input_of_an_onnx_file_is_one_line_with_every_engine(first: bool, tmp_path: Path) -> None:
    inputs = {**IMAGE, "other": [1, 3, 8, 8]}
    inputs = dict(reversed(inputs.items())) if first else inputs
    nodes = [conv("image", "A", "maps")]
    path = onnx_file(tmp_path / "maps.onnx", nodes, {"A": random(CHANNELS, 3, 8, 8)}, inputs)
    for engine in ENGINES:
        with pytest.raises(ModelError, match=r"takes 2 inputs .*one image is needed"):
            load_network(path, engine=engine, device="cpu")


def test_constants_that_old_files_list_among_the_inputs_are_none(tmp_path: Path) -> None:
    nodes, constants = [conv("image", "A", "maps")], {"A": random(CHANNELS, 3, 8, 8)}
    path = onnx_file(tmp_path / "maps.onnx", nodes, constants, {"A": [CHANNELS, 3, 8, 8], **IMAGE})
    assert read_graph(path.read_bytes()).inputs == {"image": (None, 3, None, None)}
    assert load_network(path, engine="opencv", device="cpu").stride == 8


# ------------------------------------------------------------------------------------------------- the order of maps


def joined(path: Path, *counts: int) -> Path:
    """An ONNX file that joins maps of so many channels each, cut from the same weights."""
    weights, at = random(CHANNELS, 3, 8, 8), 0
    nodes, constants = [], {}
    for part, count in enumerate(counts):
        nodes.append(conv("image", f"W{part}", f"part {part}"))
        constants[f"W{part}"] = weights[at : at + count]
        at += count
    nodes.append(node("Concat", [f"part {part}" for part in range(len(counts))], "maps", axis=[1]))
    return onnx_file(path, nodes, constants)


@pytest.mark.parametrize(
    ("counts", "first"),
    [
        ((HEATMAPS, FIELDS), 0),
        ((FIELDS, HEATMAPS), FIELDS),
        ((20, 18, HEATMAPS), FIELDS),
        ((HEATMAPS, HEATMAPS, 19), 0),
    ],
)
def test_the_parts_of_an_onnx_file_tell_whether_the_fields_come_first(
    counts: Sequence[int], first: int, tmp_path: Path
) -> None:
    path = joined(tmp_path / "maps.onnx", *counts)
    network = load_network(path, engine="opencv", device="cpu", skeleton="coco")
    assert network.fields_first == first
    weights = random(CHANNELS, 3, 8, 8)
    expected = np.einsum("cbij,bij->c", weights, np.ones((3, 8, 8), np.float32))
    expected = np.concatenate([expected[first:], expected[:first]])
    np.testing.assert_allclose(network.maps(np.ones((1, 3, 8, 8), np.float32))[:, 0, 0], expected, atol=1e-4)


def test_maps_in_neither_order_are_refused(tmp_path: Path) -> None:
    path = joined(tmp_path / "maps.onnx", HEATMAPS - 1, FIELDS, 1)
    with pytest.raises(
        ModelError, match=r"joins maps of 18 \+ 38 \+ 1 channels at its end; coco needs its 19 heatmaps"
    ):
        load_network(path, engine="opencv", device="cpu", skeleton="coco")


def test_layers_behind_the_last_concat_change_no_order(tmp_path: Path) -> None:
    network = with_input()
    parts = [cells(network, "fields", "image", FIELDS), cells(network, "heat", "image", HEATMAPS)]
    network.add("joined", "Concat", parts)
    network.add("scaled", "Power", ["joined"], power_param={"scale": [2.0]})
    assert load_network(*network.write(tmp_path), engine="opencv", device="cpu").fields_first == FIELDS


# ------------------------------------------------------------------------------------------------- limits


def test_more_nodes_than_any_network_has_are_refused(tmp_path: Path) -> None:
    nodes = [node("Relu", ["image"], "maps")] * (onnx_graph.NODES + 1)
    path = onnx_file(tmp_path / "maps.onnx", nodes, {})
    model = Model("many", path, path)
    with pytest.raises(ModelError, match=f"^{path}: it has more than {onnx_graph.NODES} nodes$"):
        output_sizes(model, 32, 32)


def test_a_prototxt_without_an_input_is_one_line_with_every_opencv(tmp_path: Path) -> None:
    prototxt, caffemodel = painted_network(tmp_path, COCO)
    message = read_prototxt(prototxt)
    del message["layer"][0]
    prototxt.write_text(format_prototxt(message), encoding="utf-8")
    with pytest.raises(ModelError, match="takes 'image', which no layer before it produces"):
        load_network(prototxt, caffemodel, engine="opencv", device="cpu")
