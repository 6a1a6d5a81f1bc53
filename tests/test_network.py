"""Loading networks: what is recognised, what is refused and how."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import networks
from conftest import REPOSITORY
from networks import (
    Layers,
    Outputs,
    Pair,
    broken_pairs,
    pack_maps,
    packed_network,
    paint_person,
    painted_network,
    standing_person,
)
from posecv.engines import Engine
from posecv.engines.network import DEVICES, choose_device, load_network
from posecv.errors import DeviceError, ModelError, PoseError, UsageError
from posecv.estimators.functions import estimate_people, estimate_person
from posecv.formats.caffe import format_prototxt, parse_prototxt, read_prototxt
from posecv.geometry import Preprocessing
from posecv.models import manifest
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI, MPI_4_STAGES, SKELETONS, Skeleton
from scenes import scene

Array = NDArray[np.float32]
FAULTS = (
    "prototxt missing", "prototxt empty", "prototxt folder", "prototxt binary", "prototxt page", "prototxt mark",
    "prototxt pointer", "prototxt cut short", "prototxt not a network", "caffemodel missing", "caffemodel empty",
    "caffemodel folder", "caffemodel text", "caffemodel page", "caffemodel pointer", "caffemodel archive",
    "caffemodel cut short", "swapped", "other shapes", "other names",
)  # fmt: skip


def plain_network(folder: Path, *channels: int, stride: int = 8) -> Pair:
    """A pair with as many outputs, each a convolution of an 8 x 8 picture block; output i is i + 1 everywhere."""
    network = Layers()
    network.add("image", "Input", [], input_param={"shape": [{"dim": [1, 3, 368, 368]}]})
    del network.layers[0]["bottom"]
    for index, count in enumerate(channels):
        kernel = np.zeros((count, 3, stride, stride))
        network.convolution(f"out{index}", "image", kernel, np.full(count, index + 1.0), stride=stride)
    return network.write(folder)


def blob(height: int = 32, width: int = 48) -> Array:
    return np.zeros((1, 3, height, width), np.float32)


def one_line(error: PoseError) -> str:
    """The message, which a person must be able to read: no trace of OpenCV's sources."""
    text = str(error)
    assert text
    assert "\n" not in text
    assert ".cpp" not in text
    return text


# ------------------------------------------------------------------------------------------------- what is recognised


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_skeleton_is_recognised_by_its_channels_and_its_last_stage(tmp_path: Path, skeleton: Skeleton) -> None:
    network = load_network(*painted_network(tmp_path, skeleton), device="cpu")
    assert network.skeleton is skeleton
    assert network.model.thresholds == skeleton.thresholds
    assert network.has_fields == bool(skeleton.paf_channels)
    assert network.maps(blob()).shape == (skeleton.channels, 4, 6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": None}, "model=None: give a model's name or the path of a file"),
        ({"model": 5}, "model=5: give a model's name"),
        ({"model": b"light_body"}, "model=b'light_body': give a model's name"),
        ({"caffemodel": 5}, "model=5: give a model's name or the path of a file"),
        ({"skeleton": 5}, "skeleton=5 is not a Skeleton"),
        ({"stages": "2"}, "stages='2' is not a whole number"),
        ({"scale": "1/256"}, "scale='1/256' is not a number"),
        ({"scale": (1.0, "2", 3.0)}, "scale='2' is not a number"),
        ({"mean": 128}, "mean=128: give three numbers"),
        ({"mean": (1.0, 2.0)}, r"mean=\(1.0, 2.0\): give three numbers"),
        ({"mean": (1.0, 2.0, None)}, "mean=None is not a number"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_one_line(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    prototxt, caffemodel = packed_network(tmp_path, COCO)
    with pytest.raises(UsageError, match=f"^{words}") as caught:
        load_network(**{"model": prototxt, "caffemodel": caffemodel, **settings})
    one_line(caught.value)


def test_the_prototxts_text_alone_tells_mpi_from_its_four_stages(tmp_path: Path) -> None:
    prototxt, caffemodel = packed_network(tmp_path, MPI_4_STAGES)
    assert load_network(prototxt, caffemodel).skeleton is MPI_4_STAGES
    text = prototxt.read_text(encoding="utf-8")
    # The name of a layer that takes no weights: a network of six stages has one.
    prototxt.write_text(text.replace('name: "net_output"', 'name: "Mconv7_stage6_concat"'), encoding="utf-8")
    assert load_network(prototxt, caffemodel).skeleton is MPI


def test_the_files_may_have_any_names(tmp_path: Path) -> None:
    prototxt, caffemodel = packed_network(tmp_path, COCO)
    other = shutil.copy(prototxt, tmp_path / "deploy.prototxt.txt"), shutil.copy(caffemodel, tmp_path / "net.bin")
    assert load_network(*map(Path, other)).skeleton is COCO
    assert load_network(*map(str, other)).model.name == "net"


def test_a_networks_maps_are_what_opencv_gives(tmp_path: Path) -> None:
    maps = scene("5 people").maps
    frame = pack_maps(maps)
    network = load_network(*packed_network(tmp_path, COCO), device="cpu")
    found = network.maps((frame.transpose(2, 0, 1)[None] / 256 - 0.5).astype(np.float32))
    np.testing.assert_allclose(found, maps, atol=1e-4)
    assert found.dtype == np.float32


@pytest.mark.parametrize("outputs", ["joined", "split"])
def test_the_maps_of_one_frame_outlive_the_next(tmp_path: Path, outputs: Outputs) -> None:
    """OpenCV may hand out its own memory."""
    network = load_network(*packed_network(tmp_path, COCO, outputs=outputs), device="cpu")
    first = network.maps(blob())
    before = first.copy()
    network.maps(blob() + 0.3)
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("channels", [(38, 19), (19, 38)])
def test_two_outputs_are_joined_with_the_heatmaps_first(tmp_path: Path, channels: tuple[int, int]) -> None:
    network = load_network(*plain_network(tmp_path, *channels), device="cpu")
    assert network.skeleton is COCO
    assert network.has_fields
    maps = network.maps(blob())
    value = {count: index + 1 for index, count in enumerate(channels)}
    assert (maps[:19] == value[19]).all()
    assert (maps[19:] == value[38]).all()
    assert len(maps) == 57


@pytest.mark.parametrize("skeleton", [COCO, MPI, MPI_4_STAGES, BODY_25], ids=repr)
def test_split_outputs_give_the_same_maps_as_joined_ones(tmp_path: Path, skeleton: Skeleton) -> None:
    joined = load_network(*packed_network(tmp_path / "joined", skeleton), device="cpu")
    split = load_network(*packed_network(tmp_path / "split", skeleton, outputs="split"), device="cpu")
    values = np.random.default_rng(2).random((1, 3, 32, 48)).astype(np.float32)
    np.testing.assert_allclose(split.maps(values), joined.maps(values), atol=1e-4)
    assert split.skeleton is skeleton


def test_heatmaps_alone_serve_one_person_and_are_refused_for_many(tmp_path: Path) -> None:
    network = load_network(*painted_network(tmp_path, COCO, outputs="heatmaps"), device="cpu")
    assert not network.has_fields
    assert network.skeleton.keypoints == COCO.keypoints
    frame = paint_person(np.zeros((368, 368, 3), np.uint8), standing_person(COCO, 180, 44), COCO)
    assert estimate_person(network, frame).found.all()
    with pytest.raises(ModelError, match="part affinity fields") as caught:
        estimate_people(network, frame)
    assert "run_pose.py" in one_line(caught.value)


def test_a_known_model_brings_its_constants_wherever_it_lies(tmp_path: Path, light_coco: Pair) -> None:
    prototxt, caffemodel = light_coco
    elsewhere = shutil.copy(prototxt, tmp_path / "a.prototxt"), shutil.copy(caffemodel, tmp_path / "b.caffemodel")
    model = load_network(*elsewhere).model
    (row,) = (row for row in manifest() if row.name == "light-coco")
    assert model.name == "light-coco"
    assert model.thresholds == row.thresholds != COCO.thresholds
    assert model.preprocessing == row.preprocessing != Preprocessing()
    assert model.person_score == row.person_score


def test_a_name_alone_finds_the_weights_through_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path))
    painted_network(tmp_path / "light-coco", COCO)  # its prototxt stands beside its weights
    for name in ("light-coco", "Light_COCO"):
        network = load_network(name)
        assert network.model.name == "light-coco"
        assert network.skeleton is COCO
        assert network.model.caffemodel == tmp_path / "light-coco" / "pose.caffemodel"


def test_weights_of_another_network_under_a_models_name_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path))
    painted_network(tmp_path / "hand", HAND)
    with pytest.raises(ModelError) as caught:
        load_network("hand")  # with the repository's own prototxt of OpenPose's network
    assert "hand" in one_line(caught.value)


def test_preprocessing_given_by_hand_is_used(tmp_path: Path) -> None:
    pair = packed_network(tmp_path, COCO)
    assert load_network(*pair).model.preprocessing == Preprocessing()
    given = load_network(*pair, scale=1 / 255, mean=(1, 2, 3), swap_rb=True).model.preprocessing
    assert given == Preprocessing(scale=1 / 255, mean=(1, 2, 3), swap_rb=True)
    assert load_network(*pair, scale=0.5).model.preprocessing == Preprocessing(scale=0.5)


def test_a_network_says_what_it_is(tmp_path: Path) -> None:
    assert repr(load_network(*packed_network(tmp_path, COCO), device="cpu")) == "<Network pose on cpu>"


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_a_network_tells_its_stride(stride: int, tmp_path: Path) -> None:
    network = load_network(*plain_network(tmp_path, 57, stride=stride), device="cpu")
    assert network.stride == stride
    assert network.maps(blob(64, 96)).shape == (57, 64 // stride, 96 // stride)


def test_keypoints_of_a_stride_of_4_lie_where_they_are_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "STRIDE", 4)
    monkeypatch.setattr(networks, "REACH", 2 * networks.REACH)  # in cells, which are half as large
    network = load_network(*painted_network(tmp_path, COCO), device="cpu", engine="opencv")
    assert network.stride == 4
    person = standing_person(COCO, 180, 44)
    frame = paint_person(np.zeros((368, 368, 3), np.uint8), person, COCO)
    twice = cv2.resize(frame, (736, 736), interpolation=cv2.INTER_NEAREST)
    for estimate in (estimate_person, estimate_people):
        for picture, size in ((frame, 1), (twice, 2)):
            people = estimate(network, picture)
            assert len(people) == 1
            assert people.found.all()
            # A pixel x becomes the pixels 2 x and 2 x + 1; then half a pixel is added, as OpenPose has it.
            expected = person[:, :2] * size + (size - 1) / 2 + 0.5
            away = np.hypot(*(people.keypoints[0, :, :2] - expected).T)
            assert away.max() < 0.6 * size


# ----------------------------------------------------------------------------------------------------- pickled


def test_a_pickled_network_gives_the_same_maps_in_another_process_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted_network(tmp_path / "pair", COCO, outputs="split")
    monkeypatch.chdir(tmp_path)
    network = load_network(Path("pair") / "pose.prototxt", Path("pair") / "pose.caffemodel", scale=1 / 200)
    thresholds = replace(network.model.thresholds, min_subset_cnt=7)
    network = replace(network, model=replace(network.model, thresholds=thresholds))
    monkeypatch.chdir(tmp_path.parent)
    data = pickle.dumps(network)
    here = pickle.loads(data)
    values = np.random.default_rng(2).random((1, 3, 32, 48)).astype(np.float32)
    np.testing.assert_array_equal(here.maps(values), network.maps(values))
    assert (here.model, here.outputs, here.has_fields) == (network.model, network.outputs, True)
    assert (here.stride, here.device, here.engine.name) == (network.stride, network.device, network.engine.name)
    (tmp_path / "network").write_bytes(data)
    np.save(tmp_path / "values.npy", values)
    code = (
        "import pickle, sys, numpy as np; from pathlib import Path; folder = Path(sys.argv[1]); "
        "network = pickle.loads((folder / 'network').read_bytes()); "
        "np.save(folder / 'maps.npy', network.maps(np.load(folder / 'values.npy')))"
    )
    (tmp_path / "elsewhere").mkdir()
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=tmp_path / "elsewhere", env=env, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "maps.npy"), network.maps(values))


def test_a_pickled_network_whose_files_are_gone_is_found_by_its_name(tmp_path: Path) -> None:
    prototxt, caffemodel = (REPOSITORY / "models" / "light_hand" / f"pose.{end}" for end in ("prototxt", "caffemodel"))
    moved = tmp_path / "a.prototxt", tmp_path / "b.caffemodel"
    shutil.copy(prototxt, moved[0])
    shutil.copy(caffemodel, moved[1])
    network = load_network(*moved, device="cpu")
    data = pickle.dumps(network)
    moved[1].unlink()
    again = pickle.loads(data)
    assert (again.model.name, again.model.caffemodel) == ("light_hand", caffemodel)
    np.testing.assert_array_equal(again.maps(blob()), network.maps(blob()))


def test_a_pickled_network_that_nobody_knows_by_name_needs_its_files(tmp_path: Path) -> None:
    pair = painted_network(tmp_path, COCO)
    data = pickle.dumps(load_network(*pair, device="cpu"))
    pair[0].unlink()
    with pytest.raises(ModelError, match=r"pose\.prototxt"):
        pickle.loads(data)


def test_a_network_in_an_engine_of_ones_own_cannot_be_pickled(tmp_path: Path) -> None:
    network = load_network(*packed_network(tmp_path, COCO), device="cpu")
    own = replace(network, engine=Engine("own", ("maps",), lambda values: [values]))
    with pytest.raises(TypeError, match="no engine is called own"):
        pickle.dumps(own)


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pair_that_is_no_good_is_named_as_what_it_is(tmp_path: Path, fault: str) -> None:
    prototxt, caffemodel, words = broken_pairs(tmp_path / "broken", packed_network(tmp_path, COCO))[fault]
    with pytest.raises(ModelError) as caught:
        load_network(prototxt, caffemodel)
    text = one_line(caught.value)
    if fault.endswith("missing"):
        assert "no such file" in text
    else:
        assert words in text
    assert prototxt.name in text or caffemodel.name in text


def test_every_fault_of_the_fixture_is_tried(tmp_path: Path) -> None:
    assert set(broken_pairs(tmp_path / "broken", packed_network(tmp_path, COCO))) == set(FAULTS)


@pytest.mark.parametrize("channels", [(10,), (38,), (56,), (58,), (19, 19)])
def test_an_unknown_number_of_channels_is_told_with_those_known(tmp_path: Path, channels: tuple[int, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        load_network(*plain_network(tmp_path, *channels))
    text = one_line(caught.value)
    assert " + ".join(map(str, channels)) in text
    for skeleton in (COCO, MPI, BODY_25, HAND, FACE):
        assert f"{skeleton.channels}" in text
    assert "posecv.Skeleton" in text  # no name would help


@pytest.mark.parametrize("skeleton", [COCO, BODY_25, HAND, FACE])
def test_keypoints_without_a_background_are_told_the_skeleton_that_they_fit(tmp_path: Path, skeleton: Skeleton) -> None:
    pair = plain_network(tmp_path, len(skeleton.keypoints))
    with pytest.raises(ModelError, match=f"give skeleton={skeleton.name}$"):
        load_network(*pair)
    assert load_network(*pair, skeleton=skeleton.name).skeleton is skeleton


@pytest.mark.parametrize("stride", [2, 32])
def test_maps_of_another_stride_are_refused(tmp_path: Path, stride: int) -> None:
    with pytest.raises(ModelError, match="stride of 4, 8, 16 are needed"):
        load_network(*plain_network(tmp_path, 57, stride=stride))


@pytest.mark.parametrize("skeleton", ["coco", "COCO", COCO])
def test_a_skeleton_that_is_asked_for_must_fit(tmp_path: Path, skeleton: str | Skeleton) -> None:
    assert load_network(*plain_network(tmp_path / "fits", 57), skeleton=skeleton).skeleton.keypoints == COCO.keypoints
    with pytest.raises(ModelError, match="10 channels") as caught:
        load_network(*plain_network(tmp_path / "does not", 10), skeleton=skeleton)
    assert "57" in one_line(caught.value)


def test_a_skeleton_of_ones_own_explains_any_number_of_channels(tmp_path: Path) -> None:
    own = Skeleton("cat", ("nose", "tail"), ((0, 1),), (3,), ((0, 0, 0),) * 2)
    network = load_network(*plain_network(tmp_path, 5), skeleton=own)
    assert network.skeleton is own
    assert network.has_fields


def test_the_stages_of_mpi_can_be_asked_for(tmp_path: Path) -> None:
    pair = plain_network(tmp_path, 44)
    assert load_network(*pair).skeleton is MPI
    network = load_network(*pair, skeleton="mpi_4_stages")
    assert network.skeleton is MPI_4_STAGES
    assert network.model.thresholds == MPI_4_STAGES.thresholds


def test_an_unknown_skeleton_is_told_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dog") as caught:
        load_network(*plain_network(tmp_path, 57), skeleton="dog")
    assert all(name in one_line(caught.value) for name in SKELETONS)


@pytest.mark.parametrize(
    "name", ["graph.pb", "weights.h5", "model.PT", "net.pth", "pose.tflite", "a.hdf5", "a.safetensors", "pose.xml"]
)
@pytest.mark.parametrize("with_prototxt", [False, True])
def test_files_of_other_frameworks_are_told_to_become_onnx(name: str, with_prototxt: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"any")
    (tmp_path / "pose.prototxt").write_text("")
    given = (tmp_path / "pose.prototxt", tmp_path / name) if with_prototxt else (tmp_path / name,)
    with pytest.raises(ModelError, match=rf"{name} is a file of \w+; .* ONNX"):
        load_network(*given)


@pytest.mark.parametrize(("channels", "layout"), [(97, "BODY_25B"), (439, "BODY_135")])
def test_openposes_layouts_that_are_not_supported_are_named(channels: int, layout: str, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=rf"{channels} channels, as OpenPose's {layout}, which posecv does not support"
    ):
        load_network(*plain_network(tmp_path, channels), device="cpu")


# ---------------------------------------------------------------------------------------------------------- devices


def lists(device: str) -> bool:
    backend, target = DEVICES[device]
    return target in cv2.dnn.getAvailableTargets(backend)


def test_auto_is_cuda_only_where_opencv_lists_it(tmp_path: Path) -> None:
    def listing(*targets: int) -> SimpleNamespace:
        return SimpleNamespace(dnn=SimpleNamespace(getAvailableTargets=lambda backend: targets))

    assert load_network(*packed_network(tmp_path, COCO)).device == ("cuda" if lists("cuda") else "cpu")
    assert choose_device("auto", listing(cv2.dnn.DNN_TARGET_CPU)) == "cpu"
    assert choose_device("auto", listing(*(target for _, target in DEVICES.values()))) == "cuda"


@pytest.mark.parametrize(
    ("device", "remedy"), [("cuda", "WITH_CUDA"), ("cuda-fp16", "WITH_CUDA"), ("opencl", "driver")]
)
def test_a_device_that_is_not_there_is_told_how_to_get_it(
    device: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2.dnn, "getAvailableTargets", lambda backend: [cv2.dnn.DNN_TARGET_CPU])
    with pytest.raises(DeviceError, match=f"device={device}: ") as caught:
        load_network(*packed_network(tmp_path, COCO), device=device)
    text = one_line(caught.value)
    assert remedy in text
    assert "device=cpu" in text
    assert cv2.__version__ in text


def test_the_cpu_is_always_there(tmp_path: Path) -> None:
    assert load_network(*packed_network(tmp_path, COCO), device="cpu").device == "cpu"


def test_an_unknown_device_is_told_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tpu") as caught:
        load_network(*packed_network(tmp_path, COCO), device="tpu")
    assert all(name in one_line(caught.value) for name in DEVICES)


def test_a_network_that_fails_while_running_is_one_line(tmp_path: Path) -> None:
    network = load_network(*packed_network(tmp_path, COCO), device="cpu")
    with pytest.raises(ModelError) as caught:
        network.maps(np.zeros((1, 3, 48), np.float32))
    one_line(caught.value)


def test_fields_before_heatmaps_are_put_behind_them(tmp_path: Path) -> None:
    """The last Concat layer's inputs tell their order by their sizes."""
    prototxt, caffemodel = painted_network(tmp_path, COCO)
    usual = load_network(prototxt, caffemodel, engine="opencv", device="cpu")
    message = read_prototxt(prototxt)
    message["layer"][-1]["bottom"].reverse()
    other = tmp_path / "other.prototxt"
    other.write_text(format_prototxt(message), encoding="utf-8")
    swapped = load_network(other, caffemodel, engine="opencv", device="cpu")
    blob = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, 64, 64)).astype(np.float32)
    assert (usual.fields_first, swapped.fields_first) == (0, COCO.channels - COCO.heatmaps)
    for network in (swapped, pickle.loads(pickle.dumps(swapped))):
        np.testing.assert_allclose(network.maps(blob), usual.maps(blob), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "told"), [("dim: 1 dim: 4 dim: 8 dim: 8", "any x 4 x any x any"), ("", "unknown shape")]
)
def test_an_input_that_is_not_an_image_is_one_line_with_every_opencv(shape: str, told: str, tmp_path: Path) -> None:
    prototxt, caffemodel = painted_network(tmp_path, COCO)
    message = read_prototxt(prototxt)
    message["layer"][0]["input_param"] = [parse_prototxt(f"shape {{ {shape} }}")]
    prototxt.write_text(format_prototxt(message), encoding="utf-8")
    with pytest.raises(ModelError, match=f"has an input of {told}; any x 3 x any x any is needed"):
        load_network(prototxt, caffemodel, engine="opencv", device="cpu")
