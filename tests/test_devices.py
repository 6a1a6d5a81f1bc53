"""Devices are refused where they are known not to work, and a network that falls back to the CPU is told of.

No GPU is needed: what OpenCV says about one is put into its mouth. Where OpenCV has OpenCL for networks, it runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from networks import Pair, packed_network, painted_network, read_by_opencv
from posecv.arrays import Array
from posecv.engines import ENGINES, Engine
from posecv.engines.devices import DEVICES, choose_device, fallen_back
from posecv.engines.network import load_network
from posecv.errors import DeviceError
from posecv.models import Model
from posecv.skeletons import COCO, HAND


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return painted_network(tmp_path / "pair", HAND)


def opencv_with(*devices: str, built: str = "", gpus: int = 0, opencl: Any = None) -> SimpleNamespace:
    """An OpenCV that lists these devices for networks, with this line in its build information."""
    listed = [DEVICES[device] for device in ("cpu", *devices)]
    return SimpleNamespace(
        __version__="4.14.0",
        getBuildInformation=lambda: f"General\n{built}\n",
        dnn=SimpleNamespace(
            getAvailableTargets=lambda backend: [target for each, target in listed if each == backend]
        ),
        cuda=SimpleNamespace(getCudaEnabledDeviceCount=lambda: gpus),
        ocl=SimpleNamespace(Device=SimpleNamespace(getDefault=lambda: opencl)),
    )


# ------------------------------------------------------------------------------------------- what is known beforehand


@pytest.mark.parametrize(
    ("built", "gpus", "listed", "words"),
    [
        ("  NVIDIA CUDA:  NO", 0, (), "build OpenCV from source"),
        ("  Python 3:  YES", 0, (), "build OpenCV from source"),
        ("  NVIDIA CUDA:  YES (ver 12.6, CUFFT)", 0, (), "nvidia-smi"),
        ("  NVIDIA CUDA:  YES (ver 12.6, CUFFT)", -1, (), "nvidia-smi"),
        ("  NVIDIA CUDA:  YES (ver 12.6, CUFFT)", 1, (), "CUDA_ARCH_BIN"),
        ("  NVIDIA CUDA:  YES (ver 12.6, CUFFT)", 1, ("cuda",), "device=cuda,"),
    ],
)
def test_what_cuda_lacks_is_told(built: str, gpus: int, listed: tuple[str, ...], words: str) -> None:
    with pytest.raises(DeviceError, match=words) as error:
        choose_device("cuda-fp16", opencv_with(*listed, built=built, gpus=gpus))
    assert "\n" not in str(error.value)
    assert "or use device=cpu" in str(error.value)


@pytest.mark.parametrize(("kind", "allowed", "taken"), [(4, "", True), (2, "", False), (2, "1", True), (2, "0", False)])
def test_opencl_on_something_else_than_a_gpu_is_refused_unless_it_is_allowed(
    kind: int, allowed: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opencv = opencv_with("opencl", opencl=SimpleNamespace(type=lambda: kind, name=lambda: "pthread-EPYC"))
    monkeypatch.setenv("OPENCV_DNN_OPENCL_ALLOW_ALL_DEVICES", allowed)
    if taken:
        assert choose_device("opencl", opencv) == "opencl"
    else:
        with pytest.raises(DeviceError, match="only on GPUs, but its OpenCL device is pthread-EPYC"):
            choose_device("opencl", opencv)


# ----------------------------------------------------------------------------------------------- what is found later


@pytest.fixture
def on_cpu(pair: Pair) -> str:
    """What OpenCV tells of a network that ran on the CPU."""
    net = read_by_opencv(*pair)
    net.setInput(np.zeros((1, 3, 32, 32), np.float32))
    net.forward()
    dump = str(net.dump())
    if "OCV/CPU" not in dump:
        pytest.skip("this OpenCV's new engine, which knows the CPU alone, tells it in another way")
    return dump


def test_a_network_that_runs_where_it_should_needs_no_words(on_cpu: str) -> None:
    assert fallen_back(on_cpu, "cpu") == ""
    for device, runner in (("cuda", "CUDA/CUDA"), ("cuda-fp16", "CUDA/CUDA_FP16"), ("opencl", "OCV/OCL")):
        assert fallen_back(on_cpu.replace("OCV/CPU", runner), device) == ""


@pytest.mark.parametrize("device", ["cuda", "cuda-fp16", "opencl"])
def test_a_network_that_runs_on_the_cpu_is_told(on_cpu: str, device: str) -> None:
    assert fallen_back(on_cpu, device) == f"device={device}: OpenCV runs this network on the CPU instead"


def test_layers_that_run_on_the_cpu_are_counted_with_their_types(on_cpu: str) -> None:
    count = on_cpu.count("OCV/CPU")
    dump = on_cpu.replace("OCV/CPU", "CUDA/CUDA").replace("CUDA/CUDA", "OCV/CUDA", 2)
    found = fallen_back(dump, "cuda")
    assert found.startswith("device=cuda: ")
    assert f"of {count} layers run on the CPU instead" in found or f"of {count - 1} layers" in found
    assert "Convolution" in found


def test_opencv_5s_engine_which_does_not_tell_is_not_believed() -> None:
    dump = '{ model_format: "ONNX", layout: "NCHW", main_graph: { layers: [ Conv { strides: [2, 2] } ] } }'
    assert "does not report what runs on the GPU" in fallen_back(dump, "cuda")
    assert "on the CPU instead" in fallen_back(dump, "opencl")


def test_the_input_is_no_layer_of_the_network(on_cpu: str) -> None:
    entry = '\t"_input" [label="_input\\n__NetInputLayer__\\noutput: 1\\lOCV/CUDA\\n" fillcolor="#80b1d3"]\n'
    assert fallen_back(entry + on_cpu.replace("OCV/CPU", "CUDA/CUDA"), "cuda") == ""


def test_single_floats_in_place_of_half_ones_are_told(on_cpu: str) -> None:
    assert "computes in single precision" in fallen_back(on_cpu.replace("OCV/CPU", "CUDA/CUDA"), "cuda-fp16")


def test_a_device_that_is_none_is_found_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "opencl", DEVICES["cpu"])  # OpenCV that takes the CPU in silence
    monkeypatch.setattr(cv2.ocl, "Device", SimpleNamespace(getDefault=lambda: SimpleNamespace(type=lambda: 4)))
    for engine in ("auto", "opencv", "opencv-thin"):
        network = load_network(*pair, device="opencl", engine=engine)
        assert network.engine.warning == "device=opencl: OpenCV runs this network on the CPU instead"
    assert load_network(*pair, device="cpu").engine.warning == ""


# ---------------------------------------------------------------------------------------------------------- running


def test_a_gpu_has_seen_the_size_of_its_first_frame(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    load = ENGINES["opencv"]

    def watched(model: Model, device: str) -> Engine:
        engine = load(model, device)

        def forward(blob: Array) -> list[Array]:
            seen.append(blob.shape)
            return list(engine.forward(blob))

        return replace(engine, forward=forward)

    monkeypatch.setitem(ENGINES, "opencv", watched)
    load_network(*pair, device="cpu", engine="opencv", net_size="64x48")
    assert (1, 3, 48, 64) not in seen
    seen.clear()  # trial runs that recognise the network
    monkeypatch.setitem(DEVICES, "opencl", DEVICES["cpu"])
    monkeypatch.setattr(cv2.ocl, "Device", SimpleNamespace(getDefault=lambda: SimpleNamespace(type=lambda: 4)))
    load_network(*pair, device="opencl", net_size="64x48")
    assert seen.count((1, 3, 48, 64)) == 1


def test_opencl_gives_the_cpus_maps_where_it_is(tmp_path: Path) -> None:
    try:
        choose_device("opencl")
    except DeviceError as error:
        pytest.skip(str(error))
    pair = packed_network(tmp_path, COCO)
    blob = np.random.default_rng(7).uniform(-0.5, 0.5, (1, 3, 32, 48)).astype(np.float32)
    expected, found = (load_network(*pair, device=device, net_size="48x32") for device in ("cpu", "opencl"))
    np.testing.assert_allclose(found.maps(blob), expected.maps(blob), atol=1e-4)
    assert found.engine.warning == ""
