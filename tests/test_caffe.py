"""Reading, writing and checking Caffe pairs, whatever their bytes are."""

from __future__ import annotations

import math
import os
import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import Layers, Pair, broken_pairs, painted_network, read_by_opencv
from posecv.errors import ModelError
from posecv.formats import caffe
from posecv.formats.caffe import (
    Word,
    check_weights,
    format_prototxt,
    layers_of,
    output_layers,
    parse_prototxt,
    read_caffemodel,
    read_pair,
    read_prototxt,
    write_caffemodel,
)
from posecv.skeletons import COCO

SHARED = Path(os.environ.get("POSECV_SHARED", Path(__file__).parents[2] / "shared"))
LIGHT_COCO = SHARED / "models" / "light-coco"
needs_light_coco = pytest.mark.skipif(not LIGHT_COCO.exists(), reason="needs the light-coco network of POSECV_SHARED")


def field(number: int, wire: int, content: bytes) -> bytes:
    """A field of protobuf's binary format with a one-byte length."""
    key = number << 3 | wire
    head = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    return head + (bytes([len(content)]) if wire == 2 else b"") + content


def floats(*values: float, kind: str = "<f4") -> bytes:
    return np.array(values, kind).tobytes()


def model_with(blob: bytes) -> bytes:
    """A caffemodel of one layer with one blob."""
    return field(100, 2, field(1, 2, b"conv") + field(7, 2, blob))


def shaped(*dims: int) -> bytes:
    return field(7, 2, field(1, 2, bytes(dims)))


# --- prototxt -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: 1 a: -2, a: 0x1F; a: 017", [1, -2, 31, 15]),
        ("a: 1.5 a: -.25 a: 1e-3 a: 2E+4 a: 3f a: 5.", [1.5, -0.25, 0.001, 2e4, 3.0, 5.0]),
        ("a: inf a: -inf", [math.inf, -math.inf]),
        ("a: true a: false", [True, False]),
        ("a: MAX", ["MAX"]),
        ("a: [1, 2] a: 3 a: []", [1, 2, 3]),
        ("a { b: 1 } a: { b: 2 } a < b: 3 > a: <>", [{"b": [1]}, {"b": [2]}, {"b": [3]}, {}]),
        ("a: [{ b: 1 }, < b: 2 >]", [{"b": [1]}, {"b": [2]}]),
        ("a: 'it''s' a: \"#{\" # a: 5", ["its", "#{"]),
        (r'a: "tab\t quote\" back\\ octal\101 hex\x42 \303\244"', ['tab\t quote" back\\ octalA hexB \u00e4']),
        ('a: "long "\n  # between\n', ["long "]),
        ('a: "long "\n  "name"', ["long name"]),
        ("a:1b:2", None),
    ],
)
def test_text_is_read_as_protobuf_defines_it(text: str, values: list[Any] | None) -> None:
    if values is None:
        with pytest.raises(ModelError):
            parse_prototxt(text)
    else:
        assert parse_prototxt(text) == {"a": values}
        assert [type(value) for value in parse_prototxt(text)["a"]] == [
            Word if value == "MAX" else type(value) for value in values
        ]


def test_an_empty_text_is_an_empty_message() -> None:
    assert parse_prototxt("") == parse_prototxt(" # nothing") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer {\n name: 'a'\n", "line 3: the text ends inside the message that opens in line 1"),
        ("a: 1\n}", "line 2: found '}'"),
        ("layer { name: 'a' >", "found '>'"),
        ("a 1", "neither a colon"),
        ("a:", "where a value belongs"),
        ("a: [1", "where a value belongs"),
        ("a: 'open", "a string that does not end"),
        ("a: 1.2.3", "not a number"),
        ("a: 1\n\n$", "line 3: unexpected '\\$'"),
        ("a: " + "9" * 50_000 + "x", "not a number"),
        ("<html>", "found '<'"),
    ],
)
def test_a_wrong_text_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_prototxt(text)


def test_messages_nest_a_hundred_deep_and_no_deeper() -> None:
    parse_prototxt("a {" * 100 + "}" * 100)
    for text in ("a {" * 101 + "}" * 101, "a {" * 1_000_000, "a: [{" * 1_000_000):
        with pytest.raises(ModelError, match="nested"):
            parse_prototxt(text)


@pytest.mark.parametrize(
    ("piece", "words"),
    [("a:1 ", "words and marks"), ("layer{}", "words and marks"), (f"a:'{'a' * caffe.STRING}'", "a string of more")],
)
def test_more_words_than_any_network_needs_are_refused_before_the_rest_is_read(piece: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_prototxt(piece * caffe.WORDS if words.startswith("words") else piece)


def test_a_string_has_at_most_a_thousand_pieces() -> None:
    assert parse_prototxt("a: " + "'b' " * 1000) == {"a": ["b" * 1000]}
    with pytest.raises(ModelError, match="name belongs"):
        parse_prototxt("a: " + "'b' " * 1001)


def test_more_layers_than_any_network_has_are_refused(tmp_path: Path) -> None:
    layers = 'layer { name: "a" }\n' * (caffe.LAYERS + 1)
    (tmp_path / "a.prototxt").write_text(layers, encoding="utf-8")
    with pytest.raises(ModelError, match=f"{caffe.LAYERS + 1} layers, more than {caffe.LAYERS}"):
        read_prototxt(tmp_path / "a.prototxt")


def test_messages_show_the_beginning_of_a_long_name() -> None:
    convolution = {"type": ["Convolution"], "convolution_param": [{"num_output": [1], "kernel_size": [1]}]}
    with pytest.raises(ModelError, match=f"layer '{'9' * 60}' has no weights"):
        check_weights({"layer": [{"name": ["9" * 5000], **convolution}]}, {})


def test_layers_that_do_nothing_are_left_out() -> None:
    message = parse_prototxt('layer { name: "a" type: "ReLU" } layer { name: "b" type: "Silence" bottom: "a" }')
    assert [layer["name"] for layer in layers_of(message)] == [["a"]]


def test_a_written_text_is_read_back_as_it_was() -> None:
    text = r"""name: "net \"1\" \\ \n \001 ä" layer { name: 'a' type: "Pooling" pooling_param { pool: MAX stride: 2 } }
        layer { lr_mult: 1e-05 lr_mult: 3 lr_mult: -inf bias_term: false shape { dim: [1, 3] } include {} }"""
    message = parse_prototxt(text)
    assert parse_prototxt(format_prototxt(message)) == message
    assert "pool: MAX" in format_prototxt(message)


# --- caffemodel -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_written_weights_are_read_back(half: bool) -> None:
    random_ = np.random.default_rng(0)
    layers: dict[str, list[NDArray[Any]]] = {
        "conv": [random_.normal(size=(4, 3, 1, 2)), random_.normal(size=4)],
        "name \u00e4": [np.array(2.5)],
    }
    stored = write_caffemodel(layers, {"conv": "Convolution"}, half=half)
    read = read_caffemodel(stored)
    assert list(read) == list(layers)
    for name, blobs in layers.items():
        for blob, found in zip(blobs, read[name], strict=True):
            assert found.dtype == np.float32
            expected = np.asarray(blob, np.float16 if half else np.float32).astype(np.float32)
            np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize(
    "blob",
    [
        shaped(2, 3) + field(5, 2, floats(1, 2, 3, 4, 5, 6)),
        field(5, 2, floats(1, 2, 3, 4, 5, 6)) + shaped(2, 3),
        shaped(2, 3) + b"".join(field(5, 5, floats(value)) for value in range(1, 7)),
        shaped(2, 3) + field(5, 5, floats(1)) + field(5, 2, floats(2, 3, 4)) + field(5, 2, floats(5, 6)),
        shaped(2, 3) + field(8, 2, floats(1, 2, 3, 4, 5, 6, kind="<f8")),
        shaped(2, 3) + b"".join(field(8, 1, floats(value, kind="<f8")) for value in range(1, 7)),
        shaped(2, 3) + field(10, 0, b"\x02") + field(12, 2, floats(1, 2, 3, 4, 5, 6, kind="<f2")),
        field(7, 2, field(1, 0, b"\x02") + field(1, 0, b"\x03")) + field(5, 2, floats(1, 2, 3, 4, 5, 6)),
        shaped(2, 3) + field(6, 2, floats(9, 9)) + field(5, 2, floats(1, 2, 3, 4, 5, 6)) + field(15, 0, b"\x80\x01"),
    ],
    ids=[
        "packed",
        "shape last",
        "single",
        "mixed",
        "doubles",
        "single doubles",
        "half",
        "single dims",
        "unknown fields",
    ],
)
def test_every_way_to_store_a_blob_is_read(blob: bytes) -> None:
    np.testing.assert_array_equal(read_caffemodel(model_with(blob))["conv"], [[[1, 2, 3], [4, 5, 6]]])


def test_layers_of_old_files_are_read() -> None:
    blob = b"".join(field(axis, 0, bytes([size])) for axis, size in enumerate((2, 1, 1, 3), 1))
    old = field(2, 2, field(4, 2, b"conv") + field(5, 0, b"\x04") + field(6, 2, blob + field(5, 2, floats(*range(6)))))
    assert read_caffemodel(old)["conv"][0].tolist() == [[[[0, 1, 2]]], [[[3, 4, 5]]]]


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (shaped(2, 3) + field(5, 2, floats(1, 2)), "shape 2 x 3 holds 2 values"),
        (shaped(2, 3), "holds 0 values"),
        (field(5, 2, floats(1, 2)), r"shape \(\) holds 2 values"),
        (shaped(1) + field(5, 2, b"123"), "ends inside a number"),
        (shaped(*[1] * 33) + field(5, 2, floats(1)), "33 axes"),
        (shaped(1) + field(10, 0, b"\x03") + field(12, 2, b"1234"), "raw values"),
        (field(7, 2, field(1, 2, b"\xff" * 9 + b"\x01")) + field(5, 2, floats(1)), "18446744073709551615 holds 1"),
        (shaped(1) + field(5, 5, b"12"), "ends early"),
        (shaped(1) + field(5, 2, floats(1))[:-1], "ends early"),
        (shaped(1) + field(5, 3, b""), "starts no field"),
        (field(1, 0, b"\xff" * 11), "more than 64 bits"),
    ],
)
def test_a_blob_that_contradicts_itself_is_named(blob: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read_caffemodel(model_with(blob))


def test_values_too_large_for_half_floats_are_refused() -> None:
    with pytest.raises(ModelError, match="'conv' holds values beyond 65504"):
        write_caffemodel({"conv": [np.array([1.0, 70_000.0])]}, half=True)


def test_reading_copies_no_floats() -> None:
    stored = write_caffemodel({f"conv{index}": [np.zeros((64, 64, 3, 3))] for index in range(50)})
    tracemalloc.start()
    weights = read_caffemodel(stored)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(blob.nbytes for blobs in weights.values() for blob in blobs) > 7_000_000
    assert most < 200_000


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x00" * 100_000,
        b"\xa2\x06\x00" * 100_000,
        b"\x2d0000\x08\x00" * 100_000,
        b"\xa2\x06\xff\xff\xff\xff\x07",
        field(100, 2, field(7, 2, shaped(*[127] * 32))),
        field(100, 2, field(7, 2, shaped(0, 127, 127))),
    ],
    ids=["numbers", "layers", "runs", "promised length", "promised shape", "nothing"],
)
def test_hostile_files_are_answered_within_their_own_size(data: bytes) -> None:
    tracemalloc.start()
    try:
        read_caffemodel(data, most_fields=4096)
    except ModelError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 300 * 4096  # a few objects a layer, of so many layers; nothing by what a field promises


def mutated(data: bytes, chance: random.Random, pieces: list[bytes]) -> bytes:
    """The data with some bytes changed, cut out, doubled or replaced by a piece of the format."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.randrange(len(result) + 1) for _ in range(2))
        way = chance.randrange(5)
        if way == 0 and result:
            result[at % len(result)] = chance.randrange(256)
        elif way == 1:
            del result[at : min(end, at + 20)]
        elif way == 2:
            result[at:at] = result[at : min(end, at + 50)]
        elif way == 3:
            result[at : at + chance.randrange(3)] = chance.choice(pieces)
        else:
            del result[at + len(result) // 2 :]
    return bytes(result)


def survives(data: bytes, read: Callable[[bytes], object]) -> bool:
    """Whether the data were read; any error but a `ModelError` of one line fails the test."""
    message = ""
    try:
        read(data)
    except ModelError as error:
        message = str(error)
    assert "\n" not in message
    return not message


def test_mutated_caffemodels_are_read_or_refused() -> None:
    chance = random.Random(1)
    layers: dict[str, list[NDArray[Any]]] = {"conv": [np.ones((2, 3, 1, 1)), np.ones(2)], "fc": [np.ones((2, 2))]}
    old = field(2, 2, field(4, 2, b"c") + field(6, 2, field(1, 0, b"\x01") + field(5, 5, floats(1)) * 3))
    whole = [write_caffemodel(layers), write_caffemodel(layers, half=True), old, model_with(shaped(3) + old)]
    pieces = [
        b"\x00",
        b"\xff" * 9,
        b"\x80",
        b"\x2d",
        b"\x2a\x04",
        b"\xa2\x06",
        b"\x3a",
        b"\x62\x02",
        b"\x42\x08",
        b"\x0a",
    ]
    read = 0
    for _ in range(6000):
        read += survives(mutated(chance.choice(whole), chance, pieces), read_caffemodel)
    assert 0 < read < 6000


def test_mutated_prototxts_are_read_or_refused(tmp_path: Path) -> None:
    chance = random.Random(2)
    prototxt, _ = painted_network(tmp_path, COCO)
    text, weights = (
        prototxt.read_bytes()[:1500],
        {"ramps": [np.ones((41, 3, 1, 1), np.float32), np.ones(41, np.float32)]},
    )
    pieces = [
        b"{",
        b"}",
        b"[",
        b"<",
        b'"',
        b"'",
        b"\\",
        b"#",
        b": ",
        b"layer {",
        b"-",
        b"1e999",
        b"0x",
        b"\xed\xa0\x80",
        b"\0",
    ]

    def use(data: bytes) -> None:
        message = parse_prototxt(data.decode("utf-8", chance.choice(["replace", "surrogateescape"])))
        assert parse_prototxt(format_prototxt(message)).keys() == message.keys()
        output_layers(message)
        check_weights(message, weights)

    for _ in range(2000):
        survives(mutated(text, chance, pieces), use)


def test_random_bytes_are_read_or_refused() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        data = chance.randbytes(chance.randrange(60))
        survives(data, read_caffemodel)
        survives(data, lambda data: parse_prototxt(data.decode("latin-1")))


# --- networks -------------------------------------------------------------------------------------------------------


def test_outputs_are_the_layers_whose_result_nobody_takes() -> None:
    text = """
        input: "image" input_dim: [1, 3, 8, 8]
        layer { name: "c1" type: "Convolution" bottom: "image" top: "x" }
        layer { name: "r1" type: "ReLU" bottom: "x" top: "x" }
        layer { name: "heat" type: "Convolution" bottom: "x" top: "h" }
        layer { name: "field" type: "Convolution" bottom: "x" top: "f" }
        layer { name: "slopes" type: "PReLU" bottom: "f" top: "f" }
        layer { name: "loss" bottom: "h" top: "loss" include { phase: TRAIN } }"""
    message = parse_prototxt(text)
    assert output_layers(message) == ["heat", "slopes"]
    assert len(layers_of(message)) == 5


def test_opencv_names_the_same_outputs(tmp_path: Path) -> None:
    pair = painted_network(tmp_path, COCO, outputs="split")
    prototxt, network = pair[0], read_by_opencv(*pair)
    assert sorted(output_layers(read_prototxt(prototxt))) == sorted(network.getUnconnectedOutLayersNames())


def one_layer(kind: str, options: str, bottom: str = 'bottom: "x"') -> str:
    return f'layer {{ name: "a" type: "{kind}" {bottom} top: "a" {options} }}'


CONVOLUTION = one_layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 group: 2 }")


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        (CONVOLUTION, [(4, 5, 3, 3), (4,)]),
        (CONVOLUTION, [(4, 5, 3, 3), (1, 1, 1, 4)]),
        (
            one_layer("Convolution", "convolution_param { num_output: 4 kernel_h: 3 kernel_w: 1 bias_term: false }"),
            [(4, 2, 3, 1)],
        ),
        (
            one_layer("Deconvolution", "convolution_param { num_output: 4 kernel_size: 2 group: 4 }"),
            [(4, 1, 2, 2), (4,)],
        ),
        (one_layer("InnerProduct", "inner_product_param { num_output: 3 }"), [(3, 7), (3,)]),
        (one_layer("InnerProduct", "inner_product_param { num_output: 3 }"), [(1, 1, 3, 7), (1, 1, 1, 3)]),
        (one_layer("InnerProduct", "inner_product_param { num_output: 3 transpose: true }"), [(7, 3), (3,)]),
        (one_layer("PReLU", ""), [(8,)]),
        (one_layer("BatchNorm", ""), [(8,), (8,), (1,)]),
        (one_layer("Scale", "scale_param { bias_term: true }"), [(8,), (8,)]),
        (one_layer("Scale", "", 'bottom: "x" bottom: "y"'), []),
        (one_layer("ReLU", ""), []),
        (
            'layers { name: "a" type: INNER_PRODUCT inner_product_param { num_output: 3 } }',
            [(1, 1, 3, 7), (1, 1, 1, 3)],
        ),
    ],
)
def test_weights_that_belong_to_a_layer_pass_and_none_do_not(text: str, shapes: list[tuple[int, ...]]) -> None:
    message = parse_prototxt(text)
    check_weights(message, {"a": [np.zeros(shape, np.float32) for shape in shapes]})
    if shapes:
        with pytest.raises(ModelError, match="'a' has no weights"):
            check_weights(message, {"b": []})


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([(5, 5, 3, 3), (5,)], "shape 5 x 5 x 3 x 3 and needs 4 x any x 3 x 3"),
        ([(4, 5, 1, 1), (4,)], "needs 4 x any x 3 x 3"),
        ([(4, 5, 3, 3), (5,)], "shape 5 and needs 4"),
        ([(4, 45), (4,)], "shape 4 x 45"),
        ([(4, 5, 3, 3)], "1 blobs of weights and needs 2"),
    ],
)
def test_weights_of_another_shape_are_named(shapes: list[tuple[int, ...]], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        check_weights(parse_prototxt(CONVOLUTION), {"a": [np.zeros(shape, np.float32) for shape in shapes]})


@pytest.mark.parametrize("options", ["num_output: 4", "num_output: 4 kernel_size: 3 group: 3", "kernel_size: 3"])
def test_a_convolution_without_a_meaning_is_named(options: str) -> None:
    message = parse_prototxt(one_layer("Convolution", f"convolution_param {{ {options} }}"))
    with pytest.raises(ModelError, match="groups and a kernel"):
        check_weights(message, {})


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return painted_network(tmp_path / "good", COCO)


def test_a_good_pair_is_read_under_any_names(tmp_path: Path, pair: Pair) -> None:
    prototxt, caffemodel = (
        path.rename(tmp_path / name) for path, name in zip(pair, ("a b.txt", "\u00e4.bin"), strict=True)
    )
    message, weights = read_pair(prototxt, caffemodel)
    assert {layer["name"][0] for layer in layers_of(message)} > weights.keys()
    assert output_layers(message) == ["net_output"]


def test_every_broken_pair_is_named_in_one_line_with_its_file(tmp_path: Path, pair: Pair) -> None:
    for fault, (prototxt, caffemodel, words) in broken_pairs(tmp_path / "broken", pair).items():
        with pytest.raises(ModelError) as raised:
            read_pair(prototxt, caffemodel)
        message = str(raised.value)
        assert words in message, fault
        assert "\n" not in message, fault
        assert str(prototxt) in message or str(caffemodel) in message, fault


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path, pair: Pair) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="not a file"):
        read_pair(pair[0], tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root and Windows read every file")
def test_a_file_without_permission_is_named(pair: Pair) -> None:
    pair[1].chmod(0)
    with pytest.raises(ModelError, match="cannot be read"):
        read_pair(*pair)


def test_a_name_that_no_file_can_have_is_named(pair: Pair) -> None:
    with pytest.raises(ModelError, match=r"missing|cannot be read"):
        read_pair(Path("a\0b"), pair[1])


def test_a_text_of_many_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.prototxt"
    path.write_text("# comment\n" * 500_000)
    with pytest.raises(ModelError, match="more than 4 MB"):
        read_prototxt(path)


# --- with OpenCV ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_opencv_computes_with_the_written_weights(tmp_path: Path, half: bool) -> None:
    network = Layers()
    network.add("image", "Input", [], input_param={"shape": [{"dim": [1, 3, 4, 4]}]})
    weights = np.random.default_rng(4).normal(size=(2, 3, 1, 1)).astype(np.float16)
    network.convolution("conv", "image", weights, np.array([0.5, -0.5]))
    del network.layers[0]["bottom"]
    prototxt, caffemodel = network.write(tmp_path)
    caffemodel.write_bytes(write_caffemodel(network.weights, half=half))
    read_pair(prototxt, caffemodel)
    net = read_by_opencv(prototxt, caffemodel)
    blob = np.random.default_rng(5).normal(size=(1, 3, 4, 4)).astype(np.float32)
    net.setInput(blob)
    bias = np.array([0.5, -0.5])[:, None, None]
    expected = np.einsum("oi,ihw->ohw", weights[:, :, 0, 0].astype(np.float32), blob[0]) + bias
    np.testing.assert_allclose(net.forward()[0], expected, atol=1e-5)


def test_half_floats_are_stored_as_opencv_stores_them(tmp_path: Path, pair: Pair) -> None:
    if not hasattr(cv2.dnn, "shrinkCaffeModel"):
        pytest.skip("this OpenCV writes no caffemodels")
    cv2.dnn.shrinkCaffeModel(str(pair[1]), str(tmp_path / "half.caffemodel"))
    theirs = read_caffemodel((tmp_path / "half.caffemodel").read_bytes())
    ours = read_caffemodel(write_caffemodel(read_pair(*pair)[1], half=True))
    assert theirs.keys() == ours.keys()
    for name in ours:
        for a, b in zip(theirs[name], ours[name], strict=True):
            np.testing.assert_array_equal(a, b)


@needs_light_coco
def test_a_real_network_is_read_whole() -> None:
    message, weights = read_pair(LIGHT_COCO / "pose.prototxt", LIGHT_COCO / "pose.caffemodel")
    assert len(layers_of(message)) == 121  # its README: 120 layers after the input, 4,099,058 parameters
    assert sum(blob.size for blobs in weights.values() for blob in blobs) == 4_099_058
    assert output_layers(message) == ["net_output"]
    assert parse_prototxt(format_prototxt(message)) == message


def test_the_reader_needs_no_opencv() -> None:
    source = Path(caffe.__file__).read_text(encoding="utf-8")
    imports = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imports - set(sys.stdlib_module_names) == {"numpy", "posecv"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('layer { name: "a" type: "CPMData" top: "data" }', "'a' of type CPMData.*deploy"),
        ('layer { name: "a" type: "EuclideanLoss" bottom: "x" }', "'a' of type EuclideanLoss.*deploy"),
        ('layers { name: "a" type: 4 bottom: "x" top: "y" }', "'a' has its type as the number 4"),
        ('layer { name: "a" type: "Convolution" convolution_param { num_output: 8.0 } }', "num_output: 8.0; write it"),
        ('layer { name: "a" type: "Convolution" convolution_param { pad: 1e0 } }', "pad: 1.0; write it"),
        ('layer { name: "a" type: "Pooling" pooling_param { kernel_size: 2. } }', "kernel_size: 2.0; write it"),
    ],
)
def test_a_prototxt_for_training_or_other_readers_is_told_what_to_change(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.prototxt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=words):
        read_prototxt(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_prototxt_in_utf_16_is_told_to_be_saved_as_utf_8(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.prototxt"
    path.write_text('layer { name: "a" type: "ReLU" }', encoding=encoding)
    with pytest.raises(ModelError, match=r"UTF-16.*save it as UTF-8"):
        read_prototxt(path)
