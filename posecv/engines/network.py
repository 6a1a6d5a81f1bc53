"""Networks: from a model's files and a device to maps.

An engine does the work. This module first checks that it can: the files are complete and belong together, the device is
available, and the output matches the layout of a skeleton.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posecv import opencv
from posecv.arrays import Array
from posecv.checks import known_arguments, short
from posecv.engines import ENGINES, Engine
from posecv.engines.beforehand import PROBE, check_maps, fields_first, output_sizes
from posecv.engines.devices import DEVICES, choose_device
from posecv.engines.fastest import load_fastest
from posecv.engines.layouts import BoxLayout, CropLayout, box_layout, crop_layout, crop_size
from posecv.errors import ModelError, UsageError
from posecv.files import content, each_once
from posecv.formats import onnx
from posecv.formats.caffe import read_binary
from posecv.formats.conversion import ORIGIN
from posecv.formats.stages import check_stages
from posecv.geometry import STRIDE, NetSize, Preprocessing
from posecv.models import (
    Model,
    find_model,
    manifest,
    model_of_onnx,
    model_of_pair,
    skeleton_of_channels,
)
from posecv.skeletons import SKELETONS, Skeleton, checked_skeleton

__all__ = ["DEVICES", "Boxes", "Crops", "Network", "choose_device", "load_network"]

STRIDES = 4, 8, 16
UNSUPPORTED = {97: "BODY_25B", 439: "BODY_135"}  # channels of OpenPose's experimental networks
FOREIGN = {
    ".pb": "TensorFlow", ".pbtxt": "TensorFlow", ".tflite": "TensorFlow", ".h5": "Keras", ".hdf5": "Keras",
    ".keras": "Keras", ".pt": "PyTorch", ".pth": "PyTorch", ".ckpt": "PyTorch", ".safetensors": "PyTorch",
    ".engine": "TensorRT", ".trt": "TensorRT", ".xml": "OpenVINO", ".mlmodel": "Core ML", ".weights": "Darknet",
}  # fmt: skip
OWN_MODEL = "light_body"  # the default

Scale = float | tuple[float, float, float]


@dataclass(frozen=True)
class Network:
    """A network that is ready to run.

    Attributes
    ----------
    model : Model
        The skeleton, preprocessing and constants.
    device : str
        The device, one of `DEVICES`.
    engine : Engine
        Runs the network.
    outputs : tuple of str
        Names of the engine's outputs in the order of the skeleton's channels.
    has_fields : bool
        Whether the maps contain part affinity fields after the heatmaps.
    stride : int
        Pixels of its input per cell of the maps.
    fields_first : int
        Number of part affinity fields that the only output has before its heatmaps; usually 0.
    crops : Crops or None
        If the network looks at one person at a time: what finds the people, and how it looks at each.

    Notes
    -----
    Any number of threads may use a network at once. Pickling stores the paths of its files and its properties;
    unpickling loads it again with the same engine.
    """

    model: Model
    device: str
    engine: Engine
    outputs: tuple[str, ...]
    has_fields: bool = False
    stride: int = STRIDE
    crops: Crops | None = None
    fields_first: int = 0

    def __repr__(self) -> str:
        return f"<Network {self.model.name} on {self.device}>"

    def __reduce__(self) -> tuple[object, ...]:
        engine = self.engine.name
        if engine not in ENGINES:
            raise TypeError(f"{self} cannot be pickled: no engine is called {engine}")
        known = self.outputs, self.has_fields, self.stride, self.crops, self.fields_first
        return _loaded_again, (self.model, self.device, engine, *known)

    @property
    def skeleton(self) -> Skeleton:
        """The layout of the maps."""
        assert self.model.skeleton is not None
        return self.model.skeleton

    @property
    def finds_everybody(self) -> bool:
        """Whether it can tell people apart, by part affinity fields or by their boxes."""
        return self.has_fields or self.crops is not None

    @property
    def usual_size(self) -> str:
        """The size of the input for a whole frame, or of the detector's, unless another is given."""
        return self.crops.boxes.usual_size if self.crops else f"-1x{self.model.net_side}"

    def maps(self, blob: Array) -> Array:
        """Run the network on a (1, 3, H, W) float32 blob; return (C, H / stride, W / stride) float32 maps."""
        found = dict(zip(self.engine.outputs, self.engine.forward(blob), strict=True))
        parts = [found[name][0] for name in self.outputs]
        if self.fields_first:
            parts = [parts[0][self.fields_first :], parts[0][: self.fields_first]]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


@dataclass(frozen=True)
class Boxes:
    """A detector: a network that finds people's boxes; the attributes are those of `Network`."""

    model: Model
    device: str
    engine: Engine
    layout: BoxLayout

    @property
    def usual_size(self) -> str:
        """The length of its input's shorter side, unless another size is given."""
        return str(min(self.layout.size) if self.model.use == "unknown" else self.model.net_side)

    def __reduce__(self) -> tuple[object, ...]:
        return _boxes_again, (self.model, self.device, self.engine.name, self.layout)


@dataclass(frozen=True)
class Crops:
    """How a network looks at one person at a time.

    Attributes
    ----------
    boxes : Boxes
        Finds the people.
    layout : CropLayout
        What the network outputs for a crop.
    """

    boxes: Boxes
    layout: CropLayout


@known_arguments
@each_once()
def load_network(
    model: str | Path = OWN_MODEL,
    caffemodel: str | Path | None = None,
    *,
    skeleton: Skeleton | str | None = None,
    device: str = "auto",
    engine: str = "auto",
    net_size: str | None = None,
    stages: int | None = None,
    scale: Scale | None = None,
    mean: tuple[float, float, float] | None = None,
    swap_rb: bool | None = None,
    detector: str | Path | None = None,
    detector_scale: Scale | None = None,
    detector_mean: tuple[float, float, float] | None = None,
    detector_swap_rb: bool | None = None,
) -> Network:
    """Load a network by its name, by its pair of files, or by one ONNX file.

    Parameters
    ----------
    model : str or path
        The name of a model, such as "light_body", the default, or "coco"; an ONNX file (NAME.onnx); or the prototxt of
        a pair, with its weights as the next argument.
    caffemodel : path, optional
        The weights of a pair.
    skeleton : Skeleton or its name
        The layout of the channels, if their number does not determine it.
    device : {"auto", "cpu", "cuda", "cuda-fp16", "opencl"}
        `auto` is CUDA if this OpenCV has it, otherwise the CPU.
    engine : {"auto", "opencv", "opencv-thin", "openvino", "openvino-float32", "onnxruntime"}
        The engine. On the CPU, `auto` is the fastest one installed, by a short measurement that is remembered; on other
        devices it is OpenCV.
    net_size : str, optional
        The input size for comparing engines and for warming up a GPU, as for `estimate_people`; by default the model's.
    stages : int, optional
        Run only the first stages of a pair that refines its maps in several stages: faster but less accurate. COCO,
        MPI, hand and face have 6 stages, mpi_4_stages has 4. BODY_25 refines its fields 4 times and then its heatmaps
        twice; the number limits both, so 1 runs one of each, 3 runs three and two.
    scale, mean, swap_rb
        Preprocessing of a network that is not in the manifest: the input is (v - mean) * scale, in BGR order unless
        `swap_rb`.
    detector : str or path, optional
        What finds people's boxes, if `model` looks at a crop of one person: a model's name, an ONNX file, or prototxt
        and caffemodel separated by a comma. By default the model's own, if it has one, such as light's.
    detector_scale, detector_mean, detector_swap_rb
        The detector's preprocessing.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or not of this pair, or the output has an unknown layout.
    DeviceError
        If the device, or a suitable OpenCV, is not available.
    UsageError
        If an option has an invalid value, such as more stages than the network has.

    Examples
    --------
    >>> network = load_network()
    >>> network.skeleton
    <Skeleton coco: 18 keypoints, 19 limbs>
    >>> network = load_network("coco")                                        # doctest: +SKIP
    >>> network = load_network("pose.prototxt", "pose.caffemodel", device="cuda")    # doctest: +SKIP
    """
    opencv.require_opencv()
    if engine != "auto" and engine not in ENGINES:
        raise UsageError(f"engine={engine} is unknown; choose one of auto, {', '.join(ENGINES)}")
    if engine in ("auto", "opencv", "opencv-thin"):
        device = choose_device(device)
    elif device == "auto":
        device = "cpu"
    known = _model(model, caffemodel)
    known = replace(known, preprocessing=_preprocessing(known.preprocessing, scale, mean, swap_rb), stages=stages)
    check_stages(known)
    if finder := detector or known.detector:
        prototxt, _, caffemodel = str(finder).partition(",")
        found = _model(prototxt, caffemodel or None)
        given = detector_scale, detector_mean, detector_swap_rb
        found = replace(found, preprocessing=_preprocessing(found.preprocessing, *given))
        return _of_crops(known, found, device, engine)
    if known.skeleton is None and known.use != "unknown":
        said = f"{known.name} finds people's boxes, not their keypoints"
        raise ModelError(f"{said}; use model=light, or detector={known.name} with a network for crops")
    width, height = NetSize.parse(net_size or f"-1x{known.net_side}").of_frame(640, 480)
    check_maps(known)
    runner = _runner(known, device, engine, (height, width))
    network = _recognised(Network(known, device, runner, runner.outputs), skeleton)
    if device != "cpu":  # GPUs compile and choose kernels at the first run with a size
        network.maps(np.zeros((1, 3, height, width), np.float32))
    return network


def _runner(model: Model, device: str, engine: str, size: tuple[int, int]) -> Engine:
    """The engine that runs a network, for an input of about that height and width."""
    if engine == "auto" and device == "cpu":
        return load_fastest(model, *size)
    return ENGINES["opencv" if engine == "auto" else engine](model, device)


def _of_crops(model: Model, detector: Model, device: str, engine: str) -> Network:
    """A network that looks at crops, with its detector."""
    if model.stages is not None:
        raise UsageError(f"stages={model.stages}: {model.name} looks at people one at a time, in one stage")
    with _hint(detector, engine):
        output_sizes(detector, *crop_size(detector))
        finder = _runner(detector, device, engine, crop_size(detector))
        boxes = Boxes(_findable(detector), device, finder, box_layout(detector, finder))
    with _hint(model, engine):
        output_sizes(model, *crop_size(model))
        runner = _runner(model, device, engine, crop_size(model))
        layout = crop_layout(model, runner)
    model = replace(_findable(model), skeleton=replace(layout.skeleton, paf_channels=()))
    return Network(model, device, runner, runner.outputs, stride=layout.stride, crops=Crops(boxes, layout))


@contextlib.contextmanager
def _hint(model: Model, engine: str) -> Iterator[None]:
    """Add to errors of OpenCV that another engine may be able to run somebody's ONNX file."""
    try:
        yield
    except ModelError as error:
        if "OpenCV" not in str(error) or not model.is_onnx:
            raise
        other = "engine=onnxruntime" if engine == "opencv" else "pip install onnxruntime"
        raise ModelError(f"{error}; ONNX Runtime may be able to: {other}") from error


def _findable(model: Model) -> Model:
    """The model with absolute paths, for unpickling in another folder."""
    return replace(model, prototxt=model.prototxt.absolute(), caffemodel=model.caffemodel.absolute())


@each_once()
def _loaded_again(
    model: Model, device: str, engine: str, outputs: tuple[str, ...], has_fields: bool, stride: int,
    crops: Crops | None, fields_first: int = 0,
) -> Network:  # fmt: skip
    """Load a pickled network, for example in another process."""
    opencv.require_opencv()
    model = _here(model)
    return Network(model, device, ENGINES[engine](model, device), outputs, has_fields, stride, crops, fields_first)


@each_once()
def _boxes_again(model: Model, device: str, engine: str, layout: BoxLayout) -> Boxes:
    """Load a pickled detector."""
    opencv.require_opencv()
    model = _here(model)
    return Boxes(model, device, ENGINES[engine](model, device), layout)


def _here(model: Model) -> Model:
    """The model with files that exist on this computer, if possible."""
    if not (os.path.isfile(model.prototxt) and os.path.isfile(model.caffemodel)):
        # On another computer, or if the files were temporary copies; without a name, the engine reports the missing
        # file.
        with contextlib.suppress(ModelError):
            here = find_model(model.name)
            model = replace(model, prototxt=here.prototxt, caffemodel=here.caffemodel)
    return model


def _model(name: str | Path, caffemodel: str | Path | None) -> Model:
    """The model for a pair, an ONNX file or a name."""
    for given in (name, caffemodel):
        if (given is not None and not isinstance(given, (str, Path))) or name is None:
            raise UsageError(f"model={short(given)}: give a model's name or the path of a file")
    path = Path(name)
    for file in (path, Path(caffemodel or "")):
        if framework := FOREIGN.get(file.suffix.lower()):
            raise ModelError(f"{file} is a file of {framework}; posecv reads Caffe pairs and ONNX: export NAME.onnx")
    if caffemodel and ".onnx" in (path.suffix.lower(), Path(caffemodel).suffix.lower()):
        raise UsageError("an ONNX file is a complete network: give it with -m, without -p")
    if path.suffix.lower() == ".onnx":
        data = read_binary(path, ".onnx")
        try:
            return model_of_onnx(path, onnx.properties(data).get(ORIGIN))
        except ModelError as error:
            raise ModelError(f"{path} is not a complete ONNX file; convert or download it again ({error})") from None
    return model_of_pair(path, Path(caffemodel)) if caffemodel else find_model(str(name))


def _preprocessing(
    known: Preprocessing, scale: Scale | None, mean: tuple[float, float, float] | None, swap_rb: bool | None
) -> Preprocessing:
    given = {"scale": scale, "mean": mean, "swap_rb": swap_rb}
    return replace(known, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _recognised(network: Network, asked: Skeleton | str | None) -> Network:
    """The network with its skeleton, and its outputs in the skeleton's order."""
    model = network.model
    probe = network.engine.forward(np.zeros((1, 3, PROBE, PROBE), np.float32))
    sizes = {name: _channels_and_stride(model, output[0]) for name, output in zip(network.outputs, probe, strict=True)}
    channels = {name: count for name, (count, _) in sizes.items()}
    strides = {stride for _, stride in sizes.values()}
    if len(strides) > 1:
        raise ModelError(f"{model.prototxt} has outputs with several strides ({', '.join(map(str, sorted(strides)))})")
    total = sum(channels.values())
    skeleton = _skeleton(asked) or model.skeleton or skeleton_of_channels(total, _layer_names(model))
    said = f"{model.prototxt} has an output of {' + '.join(map(str, channels.values()))} channels"
    if skeleton is None and total in UNSUPPORTED:
        other = UNSUPPORTED[total]
        raise ModelError(f"{said}, as OpenPose's {other}, which posecv does not support: use body_25 instead")
    if skeleton is None:
        alone = [each.name for each in SKELETONS.values() if len(each.keypoints) == total]
        if alone:
            raise ModelError(f"{said}: if these are keypoints without a background, give skeleton={' or '.join(alone)}")
        known = ", ".join(f"{each.channels} ({each.name})" for each in SKELETONS.values())
        raise ModelError(f"{said}; known layouts have {known}. A program can describe its own as a posecv.Skeleton")
    if total not in (skeleton.channels, skeleton.heatmaps, len(skeleton.keypoints)):
        raise ModelError(
            f"{said}; {skeleton.name} needs {skeleton.channels}, or {skeleton.heatmaps} with only heatmaps"
        )
    thresholds = model.thresholds if skeleton is model.skeleton else skeleton.thresholds
    return replace(
        network,
        model=replace(_findable(model), skeleton=skeleton, thresholds=thresholds),
        # Old conversions have separate outputs for fields (L1) and heatmaps (L2), in either order.
        outputs=tuple(sorted(channels, key=lambda name: channels[name] != skeleton.heatmaps)),
        has_fields=total > skeleton.heatmaps,
        stride=strides.pop(),
        fields_first=fields_first(model, skeleton) if len(channels) == 1 and total == skeleton.channels else 0,
    )


def _layer_names(model: Model) -> str:
    """A text that contains the names of all layers."""
    if model.is_onnx:
        return " ".join(onnx.node_names(content(model.prototxt)))
    return model.prototxt.read_text(encoding="utf-8", errors="replace")


def _skeleton(asked: Skeleton | str | None) -> Skeleton | None:
    """The requested skeleton, given as a Skeleton or by its name."""
    if asked is None:
        return None
    if not isinstance(asked, str):
        return checked_skeleton(asked)
    known = {name: row.skeleton for row in manifest() for name in (row.name, *row.aliases)} | SKELETONS
    skeleton = known.get(asked.lower().replace("-", "_"))
    if skeleton is None:
        raise UsageError(f"skeleton={asked} is unknown; choose one of {', '.join(SKELETONS)}")
    return skeleton


def _channels_and_stride(model: Model, output: Array) -> tuple[int, int]:
    """Stride and channels from an output for the empty image."""
    stride = next((each for each in STRIDES if output.shape[1:] == (PROBE // each,) * 2), None)
    if output.ndim != 3 or stride is None:
        raise ModelError(
            f"{model.prototxt} turns {PROBE} x {PROBE} pixels into an output of shape {output.shape}; maps with a "
            f"stride of {', '.join(map(str, STRIDES))} are needed, such as (channels, {PROBE // STRIDE}, "
            f"{PROBE // STRIDE}) for a stride of {STRIDE}"
        )
    return len(output), stride
