"""Accuracy over time: networks at several heights of their input, as a table and a plot.

    python -m benchmarks.curve curves                                   our own networks and light-coco
    python -m benchmarks.curve curves --models light_body pose.prototxt,pose.caffemodel --heights 192 256

AP is measured as in accuracy.py; the time is the network's on a 4:3 frame. Needs pycocotools, matplotlib and the
shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import accuracy, decode, forward, plots, shared
from benchmarks.program import one_line
from posecv.engines.network import Network
from posecv.errors import ModelError
from posecv.evaluation import coco, markdown
from posecv.geometry import NetSize
from posecv.models import manifest

YARDSTICK = "light-coco"
HEIGHTS = (160, 176, 192, 224, 256, 320, 368, 448)
FRAME = 640, 480
FIGURES = ("AP", "AP50", "APM", "APL")

Curve = dict[str, list[dict[str, Any]]]  # of each network a row a height


def label(model: str) -> str:
    """A name unchanged; for a pair, its caffemodel and folder."""
    return "/".join(Path(model).with_suffix("").parts[-2:])


def default_networks() -> dict[str, Network]:
    """The networks with part affinity fields that are not fetched from elsewhere, as far as they are there."""
    networks = {}
    for row in manifest():
        if row.skeleton and row.skeleton.paf_channels and not row.mirrors:
            try:
                networks[row.name] = shared.load(row.name)
            except ModelError as error:
                print(error, file=sys.stderr)
    return networks


def forward_times(networks: dict[str, Network], height: int, rounds: int) -> dict[str, float]:
    """Milliseconds of each network for a 4:3 frame: medians; the networks take turns."""
    width, height = NetSize.parse(f"-1x{height}").of_frame(*FRAME)
    blob = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, height, width)).astype(np.float32)
    return {name: statistics.median(taken) for name, taken in forward.in_turn(networks, blob, rounds).items()}


def measure(networks: dict[str, Network], heights: list[int], rounds: int, limit: int | None) -> Curve:
    """All figures. The times come first, so that the machine is in the same state for all."""
    times = {height: forward_times(networks, height, rounds) for height in heights}

    def rows(name: str) -> Iterator[dict[str, Any]]:
        for height in heights:
            figures = accuracy.run(networks[name], shared.evaluation_set(limit), f"-1x{height}")
            yield {"height": height, "ms": times[height][name]} | {figure: figures[figure] for figure in FIGURES}

    return {name: list(rows(name)) for name in networks}


def page(curve: Curve) -> str:
    """The table, with what the times depend on."""
    rows = [
        (name, row["height"], f"{row['ms']:.1f}", *(row[figure] for figure in FIGURES))
        for name in curve
        for row in curve[name]
    ]
    return f"{decode.surroundings()}\n\n{markdown.table(('network', 'height', 'ms', *FIGURES), rows)}\n"


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Write curve.md and curve.png."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write curve.md and curve.png")
    parser.add_argument(
        "--models", nargs="+", help=f"each {shared.MODEL} (default: our own body networks and {YARDSTICK})"
    )
    parser.add_argument("--heights", type=int, nargs="+", default=HEIGHTS, help="of the input, multiples of 16")
    parser.add_argument("--rounds", type=int, default=21, help="how often each forward is timed (default: 21)")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N photographs alone")
    options = parser.parse_args(argv)
    coco.require_pycocotools()
    plots.require_matplotlib()
    shared.evaluation_set(options.limit)  # which must be there, and the times come first
    networks = {label(model): shared.load(model) for model in options.models or ()} or default_networks()
    curve = measure(networks, options.heights, options.rounds, options.limit)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "curve.md").write_text(page(curve), encoding="utf-8")
    styles = {YARDSTICK: {"color": "grey", "linestyle": "--"}}
    plots.precision_over_time(
        curve, options.folder / "curve.png", xlabel="network, ms a frame (4:3)", styles=styles
    )
    print(page(curve), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
