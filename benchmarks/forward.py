"""How fast networks are: milliseconds of a forward pass in OpenCV, and ratios.

    python -m benchmarks.forward                                  our own networks, light-coco, OpenPose's COCO network
    python -m benchmarks.forward light_body light-coco --size 184x256
    python -m benchmarks.forward coco --stages --rounds 5         only the first 1, 2, ... stages

A network without weights is timed with random ones, which take the same time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import ROOT, decode, shared
from benchmarks.program import one_line
from posecv.engines import ENGINES
from posecv.engines.network import Network, load_network
from posecv.errors import ModelError
from posecv.evaluation import markdown
from posecv.formats.caffe import layers_of, read_prototxt, write_caffemodel
from posecv.formats.stages import count_stages
from posecv.models import manifest

OTHERS = ("light-coco", "coco")


def random_weights(prototxt: Path) -> bytes:
    """A caffemodel for the convolutions and PReLUs of a prototxt."""
    rng = np.random.default_rng(0)
    channels = {"image": 3}
    weights = {}
    for layer in layers_of(read_prototxt(prototxt)):
        bottoms, top = layer.get("bottom", []), layer["top"][0]
        if layer["type"][0] == "Convolution":
            param = layer["convolution_param"][0]
            outputs, kernel, group = (param.get(name, [1])[0] for name in ("num_output", "kernel_size", "group"))
            shape = outputs, channels[bottoms[0]] // group, kernel, kernel
            weights[layer["name"][0]] = [rng.normal(0, 0.01, shape), np.zeros(outputs)]
            channels[top] = outputs
        elif bottoms:
            if layer["type"][0] == "PReLU":
                weights[layer["name"][0]] = [np.full(channels[bottoms[0]], 0.25)]
            channels[top] = sum(channels[bottom] for bottom in bottoms)
    return write_caffemodel(weights)


def load(name: str, engine: str = "opencv", stages: int | None = None) -> Network:
    """A network by its name, with random weights if its own are missing."""
    try:
        return shared.load(name, engine, stages)
    except ModelError:
        prototxt = ROOT / "models" / name / "pose.prototxt"
        if not prototxt.is_file():
            raise
        with tempfile.TemporaryDirectory() as folder:
            caffemodel = Path(folder) / "random.caffemodel"
            caffemodel.write_bytes(random_weights(prototxt))
            return load_network(prototxt, caffemodel, engine=engine, stages=stages)


def in_turn(networks: dict[str, Network], blob: NDArray[np.float32], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each network's forward passes; they take turns, so that the machine is in the same state."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(1 + rounds):
        for name, network in networks.items():
            times[name].append(decode.milliseconds(partial(network.maps, blob)))
    return {name: taken[1:] for name, taken in times.items()}  # the first pass makes the network ready


def ratio(times: list[float], others: list[float]) -> str:
    """How many times as fast as others, in the same rounds."""
    return f"{statistics.median(b / a for a, b in zip(times, others, strict=True)):.1f}"


def of_networks(models: Sequence[str], engine: str, blob: NDArray[np.float32], rounds: int) -> str:
    """A table with a row for each network, compared with others' networks."""
    times = in_turn({name: load(name, engine) for name in models}, blob, rounds)
    others = [name for name in OTHERS if name in times]
    rows = [
        (name, f"{statistics.median(taken):.1f}", *(ratio(taken, times[other]) for other in others))
        for name, taken in times.items()
    ]
    return markdown.table(("network", "ms", *(f"times as fast as {other}" for other in others)), rows)


def of_stages(models: Sequence[str], engine: str, blob: NDArray[np.float32], rounds: int) -> str:
    """A table with a row for each network and number of its stages, compared with all of them."""
    rows = []
    for name in models:
        whole = load(name, engine)
        count = count_stages(read_prototxt(whole.model.prototxt))
        networks = {str(stages): load(name, engine, stages) for stages in range(1, count)} | {str(count): whole}
        times = in_turn(networks, blob, rounds)
        rows += [
            (name, stages, f"{statistics.median(taken):.1f}", ratio(taken, times[str(count)]))
            for stages, taken in times.items()
        ]
    return markdown.table(("network", "stages", "ms", "times as fast as with all"), rows)


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    own = [row.name for row in manifest() if not row.mirrors and row.name not in OTHERS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=[*own, *OTHERS], help=shared.MODEL)
    parser.add_argument("--size", default="256x352", help="height and width of the input")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--engine", choices=ENGINES, default="opencv")
    parser.add_argument("--stages", action="store_true", help="compare the numbers of stages that run")
    options = parser.parse_args(argv)
    height, width = map(int, options.size.split("x"))
    blob = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, height, width)).astype(np.float32)
    table = of_stages if options.stages else of_networks
    print(f"{decode.surroundings()}, input {height} x {width}, engine {options.engine}\n")
    print(table(options.models, options.engine, blob, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
