"""The prototxts of OpenPose's networks against tests/openpose-architectures.tsv, a table of facts a layer a row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import pytest

from posecv.formats.caffe import parse_prototxt
from posecv.skeletons import SKELETONS
from tools import make_prototxts

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("coco", "mpi", "mpi_4_stages", "body_25", "hand", "face")
# The table's name where it differs.
TABLE_NAMES = {"mpi_4_stages": "mpi_faster_4_stages"}
# Counted from the trained networks' definitions, independent of the table's column of parameters.
PARAMETERS = {
    "coco": 52_311_446,
    "mpi": 51_481_032,
    "mpi_4_stages": 34_240_880,
    "body_25": 26_166_084,
    "hand": 36_832_324,
    "face": 38_425_706,
}


def read_table() -> dict[str, list[dict[str, str]]]:
    table: dict[str, list[dict[str, str]]] = {}
    with (ROOT / "tests" / "openpose-architectures.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            table.setdefault(row["model"], []).append(row)
    return table


TABLE = read_table()


def facts(name: str) -> list[dict[str, str]]:
    return TABLE[TABLE_NAMES.get(name, name)]


def written(name: str) -> str:
    return (ROOT / "models" / name / "pose.prototxt").read_text(encoding="utf-8")


def row_of_layer(layer: dict[str, list[Any]]) -> dict[str, str]:
    """What a layer of a prototxt says, in the table's words; Caffe's defaults where it says nothing."""
    row = {"layer": layer["name"][0], "type": layer["type"][0]}
    row |= {"bottoms": ",".join(layer.get("bottom", [])), "tops": ",".join(layer["top"])}
    settings = layer.get("convolution_param") or layer.get("pooling_param")
    if settings:
        numbers = {"kernel_size": "", "pad": 0, "stride": 1} | {key: value[0] for key, value in settings[0].items()}
        row |= {"kernel": str(numbers["kernel_size"]), "pad": str(numbers["pad"]), "stride": str(numbers["stride"])}
        row["num_output"] = str(numbers.get("num_output", ""))
        assert set(numbers) <= {"kernel_size", "pad", "stride", "num_output", "pool"}
        assert numbers.get("pool", "MAX") == "MAX"
    assert layer.get("concat_param", [{"axis": [1]}])[0]["axis"] == [1]
    return row


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_the_prototxt_is_the_tables(name: str) -> None:
    layers = parse_prototxt(written(name))["layer"]
    for layer, fact in zip(layers, facts(name), strict=True):
        row = row_of_layer(layer)
        assert row == {column: fact[column] for column in row}


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_has_the_tables_channels_and_parameters(name: str) -> None:
    layers = make_prototxts.NETWORKS[name]
    channels, parameters = make_prototxts.channels(layers), make_prototxts.parameters(layers)
    for fact in facts(name):
        if fact["type"] in ("Convolution", "Concat"):
            at = next(layer for layer in layers if layer.name == fact["layer"])
            assert (at.outputs or sum(channels[bottom] for bottom in at.bottoms)) == int(fact["num_output"])
        assert parameters.get(fact["layer"], 0) == int(fact["params"] or 0), fact["layer"]


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_add_up_to_the_trained_networks(name: str) -> None:
    assert sum(make_prototxts.parameters(make_prototxts.NETWORKS[name]).values()) == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_output_has_the_skeletons_channels(name: str) -> None:
    layers = make_prototxts.NETWORKS[name]
    assert layers[-1].top == "net_output"
    assert make_prototxts.channels(layers)["net_output"] == SKELETONS[name].channels


@pytest.mark.parametrize("name", NAMES)
def test_opencv_reads_the_prototxt(name: str) -> None:
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        pytest.skip("this OpenCV has no Caffe importer")
    net = cv2.dnn.readNetFromCaffe(str(ROOT / "models" / name / "pose.prototxt"))
    *inner, last = [fact for fact in facts(name) if fact["type"] != "Input"]
    assert list(net.getLayerNames()[:-1]) == [fact["layer"] for fact in inner]
    assert net.getLayerNames()[-1] in (last["layer"], last["tops"])  # OpenCV renames a last convolution to its top


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_prototxt_is_what_the_tool_writes(name: str) -> None:
    assert written(name) == make_prototxts.prototxt(name, make_prototxts.NETWORKS[name])


def test_the_tool_writes_all_models_of_the_table(tmp_path: Path) -> None:
    make_prototxts.main(tmp_path)
    assert sorted(path.parent.name for path in tmp_path.glob("*/pose.prototxt")) == sorted(NAMES)
    assert len(TABLE) == len(NAMES)
