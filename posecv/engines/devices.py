"""OpenCV's devices: which are available, and whether a network really runs on the requested one.

OpenCV never refuses a device. It runs layers without kernels, or the whole network, on the CPU, and at best writes that
to its log. So this module raises an error for problems that can be known in advance, and checks the rest after a
forward pass.
"""

from __future__ import annotations

import os
import re
from typing import Any

import cv2

from posecv.errors import DeviceError, UsageError

__all__ = ["DEVICES", "choose_device", "fallen_back"]

# Device: backend and target of cv2.dnn.
DEVICES = {
    "cpu": (cv2.dnn.DNN_BACKEND_OPENCV, cv2.dnn.DNN_TARGET_CPU),
    "cuda": (cv2.dnn.DNN_BACKEND_CUDA, cv2.dnn.DNN_TARGET_CUDA),
    "cuda-fp16": (cv2.dnn.DNN_BACKEND_CUDA, cv2.dnn.DNN_TARGET_CUDA_FP16),
    "opencl": (cv2.dnn.DNN_BACKEND_OPENCV, cv2.dnn.DNN_TARGET_OPENCL),
}
# Names of the backends in `cv2.dnn.Net.dump`.
RUNNERS = {"cpu": "OCV/CPU", "cuda": "CUDA/CUDA", "cuda-fp16": "CUDA/CUDA_FP16", "opencl": "OCV/OCL"}
LAYER = re.compile(r'label="\{?(?P<name>.*?)\\n(?P<type>.*?)\\n.*?(?P<runner>[A-Z]+/[A-Z0-9_]+)\\n')
GPU = 4  # cv2.ocl.Device_TYPE_GPU
ANY_DEVICE = "OPENCV_DNN_OPENCL_ALLOW_ALL_DEVICES"


def choose_device(device: str, opencv: Any = cv2) -> str:
    """Resolve `device`; DeviceError if this OpenCV (or a replacement with the same functions) does not have it."""
    if device != "auto" and device not in DEVICES:
        raise UsageError(f"device={device} is unknown; choose one of auto, {', '.join(DEVICES)}")
    if device == "auto":
        return "cuda" if _available("cuda", opencv) else "cpu"
    missing = None
    if device.startswith("cuda"):
        missing = _why_no_cuda(device, opencv)
    elif device == "opencl":
        missing = _why_no_opencl(opencv)
    if missing:
        raise DeviceError(f"device={device}: this OpenCV {opencv.__version__} {missing}, or use device=cpu")
    return device


def fallen_back(dump: str, device: str) -> str:
    """A line about the layers of a network that run on the CPU instead of the device; empty if there are none.

    Parameters
    ----------
    dump : str
        The output of `cv2.dnn.Net.dump` after a forward pass.
    device : str
        The requested device.

    Notes
    -----
    With CUDA, OpenCV reports the device of each layer. With OpenCL, it reports only one for the whole network: there is
    no way to see that a layer has no kernel for its input. OpenCV 5's new engine, which has no OpenCL, does not report
    devices.
    """
    layers = [match for match in LAYER.finditer(dump) if match["name"] != "_input"]
    others = [layer for layer in layers if layer["runner"] != RUNNERS[device]]
    if not layers and device.startswith("cuda"):
        return f"device={device}: this OpenCV does not report what runs on the GPU; compare the times with device=cpu"
    if layers and not others:
        return ""
    if {layer["runner"] for layer in others} == {RUNNERS["cuda"]} and device == "cuda-fp16":
        return "device=cuda-fp16: OpenCV cannot use half floats on this GPU, and computes in single precision instead"
    if len(others) == len(layers):
        return f"device={device}: OpenCV runs this network on the CPU instead"
    kinds = ", ".join(sorted({layer["type"] for layer in others}))
    return f"device={device}: {len(others)} of {len(layers)} layers run on the CPU instead ({kinds}), which is slow"


def _available(device: str, opencv: Any) -> bool:
    """Whether cv2.dnn lists a device. (Requesting a missing one fails late or falls back silently.)"""
    backend, target = DEVICES[device]
    return target in opencv.dnn.getAvailableTargets(backend)


def _why_no_cuda(device: str, opencv: Any) -> str | None:
    """What is missing for CUDA and how to get it; None if nothing is missing."""
    if _available(device, opencv):
        return None
    if _available("cuda", opencv):
        return "cannot use half floats on this GPU: use device=cuda"
    if not re.search(r"^\s*NVIDIA CUDA:\s*YES", opencv.getBuildInformation(), re.MULTILINE):
        return (
            "has no CUDA for networks; PyPI's wheels have none: build OpenCV from source with WITH_CUDA=ON and "
            "OPENCV_DNN_CUDA=ON"
        )
    if opencv.cuda.getCudaEnabledDeviceCount() < 1:
        return "has CUDA but finds no GPU; check that nvidia-smi lists it and that its driver is as new as that CUDA"
    return (
        "has CUDA, but not for networks on this GPU; build it with OPENCV_DNN_CUDA=ON, with cuDNN, and with this GPU "
        "in CUDA_ARCH_BIN"
    )


def _why_no_opencl(opencv: Any) -> str | None:
    """What is missing for OpenCL and how to get it; None if nothing is missing."""
    if not _available("opencl", opencv):
        return "has no OpenCL for networks; install the OpenCL driver of your GPU's manufacturer"
    found = opencv.ocl.Device.getDefault()
    if found.type() == GPU or os.environ.get(ANY_DEVICE, "").lower() in ("1", "true"):
        return None
    return (
        f"runs networks only on GPUs, but its OpenCL device is {found.name()}; set OPENCV_OPENCL_DEVICE=:GPU: to "
        f"choose a GPU if there is one, or {ANY_DEVICE}=1 to use this device"
    )
