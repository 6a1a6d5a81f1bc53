"""How fast each engine runs each network: network, decoding, total, start-up, memory, share of the machine's peak.

    python -m benchmarks.engines                                              our own networks, light-coco, OpenPose's
    python -m benchmarks.engines --quick --models light_body
    python -m benchmarks.engines --pythons python ../opencv5/bin/python       with OpenCV 5 in the same run

Every engine runs in its own process; the processes take turns, so that the machine is in the same state for all. A
network without weights gets random ones, which take the same time. Writes engines.md, engines.csv and engines.png.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT, curve, decode, forward, plots, results, shared
from benchmarks.macs import multiply_adds
from benchmarks.program import one_line
from posecv.engines import ENGINES, opencv
from posecv.errors import ModelError, PoseError
from posecv.files import write_whole
from posecv.formats.caffe import read_prototxt
from posecv.formats.conversion import kept_or_converted
from posecv.models import Model

MODELS = ("light_body", "light_hand", "light-coco", "coco", "body_25")
SIZES = ("256x352", "368x496")
FIRST = "opencv"  # the engine that the others are compared with
LEAST = 2  # rounds, however long they take
LONG_START = 4.0  # seconds after which a process is not started again
PAUSE = 0.02  # seconds between two processes' turns; threads of the last one wait for work in a loop at first
COLUMNS = (
    "model", "input", "engine", "version", "network ms", "times as fast", "decoding ms", "total ms", "start-up s",
    "memory MB", "GFLOP/s", "of peak", "date",
)  # fmt: skip
KEY = ("model", "input", "engine", "version")


@dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Attributes
    ----------
    name : str
        In the tables.
    files : tuple of str
        The arguments for `load_network`: a name or a pair.
    random : bool
        Whether its weights are random; then its maps are noise.
    options : tuple of names and values
        Further options of `load_network`.
    """

    name: str
    files: tuple[str, ...]
    model: Model
    random: bool = False
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Job:
    """What a process does: the interpreter that runs it, the network, the engine and the size of the input."""

    python: str
    subject: Subject
    engine: str
    height: int
    width: int

    def words(self) -> list[str]:
        """The command line of the process."""
        said = {
            "files": self.subject.files, "options": dict(self.subject.options), "maps": self.subject.random,
            "engine": self.engine, "height": self.height, "width": self.width,
        }  # fmt: skip
        return [self.python, "-m", "benchmarks.worker", json.dumps(said)]


class Worker:
    """A process that has its first result.

    Attributes
    ----------
    seconds : float
        From its start to the first result.
    version : str
        Of its engine.
    turns : list of dict
        What it measured: a dict of milliseconds for each result.
    memory : float
        Its maximum memory, in MB.

    Raises
    ------
    PoseError
        If the engine is not installed or does not run the network.
    """

    def __init__(self, job: Job) -> None:
        self.turns: list[dict[str, float]] = []
        self.memory = float("nan")
        start = time.perf_counter()
        self.python = job.python
        self.process = subprocess.Popen(
            job.words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_with_our_packages()
        )
        self.version: str = self._answer()["version"]
        self.seconds = time.perf_counter() - start

    def turn(self) -> None:
        """Measure once more."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said = self._answer()
        self.turns += said["times"]
        self.memory = said["memory"]

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        said = json.loads(line) if line else {"refused": f"{self.python} ended without a word"}
        if "refused" in said:
            self.close()
            raise PoseError(said["refused"])
        return said

    def median(self, what: str) -> float:
        """Milliseconds; NaN for what was not measured."""
        return statistics.median(each.get(what, float("nan")) for each in self.turns)


def _with_our_packages() -> dict[str, str]:
    """The environment of a Python that finds the packages of the repository in any folder."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def subject(model: str, folder: Path) -> Subject:
    """A network by its name or pair; if its weights are missing, random ones are written to a folder."""
    if "," in model:
        prototxt, caffemodel = map(Path, model.split(","))
        return Subject(curve.label(model), (str(prototxt), str(caffemodel)), Model("", prototxt, caffemodel))
    try:
        return Subject(model, (model,), shared.find(model))
    except ModelError:
        prototxt, caffemodel = ROOT / "models" / model / "pose.prototxt", folder / f"{model}.caffemodel"
        if not prototxt.is_file():
            raise
        caffemodel.write_bytes(forward.random_weights(prototxt))
        found = Model(model, prototxt, caffemodel)
        for thin in {False, opencv.is_wide(found)}:
            kept_or_converted(prototxt, caffemodel, thin=thin)  # so that no start has to do it
        return Subject(f"{model} (random weights)", (str(prototxt), str(caffemodel)), found, random=True)


def jobs(one: Subject, size: str, pythons: Sequence[str], engines: Sequence[str]) -> Iterator[Job]:
    """The jobs; interpreters after the first one are only used for their OpenCV."""
    height, width = map(int, size.split("x"))
    for python in pythons:
        for engine in engines:
            if engine == "opencv-thin" and not opencv.is_wide(one.model):
                continue  # it would be the same again
            if python == pythons[0] or engine == FIRST:
                yield Job(python, one, engine, height, width)


def started(job: Job, starts: int) -> tuple[Worker, float]:
    """A process, and the median of the seconds to the first result over several starts."""
    worker = Worker(job)
    taken = [worker.seconds]
    while len(taken) < starts and sum(taken) < LONG_START:
        worker.close()
        worker = Worker(job)
        taken.append(worker.seconds)
    return worker, statistics.median(taken)


@contextlib.contextmanager
def working(those: Sequence[Job], starts: int = 1) -> Iterator[dict[Job, tuple[Worker, float]]]:
    """The processes of jobs, with their start-up times; jobs that an engine refuses are reported and left out."""
    workers = {}
    try:
        for job in those:
            try:
                workers[job] = started(job, starts)
            except PoseError as refused:
                print(f"{job.subject.name}: {job.engine} is left out: {refused}", file=sys.stderr)
        yield workers
    finally:
        for worker, _ in workers.values():
            worker.close()


def take_turns(workers: Sequence[Worker], rounds: int, seconds: float) -> None:
    """Let the workers measure in turn for a number of rounds, or until the seconds are over."""
    end = time.perf_counter() + seconds
    for turn in range(rounds):
        if turn >= LEAST and time.perf_counter() > end:
            break
        for worker in workers:
            time.sleep(PAUSE)
            worker.turn()


def gemm_peak(side: int = 2048, rounds: int = 7) -> float:
    """The maximum GFLOP/s of a product of two float32 matrices with NumPy's BLAS."""
    matrix = np.random.default_rng(0).uniform(-1, 1, (side, side)).astype(np.float32)
    return 2 * side**3 / 1e6 / min(decode.milliseconds(lambda: matrix @ matrix) for _ in range(rounds))


def row(job: Job, worker: Worker, start: float, first: float, peak: float) -> results.Row:
    """The figures of a job; `first` is the network's milliseconds in the engine that the others are compared with."""
    network = worker.median("network")
    flops = 2e-6 * multiply_adds(read_prototxt(job.subject.model.prototxt), job.height, job.width) / network
    figures = (
        (network, 1), (first / network, 2), (worker.median("decoding"), 2), (worker.median("total"), 1), (start, 2),
        (worker.memory, 0), (flops, 0), (flops / peak, 2),
    )  # fmt: skip
    told = [job.subject.name, f"{job.height}x{job.width}", job.engine, worker.version]
    told += [results.text(value, digits) for value, digits in figures]
    return dict(zip(COLUMNS, [*told, date.today().isoformat()], strict=True))


def measure(
    those: Sequence[Job], *, rounds: int, seconds: float, peak: float, starts: int = 1
) -> list[results.Row]:
    """The rows of jobs with one network and one size."""
    with working(those, starts) as workers:
        take_turns([worker for worker, _ in workers.values()], rounds, seconds)
        networks = [worker.median("network") for job, (worker, _) in workers.items() if job.engine == FIRST]
        first = networks[0] if networks else float("nan")
        return [row(job, worker, start, first, peak) for job, (worker, start) in workers.items()]


def page(rows: Sequence[results.Row], said: str) -> str:
    """The tables, one for each size of input."""
    parts = [said]
    for size in dict.fromkeys(row["input"] for row in rows):
        parts.append(f"## Input {size}\n")
        columns = [name for name in COLUMNS if name not in ("input", "date")]
        parts.append(results.table(columns, [row for row in rows if row["input"] == size]) + "\n")
    return "\n".join(parts)


def ratios(rows: Sequence[results.Row]) -> dict[str, dict[str, float]]:
    """The speed of the engines compared with the first one, for each network and size."""
    groups: dict[str, dict[str, float]] = {}
    for one in rows:
        group = groups.setdefault(f"{one['model'].split(' (')[0]}\n{one['input']}", {})
        group[f"{one['engine']} {one['version']}"] = results.number(one["times as fast"])
    return groups


def save(folder: Path, rows: Sequence[results.Row], said: Mapping[str, object]) -> str:
    """Write these rows, and those of earlier runs that were not measured again; return the page."""
    every = results.merged(results.kept(folder / "engines.csv"), rows, KEY)
    models = [one["model"] for one in every]
    every.sort(key=lambda one: (one["input"], models.index(one["model"]), one["engine"], one["version"]))
    results.write(folder / "engines.csv", COLUMNS, every)
    text = page(every, "\n".join(f"- {name}: {value}" for name, value in said.items()) + "\n")
    write_whole(folder / "engines.md", f"# Engines\n\n{text}".encode())
    if every:
        plots.bars(ratios(every), folder / "engines.png", ylabel=f"network, times as fast as {FIRST}")
    return text


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "benchmarks" / "results", help="where to write")
    parser.add_argument("--models", nargs="+", default=MODELS, help=f"each {shared.MODEL}")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="heights and widths of the input")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--pythons", nargs="+", default=[sys.executable], help="further ones are timed with OpenCV")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each engine (default: 11)")
    parser.add_argument("--seconds", type=float, default=15, help="of one network at one size, after which to go on")
    parser.add_argument("--starts", type=int, default=3, help="how often each process is started (default: 3)")
    parser.add_argument("--quick", action="store_true", help=f"the smaller size and {LEAST} rounds")
    options = parser.parse_args(argv)
    if options.quick:
        options.sizes, options.rounds = options.sizes[:1], LEAST
    plots.require_matplotlib()
    peak = gemm_peak()
    said = {
        "measured": date.today().isoformat(),
        "with": decode.surroundings(),
        "peak": f"{peak:.0f} GFLOP/s (a float32 product of two matrices in NumPy)",
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["POSECV_CACHE"] = folder
        for one in [subject(model, Path(folder)) for model in options.models]:
            for size in options.sizes:
                those = list(jobs(one, size, options.pythons, options.engines))
                rows = measure(those, rounds=options.rounds, seconds=options.seconds, peak=peak, starts=options.starts)
                text = save(options.folder, rows, said)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
