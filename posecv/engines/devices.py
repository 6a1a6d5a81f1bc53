"""OpenCV's devices: which are there, and whether a network really runs on the one that was asked for.

OpenCV never refuses. It runs on the CPU what a device has no kernels for, single layers or the whole network, and says
so in its log at best. So what can be known beforehand is an error here, and the rest is looked up after a forward pass.
"""

from __future__ import annotations

import os
import re

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
# As `cv2.dnn.Net.dump` calls what runs a layer.
RUNNERS = {"cpu": "OCV/CPU", "cuda": "CUDA/CUDA", "cuda-fp16": "CUDA/CUDA_FP16", "opencl": "OCV/OCL"}
LAYER = re.compile(r'label="\{?(?P<name>.*?)\\n(?P<type>.*?)\\n.*?(?P<runner>[A-Z]+/[A-Z0-9_]+)\\n')
GPU = 4  # cv2.ocl.Device_TYPE_GPU
ANY_DEVICE = "OPENCV_DNN_OPENCL_ALLOW_ALL_DEVICES"


def choose_device(device: str) -> str:
    """The device that `device` stands for, if this OpenCV has it; DeviceError if not."""
    if device != "auto" and device not in DEVICES:
        raise UsageError(f"device={device} is unknown; there are auto, {', '.join(DEVICES)}")
    if device == "auto":
        return "cuda" if _available("cuda") else "cpu"
    missing = _why_no_cuda(device) if device.startswith("cuda") else _why_no_opencl() if device == "opencl" else None
    if missing:
        raise DeviceError(f"device={device}: this OpenCV {cv2.__version__} {missing}, or use device=cpu")
    return device


def fallen_back(dump: str, device: str) -> str:
    """A line about the layers of a network that run on the CPU instead of the device; empty where none does.

    Parameters
    ----------
    dump : str
        What `cv2.dnn.Net.dump` says after a forward pass.
    device : str
        Where the network was to run.

    Notes
    -----
    With CUDA it is said of each layer. With OpenCL it is said of all at once: whether a layer has no kernel for what it
    is given shows in nothing that OpenCV tells. OpenCV 5's new engine, which has no OpenCL, names no layer's device.
    """
    layers = [match for match in LAYER.finditer(dump) if match["name"] != "_input"]
    others = [layer for layer in layers if layer["runner"] != RUNNERS[device]]
    if not layers and device.startswith("cuda"):
        return f"device={device}: this OpenCV does not tell what runs on the GPU; compare the times with device=cpu"
    if layers and not others:
        return ""
    if {layer["runner"] for layer in others} == {RUNNERS["cuda"]} and device == "cuda-fp16":
        return "device=cuda-fp16: this GPU has no half floats for OpenCV, which computes in single ones instead"
    if len(others) == len(layers):
        return f"device={device}: OpenCV runs this network on the CPU instead"
    kinds = ", ".join(sorted({layer["type"] for layer in others}))
    return f"device={device}: {len(others)} of {len(layers)} layers run on the CPU instead ({kinds}), which is slow"


def _available(device: str) -> bool:
    """Whether cv2.dnn lists a device. (To ask it for one that is not there fails late or falls back in silence.)"""
    backend, target = DEVICES[device]
    return target in cv2.dnn.getAvailableTargets(backend)


def _why_no_cuda(device: str) -> str | None:
    """What is missing for CUDA and how to get it; None where nothing is."""
    if _available(device):
        return None
    if _available("cuda"):
        return "finds no half floats in this GPU: use device=cuda"
    if not re.search(r"^\s*NVIDIA CUDA:\s*YES", cv2.getBuildInformation(), re.MULTILINE):
        return (
            "has no CUDA for networks; build it from source with WITH_CUDA=ON and OPENCV_DNN_CUDA=ON, which the wheels "
            "on PyPI are not"
        )
    if cv2.cuda.getCudaEnabledDeviceCount() < 1:
        return "has CUDA and finds no GPU; see whether nvidia-smi lists it and its driver is as new as that CUDA"
    return (
        "has CUDA, but none for networks on this GPU; build it with OPENCV_DNN_CUDA=ON, with cuDNN, and with this GPU "
        "in CUDA_ARCH_BIN"
    )


def _why_no_opencl() -> str | None:
    """What is missing for OpenCL and how to get it; None where nothing is."""
    if not _available("opencl"):
        return "has no OpenCL for networks; install the OpenCL driver of your GPU's maker"
    found = cv2.ocl.Device.getDefault()
    if found.type() == GPU or os.environ.get(ANY_DEVICE, "").lower() in ("1", "true"):
        return None
    return (
        f"runs networks on GPUs alone, and its OpenCL device is {found.name()}; OPENCV_OPENCL_DEVICE=:GPU: picks a GPU "
        f"if there is one, {ANY_DEVICE}=1 takes this one"
    )
