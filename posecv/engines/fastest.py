"""Choose the fastest installed engine by a short measurement, which is remembered.

Engines are compared once for each machine, set of engines, network and input size. A file in the user's cache folder
(or `$POSECV_CACHE`) stores the winner. You can delete it at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import time
from dataclasses import replace

import cv2
import numpy as np

from posecv.arrays import Array
from posecv.engines import ENGINES, opencv
from posecv.engines.engine import Engine
from posecv.errors import OutputError, PoseError
from posecv.files import write_whole
from posecv.formats.conversion import kept_folder
from posecv.memory import free_memory
from posecv.models import Model, sha256_of

__all__ = ["candidates", "load_fastest"]

COMPARED = {"openvino": "openvino", "onnxruntime": "onnxruntime"}  # engine -> package, except OpenCV
SHORT = 0.5  # seconds; a forward pass that takes longer is timed once
RUNS = 5
THIN_MEMORY = 20  # times the caffemodel's bytes; the measured additional memory was 12 times (COCO, OpenCV 4.14)


def candidates(model: Model) -> dict[str, str]:
    """The engines that `auto` compares for a model, and their versions; OpenCV first."""
    thin = opencv.is_wide(model) and _has_memory_for_thin(model)
    versions = dict.fromkeys(["opencv", "opencv-thin"] if thin else ["opencv"], cv2.__version__)
    for engine, package in COMPARED.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[engine] = importlib.metadata.version(package)
    return versions


def _has_memory_for_thin(model: Model) -> bool:
    """Whether there is enough memory for OpenCV's tables for 3 x 3 convolutions, many times the size of the weights."""
    left = free_memory()
    try:
        return left is not None and left > THIN_MEMORY * model.caffemodel.stat().st_size
    except OSError:
        return False  # `load` reports the error


def load_fastest(model: Model, height: int, width: int) -> Engine:
    """The engine that runs the network fastest on the CPU, for an input of about the given size.

    Raises
    ------
    ModelError
        If OpenCV cannot read the network. Optional engines that cannot read it are skipped, with a `warning` in the
        result.
    """
    versions = candidates(model)
    if len(versions) == 1:
        return ENGINES["opencv"](model, "cpu")
    machine = (platform.node(), platform.machine(), os.cpu_count())
    key = repr((machine, sorted(versions.items()), sha256_of(model.prototxt), model.stages, height, width))
    note = kept_folder("engines") / f"{hashlib.sha256(key.encode()).hexdigest()}.txt"
    with contextlib.suppress(OSError, UnicodeDecodeError, PoseError):
        if (winner := note.read_text(encoding="utf-8").strip()) in versions:
            return ENGINES[winner](model, "cpu")
    engine = _compared(model, list(versions), np.zeros((1, 3, height, width), np.float32))
    with contextlib.suppress(OutputError):
        write_whole(note, engine.name.encode())
    return engine


def _compared(model: Model, names: list[str], blob: Array) -> Engine:
    """The fastest engine for a blob."""
    best, least, told, refused = ENGINES["opencv"](model, "cpu"), np.inf, [], []
    for name in names:
        try:
            engine = best if name == "opencv" else ENGINES[name](model, "cpu")
            seconds = _seconds(engine, blob)
        except PoseError as error:
            if name == "opencv":
                raise
            refused.append(f"{error}; using another engine")
            continue
        told.append(f"{name} {1000 * seconds:.0f} ms")
        best, least = (engine, seconds) if seconds < least else (best, least)
    notes = [best.note, f"engines compared: {', '.join(told)}"]
    return replace(best, note="; ".join(filter(None, notes)), warning="; ".join(refused))


def _seconds(engine: Engine, blob: Array) -> float:
    """Seconds of a forward pass, the minimum of several."""
    first = _once(engine, blob)
    return min(_once(engine, blob) for _ in range(1 if first > SHORT else RUNS))


def _once(engine: Engine, blob: Array) -> float:
    start = time.perf_counter()
    engine.forward(blob)
    return time.perf_counter() - start
