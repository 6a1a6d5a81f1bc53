"""Engines give the same maps; `auto` takes the fastest that is installed and remembers it."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import REPOSITORY, RunScript
from networks import Pair, painted_network
from posecv.arrays import Array
from posecv.engines import ENGINES, Engine, fastest
from posecv.engines.network import load_network
from posecv.errors import DeviceError, ModelError, PoseError, UsageError
from posecv.estimators.functions import estimate_people
from posecv.formats import onnx
from posecv.formats.caffe import parse_prototxt
from posecv.models import Model
from posecv.skeletons import COCO

EXTRAS = {
    "opencv-thin": "cv2", "openvino": "openvino", "openvino-float32": "openvino", "onnxruntime": "onnxruntime",
}  # fmt: skip
EXTRA = pytest.mark.parametrize("engine", EXTRAS)
# Of maps up to 1; bfloat16 has 8 bits.
TOLERANCE = {"opencv-thin": 1e-4, "openvino": 0.02, "openvino-float32": 1e-4, "onnxruntime": 1e-4}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return painted_network(tmp_path / "pair", COCO, outputs="split")


def blob(height: int = 32, width: int = 48, seed: int = 3) -> Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (1, 3, height, width)).astype(np.float32)


def installed(engine: str) -> None:
    pytest.importorskip(EXTRAS[engine], reason=f"the package {EXTRAS[engine]} is not installed")


# ------------------------------------------------------------------------------------------------- the engines


@EXTRA
def test_an_engine_gives_opencvs_maps_in_every_size(engine: str) -> None:
    installed(engine)
    expected, found = (load_network("light_body", engine=name, device="cpu") for name in ("opencv", engine))
    assert found.engine.name == engine
    for size in ((64, 96), (96, 64), (64, 96)):
        np.testing.assert_allclose(found.maps(blob(*size)), expected.maps(blob(*size)), atol=TOLERANCE[engine])


@EXTRA
def test_an_engine_gives_both_outputs_in_the_skeletons_order(engine: str, pair: Pair) -> None:
    installed(engine)
    expected, found = (load_network(*pair, engine=name, device="cpu").maps(blob()) for name in ("opencv", engine))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[engine] * 5)  # its maps add up many values


@EXTRA
def test_an_engines_maps_outlive_the_next_frame(engine: str) -> None:
    installed(engine)
    network = load_network("light_hand", engine=engine, device="cpu")
    first = network.maps(blob())
    before = first.copy()
    network.maps(blob(seed=4))
    np.testing.assert_array_equal(first, before)


@EXTRA
def test_a_blob_that_does_not_fit_is_one_line(engine: str) -> None:
    installed(engine)
    network = load_network("light_hand", engine=engine, device="cpu")
    with pytest.raises(ModelError, match="cannot run this network") as error:
        network.maps(blob()[0])
    assert "\n" not in str(error.value)


@EXTRA
def test_a_photographs_people_are_opencvs(engine: str) -> None:
    installed(engine)
    frame = cv2.imread(str(REPOSITORY / "samples" / "player.jpg"))
    assert frame is not None
    expected, found = (
        estimate_people(load_network("light_body", engine=name, device="cpu"), frame) for name in ("opencv", engine)
    )
    assert len(found) == len(expected) == 1
    both = found.found & expected.found
    assert both.sum() >= expected.found.sum() - 1
    away = np.hypot(*(found.keypoints - expected.keypoints)[both][:, :2].T)
    assert np.median(away) < (1.5 if engine == "openvino" else 0.01)


@EXTRA
def test_an_engine_that_is_not_installed_is_named_with_its_package(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.startswith("opencv"):
        pytest.skip("OpenCV is always installed")
    monkeypatch.setitem(sys.modules, EXTRAS[engine], None)
    with pytest.raises(DeviceError, match=f"engine={engine}: .*pip install {EXTRAS[engine]}"):
        load_network("light_hand", engine=engine)


@EXTRA
def test_a_device_that_an_engine_does_not_know_is_refused(engine: str) -> None:
    installed(engine)
    if engine.startswith("opencv"):
        pytest.skip("OpenCV knows them all")
    with pytest.raises(DeviceError, match="opencl"):
        load_network("light_hand", engine=engine, device="opencl")


def test_an_unknown_engine_is_told_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="tensorrt") as error:
        load_network("light_hand", engine="tensorrt")
    assert all(name in str(error.value) for name in ("auto", *ENGINES))


def test_the_scripts_know_the_same_engines(run_script: RunScript) -> None:
    done = run_script("run_pose.py", "--engine", "tensorrt", "-i", "a.png")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert all(name in done.stderr for name in ("auto", *ENGINES))


def test_v_tells_the_engine(tmp_path: Path, run_script: RunScript) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    done = run_script("run_pose.py", "--engine", "opencv", "-v", "-i", "a.png", "--json", "a.json")
    assert done.returncode == 0, done.stderr
    assert "runs on cpu with opencv" in done.stderr


@pytest.mark.parametrize(("prototxt", "wide"), [("coco", True), ("body_25", False), ("light_body", False)])
def test_networks_of_7_by_7_kernels_alone_have_a_thin_way(prototxt: str, wide: bool, tmp_path: Path) -> None:
    weights = tmp_path / "pose.caffemodel"
    weights.write_bytes(bytes(1000))
    model = Model(prototxt, REPOSITORY / "models" / prototxt / "pose.prototxt", weights)
    found = fastest.candidates(model, free=lambda: 1 << 40)
    assert next(iter(found)) == "opencv"
    assert ("opencv-thin" in found) == wide


@pytest.mark.parametrize(
    ("free", "size", "tried"),
    [(20_001, 1000, True), (20_000, 1000, False), (None, 1000, False), (1 << 40, None, False)],
)
def test_the_thin_way_is_tried_only_where_its_memory_is_there(
    free: int | None, size: int | None, tried: bool, tmp_path: Path
) -> None:
    weights = tmp_path / "pose.caffemodel"
    if size is not None:
        weights.write_bytes(bytes(size))
    model = Model("coco", REPOSITORY / "models" / "coco" / "pose.prototxt", weights)
    found = fastest.candidates(model, free=lambda: free)
    assert ("opencv-thin" in found) == tried


@pytest.mark.parametrize(
    ("option", "wide"),
    [
        *((f"{name}: 1", True) for name in ("stride", "group", "dilation")),
        *((f"{name}: 2", False) for name in ("stride", "group", "dilation")),
    ],
)
def test_an_option_of_1_does_not_forbid_the_thin_way(option: str, wide: bool) -> None:
    layer = f'type: "Convolution" convolution_param {{ num_output: 4 kernel_size: 7 pad: 3 {option} }}'
    assert onnx.is_wide(parse_prototxt(layer)) == wide


# ------------------------------------------------------------------------------------------------- the fastest

Loaded = list[str]


SECONDS = {"opencv": 3.0, "openvino": 2.0, "onnxruntime": 1.0}


class Clock:
    """A clock that only forward passes move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def put_engine(
    name: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, passes: Iterable[float], names: Loaded | None = None
) -> None:
    """Make an engine of that name whose forward passes take these seconds."""

    def load(model: Model, device: str) -> Engine:
        times = iter(passes)

        def forward(blob: Array) -> list[Array]:
            clock.now += next(times)
            return [blob]

        if names is not None:
            names.append(name)
        return Engine(name, ("maps",), forward, f"this is {name}")

    monkeypatch.setitem(ENGINES, name, load)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fastest_of(clock: Clock) -> Callable[..., Engine]:
    """`load_fastest` with the three engines and the clock."""
    return partial(fastest.load_fastest, versions=dict.fromkeys(SECONDS, "1.0"), clock=clock, today=lambda: 1e9)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock) -> Loaded:
    """The engines that are loaded from now on. OpenCV takes 3 seconds, OpenVINO 2, ONNX Runtime 1."""
    names: Loaded = []
    for name, seconds in SECONDS.items():
        put_engine(name, clock, monkeypatch, itertools.repeat(seconds), names)
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "kept"))
    return names


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "a.prototxt").write_text('layer { name: "a" type: "ReLU" }')
    return Model("a", tmp_path / "a.prototxt", tmp_path / "a.caffemodel")


def test_the_fastest_engine_is_taken_and_remembered(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine]
) -> None:
    engine = fastest_of(model, 64, 96)
    assert engine.name == "onnxruntime"
    assert "this is onnxruntime; engines compared: opencv 3000 ms, openvino 2000 ms, onnxruntime 1000 ms" in engine.note
    assert engine.warning == ""
    assert loaded == ["opencv", "openvino", "onnxruntime"]
    loaded.clear()
    assert fastest_of(model, 64, 96).name == "onnxruntime"
    assert loaded == ["onnxruntime"]


def test_another_size_network_or_set_of_engines_is_compared_anew(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    fastest_of(model, 64, 96)
    for change in (
        lambda: fastest_of(model, 96, 64),
        lambda: (
            model.prototxt.write_text('layer { name: "another" type: "ReLU" }'),
            fastest_of(model, 64, 96),
        ),
        lambda: fastest_of(model, 64, 96, versions={"opencv": "2.0", "openvino": "1.0"}),
    ):
        loaded.clear()
        change()
        assert loaded[:2] == ["opencv", "openvino"]


@pytest.mark.parametrize(
    "content", [b"", b"tensorrt", b"tensorrt 1000000000", b"openvino", b"openvino yesterday", b"\xff\xfe"]
)
def test_a_note_that_is_damaged_is_written_again(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], tmp_path: Path, content: bytes
) -> None:
    fastest_of(model, 64, 96)
    (note,) = (tmp_path / "kept" / "engines").iterdir()
    whole = note.read_bytes()
    note.write_bytes(content)
    loaded.clear()
    assert fastest_of(model, 64, 96).name == "onnxruntime"
    assert len(loaded) == 3
    assert note.read_bytes() == whole


def test_a_folder_that_cannot_be_written_to_does_no_harm(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("in the way")
    assert fastest_of(model, 64, 96).name == "onnxruntime"


def refusing(words: str) -> Callable[[Model, str], Engine]:
    def load(model: Model, device: str) -> Engine:
        raise ModelError(words)

    return load


def test_an_engine_that_refuses_the_network_is_passed_over_in_one_line(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "onnxruntime", refusing("ONNX Runtime says no"))
    engine = fastest_of(model, 64, 96)
    assert engine.name == "openvino"
    assert engine.warning == "ONNX Runtime says no; using another engine"


def test_an_engine_that_refuses_by_name_fails(loaded: Loaded, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "onnxruntime", refusing("ONNX Runtime says no"))
    with pytest.raises(PoseError, match="says no"):
        load_network(*pair, engine="onnxruntime")


def test_a_network_that_opencv_cannot_read_is_an_error_whatever_others_say(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "opencv", refusing("the file is damaged"))
    with pytest.raises(ModelError, match="damaged"):
        fastest_of(model, 64, 96)


def test_where_only_opencv_is_installed_nothing_is_compared_or_kept(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fastest_of(model, 64, 96, versions={"opencv": "1.0"}).note == "this is opencv"
    assert loaded == ["opencv"]
    assert "kept" not in os.listdir(tmp_path)


@pytest.mark.parametrize(("days", "compared"), [(0, False), (13, False), (14, True), (-1, True)])
def test_a_choice_is_measured_again_after_14_days(
    loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], days: int, compared: bool
) -> None:
    fastest_of(model, 64, 96)
    loaded.clear()
    engine = fastest_of(model, 64, 96, today=lambda: 1e9 + 86400 * days)
    assert engine.name == "onnxruntime"
    assert (len(loaded) == 3) == compared
    told = "engines compared" if compared else f"onnxruntime was the fastest engine {days} days ago"
    assert told in engine.note


def test_one_disturbed_pass_does_not_decide(
    loaded: Loaded, model: Model, clock: Clock, fastest_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_engine("onnxruntime", clock, monkeypatch, [9.0, 9.0, 1.0])
    assert fastest_of(model, 64, 96).name == "onnxruntime"


@pytest.mark.parametrize(("seconds", "passes"), [(1.0, 1 + 2), (0.001, 1 + 6)])
def test_a_slow_network_is_timed_twice_and_a_quick_one_often(
    seconds: float, passes: int, loaded: Loaded, model: Model, clock: Clock, fastest_of: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in SECONDS:  # the passes are exactly as many as the engine has
        put_engine(name, clock, monkeypatch, [seconds] * passes)
    assert fastest_of(model, 64, 96).warning == ""
    for name in SECONDS:
        put_engine(name, clock, monkeypatch, [seconds] * (passes - 1))
    with pytest.raises(StopIteration):
        fastest_of(model, 96, 64)


@pytest.mark.parametrize("hangs", ["load", "first pass", "later pass"])
def test_an_engine_that_never_answers_is_passed_over(
    hangs: str, loaded: Loaded, model: Model, fastest_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, passes = threading.Event(), itertools.count()
    for name in ("opencv", "openvino"):  # a pass of no time, so that only the patience counts
        put_engine(name, Clock(), monkeypatch, itertools.repeat(0.0))

    def load(model: Model, device: str) -> Engine:
        def forward(blob: Array) -> list[Array]:
            if next(passes) == (0 if hangs == "first pass" else 1):
                ended.wait()
            return [blob]

        if hangs == "load":
            ended.wait()
        return Engine("onnxruntime", ("maps",), forward)

    monkeypatch.setitem(ENGINES, "onnxruntime", load)
    try:
        engine = fastest_of(model, 64, 96, patience=0.2)
    finally:
        ended.set()
    assert engine.name != "onnxruntime"
    assert engine.warning == "engine=onnxruntime gave no result within 0 s; using another engine"
