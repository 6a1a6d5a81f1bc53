"""A network's first stages run alone and give their own maps, in every engine.

The tiny networks here have one feature, f: the blue of each block's first pixel. Their maps follow a rule: those of the
first stage are a number times f for each channel, each later stage halves them and adds its number times f. The
heatmaps of the BODY_25 kind take a quarter of the first field as well.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import forward
from conftest import REPOSITORY, RunScript
from networks import Layers, Pair
from posecv.arrays import Array
from posecv.engines import ENGINES, Engine, fastest
from posecv.engines.network import load_network
from posecv.errors import UsageError
from posecv.formats import conversion, onnx
from posecv.formats.caffe import format_prototxt, layers_of, parse_prototxt, read_pair, read_prototxt
from posecv.formats.stages import count_stages, first_stages
from posecv.models import Model
from posecv.skeletons import BODY_25, COCO, HAND

PACKAGES = {"opencv": "cv2", "opencv-thin": "cv2", "onnxruntime": "onnxruntime", "openvino-float32": "openvino"}


# ------------------------------------------------------------------------------------------------- tiny networks


def numbers(channels: int, sign: int = 1) -> NDArray[Any]:
    """Of each channel, in a column."""
    return sign * np.arange(1, channels + 1)[:, None] / 64


def add_maps(network: Layers, name: str, parts: Sequence[tuple[str, NDArray[Any]]]) -> str:
    """Maps that are a sum over their sources of (channels, channels of the source) weights times the source."""
    bottom = parts[0][0]
    if len(parts) > 1:
        bottom = network.add(f"into_{name}", "Concat", [source for source, _ in parts], concat_param={"axis": [1]})
    matrix = np.hstack([weights for _, weights in parts])
    kernel = np.zeros((*matrix.shape, 7, 7), np.float32)
    kernel[:, :, 3, 3] = matrix
    network.weights[name] = [kernel, np.zeros(len(kernel), np.float32)]
    sizes = {"num_output": [len(kernel)], "kernel_size": [7], "pad": [3]}
    return network.add(name, "Convolution", [bottom], convolution_param=sizes)


def with_feature() -> Layers:
    network = Layers()
    network.add("image", "Input", [], input_param={"shape": [{"dim": [1, 3, 368, 368]}]})
    pixel = np.zeros((1, 3, 8, 8))
    pixel[0, 0, 0, 0] = 1
    network.convolution("feature", "image", pixel, np.zeros(1), stride=8)
    network.relu("feature")
    return network


def blob() -> Array:
    return np.random.default_rng(5).uniform(0.1, 1, (1, 3, 32, 48)).astype(np.float32)


def refined(first: NDArray[Any], feature: NDArray[Any], stages: int) -> NDArray[Any]:
    """The maps after that many stages, by the rule."""
    maps = first
    for stage in range(2, stages + 1):
        maps = maps / 2 + stage * feature
    return maps


def stages_together(folder: Path, stages: int, *, split: bool = False) -> Pair:
    """A pair of the COCO kind: fields and heatmaps side by side, the first stage without a number in its names."""
    network, counts = with_feature(), {"L1": COCO.channels - COCO.heatmaps, "L2": COCO.heatmaps}
    tops = {
        kind: add_maps(network, f"conv5_5_CPM_{kind}", [("feature", numbers(count, -1 if kind == "L1" else 1))])
        for kind, count in counts.items()
    }
    for stage in range(2, stages + 1):
        before = dict(tops)
        for kind, count in counts.items():
            halves = {each: np.eye(count) / 2 if each == kind else np.zeros((count, counts[each])) for each in counts}
            parts = [(before[each], halves[each]) for each in counts]
            name = f"Mconv7_stage{stage}_{kind}"
            tops[kind] = add_maps(network, name, [*parts, ("feature", np.full((count, 1), stage))])
    if not split:
        network.add(f"concat_stage{stages + 1}", "Concat", [tops["L2"], tops["L1"]], concat_param={"axis": [1]})
    return network.write(folder)


def stages_in_turn(folder: Path, fields: int, heats: int) -> Pair:
    """A pair of the BODY_25 kind: fields first, counted from 0, then heatmaps that look at the last fields."""
    network, count, pairs = with_feature(), BODY_25.heatmaps, BODY_25.channels - BODY_25.heatmaps
    paf = add_maps(network, "Mconv7_stage0_L2", [("feature", numbers(pairs, -1))])
    for stage in range(2, fields + 1):
        parts = [("feature", np.full((pairs, 1), stage)), (paf, np.eye(pairs) / 2)]
        paf = add_maps(network, f"Mconv7_stage{stage - 1}_L2", parts)
    quarter = np.zeros((count, pairs))
    quarter[:, 0] = 1 / 4
    heat = add_maps(network, "Mconv7_stage0_L1", [("feature", numbers(count)), (paf, quarter)])
    for stage in range(2, heats + 1):
        parts = [("feature", np.full((count, 1), stage)), (heat, np.eye(count) / 2), (paf, np.zeros((count, pairs)))]
        heat = add_maps(network, f"Mconv7_stage{stage - 1}_L1", parts)
    network.add("net_output", "Concat", [heat, paf], concat_param={"axis": [1]})
    return network.write(folder)


def stages_of_a_hand(folder: Path, stages: int) -> Pair:
    """A pair of the hand's kind: one kind of maps, and a Sigmoid of them at the end."""
    network, count = with_feature(), HAND.heatmaps
    top = add_maps(network, "conv6_2_CPM", [("feature", numbers(count))])
    for stage in range(2, stages + 1):
        parts = [(top, np.eye(count) / 2), ("feature", np.full((count, 1), stage))]
        top = add_maps(network, f"Mconv7_stage{stage}", parts)
    network.add("net_output", "Sigmoid", [top])
    return network.write(folder)


def expected_together(feature: NDArray[Any], stages: int) -> NDArray[Any]:
    heat, paf = (COCO.heatmaps, 1), (COCO.channels - COCO.heatmaps, -1)
    return np.concatenate([refined(numbers(*kind)[:, :, None] * feature, feature, stages) for kind in (heat, paf)])


# ------------------------------------------------------------------------------------------------- what stages are

COUNTS = {"coco": 6, "mpi": 6, "mpi_4_stages": 4, "hand": 6, "face": 6, "body_25": 4, "light_body": 1, "light_hand": 1}


@pytest.mark.parametrize("name", COUNTS)
def test_the_stages_of_the_known_networks_are_counted(name: str) -> None:
    assert count_stages(read_prototxt(REPOSITORY / "models" / name / "pose.prototxt")) == COUNTS[name]


def test_mpi_cut_to_four_stages_is_its_network_of_four_stages() -> None:
    six, four = (read_prototxt(REPOSITORY / "models" / name / "pose.prototxt") for name in ("mpi", "mpi_4_stages"))
    assert layers_of(first_stages(six, 4)) == layers_of(four)


@pytest.mark.parametrize("name", COUNTS)
def test_all_stages_are_the_network_itself(name: str) -> None:
    message = read_prototxt(REPOSITORY / "models" / name / "pose.prototxt")
    assert first_stages(message, COUNTS[name]) == first_stages(message, None) == message


def test_layers_of_later_stages_are_gone_and_others_stay() -> None:
    message = read_prototxt(REPOSITORY / "models" / "coco" / "pose.prototxt")
    names = [layer["name"][0] for layer in layers_of(first_stages(message, 2))]
    expected = [layer["name"][0] for layer in layers_of(message)]
    assert names == [name for name in expected if not any(f"stage{number}" in name for number in (3, 4, 5, 6))]


def test_an_old_prototxt_keeps_its_own_spelling(tmp_path: Path) -> None:
    prototxt, _ = stages_of_a_hand(tmp_path, 3)
    message = read_prototxt(prototxt)
    old = {"layers": message["layer"], "name": ["old"]}
    cut = first_stages(old, 2)
    assert cut["name"] == ["old"]
    assert cut["layers"] == first_stages(message, 2)["layer"]
    assert parse_prototxt(format_prototxt(cut)) == cut


# ------------------------------------------------------------------------------------------------- what they give


@pytest.fixture(params=PACKAGES)
def engine(request: pytest.FixtureRequest) -> str:
    package = PACKAGES[request.param]
    pytest.importorskip(package, reason=f"the package {package} is not installed")
    return str(request.param)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("stages", [1, 2, 3, None])
def test_fields_and_heatmaps_of_a_stage_side_by_side(
    engine: str, stages: int | None, split: bool, tmp_path: Path
) -> None:
    pair = stages_together(tmp_path, 3, split=split)
    maps = load_network(*pair, engine=engine, device="cpu", stages=stages).maps(blob())
    feature = blob()[0, 0, ::8, ::8]
    np.testing.assert_allclose(maps, expected_together(feature, stages or 3), atol=1e-4)


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_heatmaps_look_at_the_fields_of_the_last_stage_that_stays(engine: str, stages: int, tmp_path: Path) -> None:
    pair = stages_in_turn(tmp_path, 4, 2)
    maps = load_network(*pair, engine=engine, device="cpu", stages=stages).maps(blob())
    feature = blob()[0, 0, ::8, ::8]
    paf = refined(numbers(BODY_25.channels - BODY_25.heatmaps, -1)[:, :, None] * feature, feature, stages)
    first = numbers(BODY_25.heatmaps)[:, :, None] * feature + paf[0] / 4
    heat = refined(first, feature, min(stages, 2))
    np.testing.assert_allclose(maps, np.concatenate([heat, paf]), atol=1e-4)


@pytest.mark.parametrize("stages", [1, 3, 6])
def test_what_comes_after_the_last_maps_comes_after_those_of_the_stage(
    engine: str, stages: int, tmp_path: Path
) -> None:
    pair = stages_of_a_hand(tmp_path, 6)
    maps = load_network(*pair, engine=engine, device="cpu", stages=stages).maps(blob())
    feature = blob()[0, 0, ::8, ::8]
    logits = refined(numbers(HAND.heatmaps)[:, :, None] * feature, feature, stages)
    np.testing.assert_allclose(maps, 1 / (1 + np.exp(-logits)), atol=1e-4)


def test_what_engines_are_given_holds_no_later_stage(tmp_path: Path) -> None:
    pair = stages_together(tmp_path, 4)
    whole, cut = (conversion.convert_pair(*pair, stages=stages) for stages in (None, 2))
    later = {name for name in onnx.node_names(whole) if "stage3" in name or "stage4" in name}
    assert len(later) >= 8
    assert not later.intersection(onnx.node_names(cut))
    assert len(cut) < len(whole) / 2  # 1 + 1 of 1 + 3 refinements


def test_kept_conversions_tell_stages_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "kept"))
    kept = partial(conversion.kept_or_converted, *stages_of_a_hand(tmp_path, 3), small=0)
    made = {(stages, thin): kept(stages=stages, thin=thin) for stages in (None, 1, 2) for thin in (False, True)}
    again = {(stages, thin): kept(stages=stages, thin=thin) for stages, thin in made}
    assert again == made
    assert len(set(made.values())) == len(os.listdir(tmp_path / "kept" / "onnx")) == 6


def test_engines_are_compared_for_each_number_of_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "kept"))
    for name in ("opencv", "onnxruntime"):
        engine = Engine(name, ("maps",), lambda blob: [blob])
        monkeypatch.setitem(ENGINES, name, lambda *_, engine=engine: engine)
    prototxt, caffemodel = stages_of_a_hand(tmp_path, 2)
    for stages in (None, 1, 2, 1):
        model = Model("hand", prototxt, caffemodel, stages=stages)
        fastest.load_fastest(model, 32, 48, versions={"opencv": "1", "onnxruntime": "1"})
    assert len(os.listdir(tmp_path / "kept" / "engines")) == 3


# ------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("stages", [0, -1, 4])
def test_stages_that_are_not_there_are_told_how_many_there_are(stages: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"stages={stages}: pose has 3 stages: give 1 to 3"):
        load_network(*stages_together(tmp_path, 3), device="cpu", stages=stages)


def test_a_network_of_one_stage_says_so() -> None:
    with pytest.raises(UsageError, match="light_body has one stage"):
        load_network("light_body", device="cpu", stages=2)
    assert load_network("light_body", device="cpu", engine="opencv", stages=1).model.stages == 1


def test_an_onnx_file_runs_whole(tmp_path: Path) -> None:
    path = tmp_path / "pose.onnx"
    path.write_bytes(conversion.convert_pair(*stages_together(tmp_path, 2)))
    with pytest.raises(UsageError, match="ONNX file, which cannot be cut"):
        load_network(path, device="cpu", stages=1)


@pytest.mark.parametrize("script", ["run_pose.py", "run_multi_pose.py", "run_hand.py"])
def test_a_script_refuses_stages_that_are_not_there_in_one_line(
    script: str, run_script: RunScript, tmp_path: Path
) -> None:
    shutil.copy(REPOSITORY / "samples" / "hand.jpg", tmp_path / "a.jpg")
    done = run_script(script, "-i", "a.jpg", "--json", "a.json", "--stages", "3")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "has one stage" in done.stderr


def test_a_script_runs_the_first_stages(run_script: RunScript, tmp_path: Path) -> None:
    prototxt, caffemodel = stages_of_a_hand(tmp_path / "hand", 3)
    shutil.copy(REPOSITORY / "samples" / "hand.jpg", tmp_path / "a.jpg")
    words = ["-p", str(prototxt), "-m", str(caffemodel), "-i", "a.jpg", "--net-size", "32", "--json", "a.json"]
    done = run_script("run_hand.py", *words, "--stages", "2", "--engine", "opencv", "-v")
    assert done.returncode == 0, done.stderr
    assert "network pose (hand, 2 of its stages) runs on cpu with opencv" in done.stderr


def test_layers_of_one_name_and_numbers_of_any_length_are_no_mistake(tmp_path: Path) -> None:
    network = with_feature()
    add_maps(network, "maps", [("f", numbers(HAND.heatmaps))])
    add_maps(network, f"maps_stage{'9' * 5000}", [("maps", np.eye(HAND.heatmaps)), ("f", numbers(HAND.heatmaps))])
    last = network.layers[-1]
    network.layers.append({"name": last["name"], "type": ["ReLU"], "bottom": last["top"], "top": ["out"]})
    message = read_prototxt(network.write(tmp_path)[0])
    assert count_stages(message) == 2
    assert layers_of(first_stages(message, 1))


# ------------------------------------------------------------------------------------------------- how they are timed


def test_each_number_of_stages_is_a_row_of_the_benchmark(tmp_path: Path) -> None:
    prototxt, caffemodel = stages_of_a_hand(tmp_path, 3)
    table = forward.of_stages([f"{prototxt},{caffemodel}"], "opencv", blob(), rounds=2)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert [row[1] for row in rows] == ["1", "2", "3"]
    assert rows[-1][3] == "1.0"  # as fast as itself


def test_random_weights_fit_convolutions_and_prelus(tmp_path: Path) -> None:
    network = with_feature()
    layer = {"name": ["prelu"], "type": ["PReLU"], "bottom": ["maps"], "top": ["maps"]}
    network.layers += [{**layers_of(read_prototxt(stages_of_a_hand(tmp_path, 1)[0]))[-2], "top": ["maps"]}, layer]
    prototxt, caffemodel = network.write(tmp_path)
    caffemodel.write_bytes(forward.random_weights(prototxt))
    _, weights = read_pair(prototxt, caffemodel)
    assert weights["prelu"][0].shape == (HAND.heatmaps,)
    assert weights["conv6_2_CPM"][0].shape == (HAND.heatmaps, 1, 7, 7)
