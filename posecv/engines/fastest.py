"""Choose the fastest installed engine by a short measurement, which is remembered.

Engines are compared for each machine, set of engines and versions, network and input size, and again after some days:
another program may have disturbed a measurement. A file in the user's cache folder (or `$POSECV_CACHE`) stores the
winner. You can delete it at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from posecv.arrays import Array
from posecv.engines import ENGINES, opencv
from posecv.engines.engine import Engine
from posecv.errors import ModelError, OutputError, PoseError
from posecv.files import write_whole
from posecv.formats.conversion import kept_folder
from posecv.memory import free_memory
from posecv.models import Model, sha256_of

__all__ = ["candidates", "load_fastest"]

COMPARED = {"openvino": "openvino", "onnxruntime": "onnxruntime"}  # engine -> package, except OpenCV
SHORT = 0.5  # seconds; a network that takes longer runs less often
ROUNDS, RUNS = 3, 2  # every engine runs in every round, so that a busy second disturbs all of them
SLOW_ROUNDS, SLOW_RUNS = 2, 1
DAYS = 14  # a choice that is older is measured again
PATIENCE = 30.0  # seconds that an optional engine may take for loading or a pass, besides WORSE times OpenCV's
WORSE = 10
THIN_MEMORY = 20  # times the caffemodel's bytes; the measured additional memory was 12 times (COCO, OpenCV 4.14)

T = TypeVar("T")
Clock = Callable[[], float]


def candidates(model: Model, *, free: Callable[[], int | None] = free_memory) -> dict[str, str]:
    """The engines that `auto` compares for a model, and their versions; OpenCV first."""
    thin = opencv.is_wide(model) and _has_memory_for_thin(model, free())
    versions = dict.fromkeys(["opencv", "opencv-thin"] if thin else ["opencv"], cv2.__version__)
    for engine, package in COMPARED.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[engine] = importlib.metadata.version(package)
    return versions


def _has_memory_for_thin(model: Model, left: int | None) -> bool:
    """Whether there is enough memory for OpenCV's tables for 3 x 3 convolutions, many times the size of the weights."""
    try:
        return left is not None and left > THIN_MEMORY * model.caffemodel.stat().st_size
    except OSError:
        return False  # `load` reports the error


def load_fastest(
    model: Model,
    height: int,
    width: int,
    *,
    versions: Mapping[str, str] | None = None,
    clock: Clock = time.perf_counter,
    today: Clock = time.time,
    patience: float = PATIENCE,
) -> Engine:
    """The engine that runs the network fastest on the CPU, for an input of about the given size.

    `versions` are the engines to compare, by default the `candidates`; `clock` measures them in seconds, and `today`
    is the time in seconds since 1970. An optional engine that gives no result within about `patience` seconds is
    skipped.

    Raises
    ------
    ModelError
        If OpenCV cannot read the network. Optional engines that cannot read it are skipped, with a `warning` in the
        result.
    """
    versions = candidates(model) if versions is None else versions
    if len(versions) == 1:
        return ENGINES["opencv"](model, "cpu")
    machine = (platform.node(), platform.machine(), os.cpu_count())
    key = repr((machine, sorted(versions.items()), sha256_of(model.prototxt), model.stages, height, width))
    note = kept_folder("engines") / f"{hashlib.sha256(key.encode()).hexdigest()}.txt"
    with contextlib.suppress(OSError, ValueError, PoseError):
        winner, seconds = note.read_text(encoding="utf-8").split()
        days = (today() - float(seconds)) / 86400
        if winner in versions and 0 <= days < DAYS:
            engine = ENGINES[winner](model, "cpu")
            told = f"{winner} was the fastest engine {days:.0f} days ago; measured again after {DAYS} days"
            return replace(engine, note="; ".join(filter(None, [engine.note, told])))
    engine = _compared(model, list(versions), np.zeros((1, 3, height, width), np.float32), clock, patience)
    with contextlib.suppress(OutputError):
        write_whole(note, f"{engine.name} {today():.0f}\n".encode())
    return engine


def _compared(model: Model, names: list[str], blob: Array, clock: Clock, patience: float) -> Engine:
    """The fastest engine for a blob."""
    engines = {"opencv": ENGINES["opencv"](model, "cpu")}
    first = _once(engines["opencv"], blob, clock)
    limit = patience + WORSE * first
    seconds, refused = {"opencv": np.inf}, []
    for name in names:
        if name != "opencv":
            try:
                engines[name] = _within(limit, name, lambda name=name: _warm(model, name, blob))  # type: ignore[misc]
            except PoseError as error:
                refused.append(f"{error}; using another engine")
    rounds, runs = (SLOW_ROUNDS, SLOW_RUNS) if first > SHORT else (ROUNDS, RUNS)
    for name in [*engines] * rounds:
        if name not in engines:
            continue  # it failed in an earlier round
        try:
            passes = [_within(limit, name, lambda name=name: _once(engines[name], blob, clock)) for _ in range(runs)]  # type: ignore[misc]
            seconds[name] = min(seconds.get(name, np.inf), *passes)
        except PoseError as error:
            if name == "opencv":
                raise
            refused.append(f"{error}; using another engine")
            del engines[name]
    best = engines[min(engines, key=lambda name: seconds[name])]
    told = ", ".join(f"{name} {1000 * seconds[name]:.0f} ms" for name in engines)
    notes = [best.note, f"engines compared: {told}"]
    return replace(best, note="; ".join(filter(None, notes)), warning="; ".join(filter(None, [best.warning, *refused])))


def _warm(model: Model, name: str, blob: Array) -> Engine:
    """A loaded engine after its first pass, which prepares it."""
    engine = ENGINES[name](model, "cpu")
    engine.forward(blob)
    return engine


def _once(engine: Engine, blob: Array, clock: Clock) -> float:
    """Seconds of a forward pass."""
    start = clock()
    engine.forward(blob)
    return clock() - start


def _within(limit: float, name: str, work: Callable[[], T]) -> T:
    """The result of an engine's work; ModelError if it takes longer than `limit` seconds.

    OpenVINO 2026.4 never returns from some networks in bfloat16. OpenCV has no limit, because nothing can replace it.
    """
    if name in ("opencv", "opencv-thin"):
        return work()
    answers: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(work())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=answer, name=f"posecv tries {name}", daemon=True).start()
    try:
        found = answers.get(timeout=limit)
    except queue.Empty:
        raise ModelError(f"engine={name} gave no result within {limit:.0f} s") from None
    if isinstance(found, BaseException):
        raise found
    return found
