"""What the benchmarks of engines count and compute, and the program on a tiny network."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import engines, results
from benchmarks.macs import multiply_adds
from conftest import REPOSITORY
from networks import Layers, painted_network
from posecv.formats.caffe import parse_prototxt, read_prototxt
from posecv.models import Model
from posecv.skeletons import COCO


class Measured(engines.Worker):
    """A process that need not be started: its figures are given."""

    def __init__(self, turns: list[dict[str, float]]) -> None:
        self.turns, self.memory, self.version, self.count = turns, 100.0, "1.0", 0

    def turn(self) -> None:
        self.count += 1


# --------------------------------------------------------------------------------------------------- multiply-adds


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # 40 x 30 positions, of each of the 8 outputs a sum over 3 channels and 3 x 3 pixels
        ("convolution_param { num_output: 8 kernel_size: 3 pad: 1 }", 40 * 30 * 8 * 3 * 9),
        ("convolution_param { num_output: 8 kernel_size: 3 pad: 1 stride: 2 }", 20 * 15 * 8 * 3 * 9),
        ("convolution_param { num_output: 9 kernel_size: 5 pad: 2 group: 3 }", 40 * 30 * 9 * 25),
        ("convolution_param { num_output: 8 kernel_size: 3 dilation: 2 }", 36 * 26 * 8 * 3 * 9),
        ("convolution_param { num_output: 8 }", 40 * 30 * 8 * 3),
    ],
)
def test_a_convolution_is_its_sums_written_out(layer: str, expected: int) -> None:
    text = f'layer {{ name: "conv" type: "Convolution" bottom: "image" top: "conv" {layer} }}'
    assert multiply_adds(parse_prototxt(text), 40, 30) == expected


def test_a_deconvolution_lays_its_kernel_at_each_cell_of_its_input() -> None:
    text = """
        layer { name: "up" type: "Deconvolution" bottom: "image" top: "up"
                convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 group: 3 } }
        layer { name: "conv" type: "Convolution" bottom: "up" top: "conv" convolution_param { num_output: 5 } }"""
    assert multiply_adds(parse_prototxt(text), 40, 30) == 40 * 30 * 3 * 16 + 80 * 60 * 3 * 5


def test_pooling_rounds_up_and_concatenation_adds_channels() -> None:
    text = """
        layer { name: "pool" type: "Pooling" bottom: "image" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "pool" top: "pool" }
        layer { name: "both" type: "Concat" bottom: "pool" bottom: "pool" top: "both" }
        layer { name: "conv" type: "Convolution" bottom: "both" top: "conv" convolution_param { num_output: 5 } }"""
    assert multiply_adds(parse_prototxt(text), 41, 30) == 21 * 15 * 6 * 5


def test_openposes_coco_network_is_its_stages_written_out() -> None:
    """VGG's first ten layers, two more, a stage of 3 x 3 and five of 7 x 7 convolutions with two branches each."""
    cells = 32 * 43
    vgg = [(64, 3, 64), (64, 64, 64), (16, 64, 128), (16, 128, 128), (4, 128, 256), *[(4, 256, 256)] * 3]
    early = [*vgg, (1, 256, 512), (1, 512, 512), (1, 512, 256), (1, 256, 128)]
    total = sum(finer * cells * 9 * a * b for finer, a, b in early)
    for outputs in (38, 19):
        total += cells * (3 * 9 * 128 * 128 + 128 * 512 + 512 * outputs)
        total += 5 * cells * (49 * (185 + 4 * 128) * 128 + 128 * 128 + 128 * outputs)
    assert multiply_adds(read_prototxt(REPOSITORY / "models" / "coco" / "pose.prototxt"), 256, 344) == total


# ------------------------------------------------------------------------------------------------------------ rows


@pytest.fixture
def job(tmp_path: Path) -> engines.Job:
    """A convolution of 3 x 3 from 3 to 10 channels on a picture of 100 x 100: 2.7 million multiply-adds."""
    layers = Layers()
    layers.add("image", "Input", [], input_param={"shape": [{"dim": [1, 3, 8, 8]}]})
    layers.convolution("conv", "image", np.zeros((10, 3, 3, 3)), np.zeros(10))
    pair = layers.write(tmp_path)
    subject = engines.Subject("tiny", tuple(map(str, pair)), Model("tiny", *pair))
    return engines.Job(sys.executable, subject, "opencv", 100, 100)


def test_the_share_of_the_peak_is_two_operations_a_multiply_add_over_the_time(job: engines.Job) -> None:
    worker = Measured([{"network": ms, "decoding": 1.0, "total": ms + 2} for ms in (0.5, 0.25, 100.0)])
    row = engines.row(job, worker, start=0.75, first=2.0, peak=54.0)
    # 5.4 million operations in half a millisecond, the median, are 10.8 a nanosecond
    assert row["GFLOP/s"] == "11"
    assert row["of peak"] == "0.20"
    assert row["times as fast"] == "4.00"
    assert [row[name] for name in ("network ms", "decoding ms", "total ms")] == ["0.5", "1.00", "2.5"]


def test_what_was_not_measured_is_a_dash(job: engines.Job) -> None:
    row = engines.row(job, Measured([{"network": 1.0}]), start=1, first=math.nan, peak=1)
    assert row["decoding ms"] == row["total ms"] == row["times as fast"] == ""
    assert "| tiny | opencv | 1.0 | 1.0 | – | – | – | 1.00 |" in engines.page([row], "")


def test_rows_that_are_measured_again_replace_the_old_ones_and_keep_other_columns() -> None:
    old = [{"name": "a", "ms": "1", "AP": "0.5"}, {"name": "b", "ms": "2"}]
    rows = results.merged(old, [{"name": "a", "ms": "3"}, {"name": "c", "ms": "4"}], ["name"])
    assert rows == [{"name": "a", "ms": "3", "AP": "0.5"}, {"name": "b", "ms": "2"}, {"name": "c", "ms": "4"}]


def test_slow_networks_take_a_few_turns_only() -> None:
    workers = [Measured([]), Measured([])]
    engines.take_turns(workers, rounds=9, seconds=0)
    assert [worker.count for worker in workers] == [engines.LEAST] * 2


def test_further_interpreters_are_there_for_their_opencv_and_thin_ones_for_wide_networks(job: engines.Job) -> None:
    names = ["opencv", "opencv-thin", "openvino"]
    those = engines.jobs(job.subject, "96x128", ["one", "two"], names)
    assert [(each.python, each.engine) for each in those] == [
        ("one", "opencv"), ("one", "openvino"), ("two", "opencv"),
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------------------- program


def test_a_tiny_network_is_measured_from_start_to_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path))
    pair = ",".join(map(str, painted_network(tmp_path / "network", COCO)))
    out = tmp_path / "out"
    words = [str(out), "--models", pair, "--sizes", "96x128", "--engines", "opencv", "--quick", "--starts", "1"]
    assert engines.main(words) == 0
    with (out / "engines.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["model"], row["input"], row["engine"]) == ("network/pose", "96x128", "opencv")
    assert (row["version"], row["times as fast"]) == (cv2.__version__, "1.00")
    assert 0 < float(row["network ms"]) <= float(row["total ms"])
    assert float(row["start-up s"]) > 0
    assert capsys.readouterr().out in (out / "engines.md").read_text(encoding="utf-8")
    assert cv2.imread(str(out / "engines.png")) is not None


def test_an_engine_that_does_not_run_a_network_is_told_and_left_out(
    job: engines.Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny network gives no layout that is known."""
    assert engines.measure([job], rounds=1, seconds=0, peak=1.0) == []
    said = capsys.readouterr().err
    assert said.startswith("tiny: opencv is left out: ")
    assert "10 channels" in said or "shape (10, 32, 32)" in said
