"""Networks: a model's files, a device, and maps from a blob.

An engine does the work. This room makes sure beforehand that it can: the files are whole and fit together, the device
is there, and the output is a layout that some skeleton explains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posecv import onnx, opencv
from posecv.caffe import read_binary
from posecv.conversion import ORIGIN
from posecv.engines import ENGINES, Engine
from posecv.engines.devices import DEVICES, choose_device
from posecv.engines.fastest import load_fastest
from posecv.errors import ModelError, UsageError
from posecv.geometry import NetSize
from posecv.models import (
    Model,
    Preprocessing,
    find_model,
    manifest,
    model_of_onnx,
    model_of_pair,
    skeleton_of_channels,
)
from posecv.skeletons import SKELETONS, Skeleton
from posecv.stages import check_stages

__all__ = ["DEVICES", "Network", "choose_device", "load_network"]

Array = NDArray[np.float32]

PROBE = 32  # side of the empty picture that a network is tried on
STRIDE = 8


@dataclass(frozen=True)
class Network:
    """A network that is ready to run.

    Attributes
    ----------
    model : Model
        Its skeleton, preprocessing and constants.
    device : str
        Where it runs, one of `DEVICES`.
    engine : Engine
        What runs it.
    outputs : tuple of str
        The engine's outputs in the order of the skeleton's channels.
    has_fields : bool
        Whether the maps hold part affinity fields besides the heatmaps.
    """

    model: Model
    device: str
    engine: Engine
    outputs: tuple[str, ...]
    has_fields: bool = False

    def __repr__(self) -> str:
        return f"<Network {self.model.name} on {self.device}>"

    @property
    def skeleton(self) -> Skeleton:
        """What the channels of the maps mean."""
        assert self.model.skeleton is not None
        return self.model.skeleton

    def maps(self, blob: Array) -> Array:
        """Run the network on a (1, 3, H, W) float32 blob; the maps are (C, H / 8, W / 8) float32."""
        found = dict(zip(self.engine.outputs, self.engine.forward(blob), strict=True))
        parts = [found[name][0] for name in self.outputs]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def load_network(
    prototxt: str | Path,
    caffemodel: str | Path | None = None,
    *,
    skeleton: Skeleton | str | None = None,
    device: str = "auto",
    engine: str = "auto",
    net_size: str | None = None,
    stages: int | None = None,
    scale: float | None = None,
    mean: tuple[float, float, float] | None = None,
    swap_rb: bool | None = None,
) -> Network:
    """Load a network by its pair of files, by one ONNX file, or by its name in the manifest.

    Parameters
    ----------
    prototxt, caffemodel : path
        The pair; or an ONNX file (NAME.onnx), or the name of a model, alone.
    skeleton : Skeleton or its name
        What the channels mean, where their number does not say it.
    device : {"auto", "cpu", "cuda", "cuda-fp16", "opencl"}
        `auto` is CUDA where this OpenCV has it, else the CPU.
    engine : {"auto", "opencv", "opencv-thin", "openvino", "openvino-float32", "onnxruntime"}
        What runs the network. `auto` is the fastest that is installed, by a short measurement that is remembered, on
        the CPU, and OpenCV on other devices.
    net_size : str, optional
        The size of input that engines are compared at, and that a GPU is warmed up for, as `estimate_people` takes it;
        the model's own by default.
    stages : int, optional
        Run the first ones alone of a pair that refines its maps over several stages: faster and less exact. COCO, MPI,
        hand and face have 6 stages, MPI 4 stages 4. BODY_25 refines its fields 4 times and then its heatmaps twice:
        there it counts those of each kind, so that 1 runs one of each, 3 three and two.
    scale, mean, swap_rb
        Preprocessing of a pair that the manifest does not know: the input is (v - mean) * scale, in BGR order unless
        `swap_rb`.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or not of this pair, or the output is no known layout.
    DeviceError
        If the device, or an OpenCV that can do this, is not there.
    UsageError
        If an option has a value that it cannot have, as more stages than there are.

    Examples
    --------
    >>> network = load_network("coco")                                        # doctest: +SKIP
    >>> network = load_network("pose.prototxt", "pose.caffemodel", device="cuda")    # doctest: +SKIP
    """
    opencv.require_opencv()
    if engine != "auto" and engine not in ENGINES:
        raise UsageError(f"--engine {engine} is unknown; there are auto, {', '.join(ENGINES)}")
    if engine in ("auto", "opencv", "opencv-thin"):
        device = choose_device(device)
    elif device == "auto":
        device = "cpu"
    model = _model(prototxt, caffemodel)
    model = replace(model, preprocessing=_preprocessing(model.preprocessing, scale, mean, swap_rb), stages=stages)
    check_stages(model)
    width, height = NetSize.parse(net_size or f"-1x{model.net_side}").of_frame(640, 480)
    if engine == "auto" and device == "cpu":
        runner = load_fastest(model, height, width)
    else:
        runner = ENGINES["opencv" if engine == "auto" else engine](model, device)
    network = _recognised(Network(model, device, runner, runner.outputs), skeleton)
    if device != "cpu":  # which compiles and chooses kernels when it sees a size first
        network.maps(np.zeros((1, 3, height, width), np.float32))
    return network


def _model(prototxt: str | Path, caffemodel: str | Path | None) -> Model:
    """What is known about a pair, an ONNX file or a name."""
    path = Path(prototxt)
    if caffemodel and ".onnx" in (path.suffix.lower(), Path(caffemodel).suffix.lower()):
        raise UsageError("an ONNX file is a whole network: give it with -m, without -p")
    if path.suffix.lower() == ".onnx":
        data = read_binary(path, ".onnx")
        try:
            return model_of_onnx(path, onnx.properties(data).get(ORIGIN))
        except ModelError as error:
            raise ModelError(f"{path} is not a whole ONNX file; convert or download it again ({error})") from None
    return model_of_pair(path, Path(caffemodel)) if caffemodel else find_model(str(prototxt))


def _preprocessing(
    known: Preprocessing, scale: float | None, mean: tuple[float, float, float] | None, swap_rb: bool | None
) -> Preprocessing:
    given = {"scale": scale, "mean": mean, "swap_rb": swap_rb}
    return replace(known, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _recognised(network: Network, asked: Skeleton | str | None) -> Network:
    """The network with its skeleton, its outputs in the skeleton's order."""
    model = network.model
    probe = network.engine.forward(np.zeros((1, 3, PROBE, PROBE), np.float32))
    channels = {name: _channels(model, output[0]) for name, output in zip(network.outputs, probe, strict=True)}
    total = sum(channels.values())
    skeleton = _skeleton(asked) or model.skeleton or skeleton_of_channels(total, _layer_names(model))
    said = f"{model.prototxt} gives {' + '.join(map(str, channels.values()))} channels"
    if skeleton is None:
        known = ", ".join(f"{each.channels} ({each.name})" for each in SKELETONS.values())
        raise ModelError(f"{said}; known are {known}: name yours with --skeleton")
    if total not in (skeleton.channels, skeleton.heatmaps, len(skeleton.keypoints)):
        raise ModelError(
            f"{said}; {skeleton.name} needs {skeleton.channels}, or {skeleton.heatmaps} of heatmaps alone"
        )
    thresholds = model.thresholds if skeleton is model.skeleton else skeleton.thresholds
    return replace(
        network,
        model=replace(model, skeleton=skeleton, thresholds=thresholds),
        # Old conversions give the fields (L1) and the heatmaps (L2) apart, in either order.
        outputs=tuple(sorted(channels, key=lambda name: channels[name] != skeleton.heatmaps)),
        has_fields=total > skeleton.heatmaps,
    )


def _layer_names(model: Model) -> str:
    """A text in which the names of all layers stand."""
    if model.is_onnx:
        return " ".join(onnx.node_names(model.prototxt.read_bytes()))
    return model.prototxt.read_text(encoding="utf-8", errors="replace")


def _skeleton(asked: Skeleton | str | None) -> Skeleton | None:
    """The skeleton that was asked for, by itself or by its name."""
    if not isinstance(asked, str):
        return asked
    known = {name: row.skeleton for row in manifest() for name in (row.name, *row.aliases)} | SKELETONS
    skeleton = known.get(asked.lower().replace("-", "_"))
    if skeleton is None:
        raise UsageError(f"--skeleton {asked} is unknown; there are {', '.join(SKELETONS)}")
    return skeleton


def _channels(model: Model, output: Array) -> int:
    """Number of channels of an output that was found on the empty picture."""
    if output.ndim != 3 or output.shape[1:] != (PROBE // STRIDE, PROBE // STRIDE):
        raise ModelError(
            f"{model.prototxt} turns {PROBE} x {PROBE} pixels into an output of shape {output.shape}; "
            f"maps with a stride of {STRIDE}, (channels, {PROBE // STRIDE}, {PROBE // STRIDE}), are needed"
        )
    return len(output)
