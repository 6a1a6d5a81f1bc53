"""OpenVINO: Intel's engine, optional (`pip install openvino`).

A network is compiled once for all input sizes. By default, OpenVINO computes in bfloat16 if the processor supports it.
"""

from __future__ import annotations

from collections.abc import Sequence

from posecv.arrays import Array
from posecv.engines.engine import Engine, needed, one_at_a_time, onnx_of, threads
from posecv.errors import DeviceError, ModelError
from posecv.models import Model

__all__ = ["load", "load_float32"]


def load(model: Model, device: str) -> Engine:
    """Load the network in the precision that OpenVINO chooses; ModelError if it cannot read it."""
    return _load(model, device, "openvino", {})


def load_float32(model: Model, device: str) -> Engine:
    """Load the network in single precision, like OpenCV; ModelError if OpenVINO cannot read it."""
    return _load(model, device, "openvino-float32", {"INFERENCE_PRECISION_HINT": "f32"})


def _load(model: Model, device: str, name: str, precision: dict[str, str]) -> Engine:
    openvino = needed("openvino", name)
    if device != "cpu":
        raise DeviceError(f"engine={name} runs only on the CPU: omit device={device}")
    data = onnx_of(model)
    settings = {"PERFORMANCE_HINT": "LATENCY", **precision}
    if count := threads():
        settings["INFERENCE_NUM_THREADS"] = str(count)
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(data), "CPU", settings)
        request = compiled.create_infer_request()
    except Exception as error:  # a binary module can raise anything
        raise ModelError(f"{model.prototxt}: OpenVINO cannot read this network: {_reason(error)}") from error

    @one_at_a_time  # a busy request raises; one per thread would need memory for its own maps
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
    """The last line of OpenVINO's message; earlier lines are places in its sources."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
