"""OpenVINO: Intel's engine, an extra (`pip install openvino`).

A network is compiled once for all sizes of its input. In its default precision OpenVINO computes in bfloat16 where the
processor can.
"""

from __future__ import annotations

from collections.abc import Sequence

from posecv.arrays import Array
from posecv.engines.engine import Engine, needed, one_at_a_time, onnx_of
from posecv.errors import DeviceError, ModelError
from posecv.models import Model

__all__ = ["load", "load_float32"]


def load(model: Model, device: str) -> Engine:
    """The network in the precision that OpenVINO finds best; ModelError where it refuses it."""
    return _load(model, device, "openvino", {})


def load_float32(model: Model, device: str) -> Engine:
    """The network in single precision, as OpenCV computes; ModelError where OpenVINO refuses it."""
    return _load(model, device, "openvino-float32", {"INFERENCE_PRECISION_HINT": "f32"})


def _load(model: Model, device: str, name: str, precision: dict[str, str]) -> Engine:
    openvino = needed("openvino", name)
    if device != "cpu":
        raise DeviceError(f"engine={name} runs on the CPU alone: leave out device={device}")
    data = onnx_of(model)
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(data), "CPU", {"PERFORMANCE_HINT": "LATENCY", **precision})
        request = compiled.create_infer_request()
    except Exception as error:  # of a binary module: anything can come
        raise ModelError(f"{model.prototxt}: OpenVINO cannot read this network: {_reason(error)}") from error

    @one_at_a_time  # a request that is busy refuses; one for each thread would need the memory of its maps again
    def forward(blob: Array) -> Sequence[Array]:
        try:
            results = request.infer([blob])
        except Exception as error:
            raise ModelError(f"{model.prototxt}: OpenVINO cannot run this network: {_reason(error)}") from error
        return [results[output] for output in compiled.outputs]

    outputs = tuple(output.get_any_name() for output in compiled.outputs)
    computes = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return Engine(name, outputs, forward, f"OpenVINO {openvino.__version__.split('-')[0]} computes in {computes}")


def _reason(error: Exception) -> str:
    """The last line of what OpenVINO says; those before it name places in its sources."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
