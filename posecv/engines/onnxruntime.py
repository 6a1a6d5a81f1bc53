"""ONNX Runtime: Microsoft's engine, optional (`pip install onnxruntime`, with CUDA `onnxruntime-gpu`)."""

from __future__ import annotations

from collections.abc import Sequence

from posecv.arrays import Array
from posecv.engines.engine import Engine, needed, onnx_of, threads
from posecv.errors import DeviceError, ModelError
from posecv.models import Model

__all__ = ["load"]

NAME = "onnxruntime"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
QUIET = 3  # log only errors


def load(model: Model, device: str) -> Engine:
    """Load the network in ONNX Runtime; ModelError if it cannot read it, DeviceError without such a device."""
    runtime = needed(NAME, NAME)
    if device not in PROVIDERS:
        raise DeviceError(f"engine={NAME} supports the devices {', '.join(PROVIDERS)}, not {device}")
    provider = PROVIDERS[device]
    if provider not in runtime.get_available_providers():
        raise DeviceError(f"device={device}: this ONNX Runtime {runtime.__version__} does not support it: {_remedy()}")
    data = onnx_of(model)
    options = runtime.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = threads()
    try:
        session = runtime.InferenceSession(data, options, providers=[provider])
    except Exception as error:  # a binary module can raise anything
        raise ModelError(f"{model.prototxt}: ONNX Runtime cannot read this network: {_reason(error)}") from error
    if provider not in session.get_providers():  # it silently falls back to the CPU
        raise DeviceError(f"device={device}: ONNX Runtime {runtime.__version__} cannot use it here: {_remedy()}")
    (source,) = [each.name for each in session.get_inputs()]

    def forward(blob: Array) -> Sequence[Array]:
        try:
            return session.run(None, {source: blob})
        except Exception as error:
            raise ModelError(f"{model.prototxt}: ONNX Runtime cannot run this network: {_reason(error)}") from error

    note = f"ONNX Runtime {runtime.__version__} computes in float32"
    return Engine(NAME, tuple(each.name for each in session.get_outputs()), forward, note)


def _remedy() -> str:
    return "pip install onnxruntime-gpu in place of onnxruntime, with NVIDIA's CUDA and cuDNN, or use device=cpu"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
