"""Accuracy and time from a frame to its people, by engine, precision, size of the input and stages.

    python -m benchmarks.trade                     light_body, light-coco, and its first stage
    python -m benchmarks.trade --only times        on an idle machine; AP does not depend on the machine's load
    python -m benchmarks.trade --only accuracy

Models are written as in accuracy.py; @2 after a model uses only its first 2 stages. AP is measured as there, the time
as the total in engines.py for a 4:3 frame. Writes trade.md, trade.csv and trade.png; rows that are not measured again
stay. Needs pycocotools, matplotlib and the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import ROOT, accuracy, curve, decode, engines, plots, results, shared
from benchmarks.program import one_line
from posecv.engines import ENGINES, Engine
from posecv.errors import PoseError
from posecv.evaluation import coco
from posecv.files import write_whole
from posecv.geometry import NetSize

MODELS = ("light_body", "light-coco", "light-coco@1")
HEIGHTS = (192, 256, 368)
KEY = ("model", "engine", "height")
COLUMNS = (*KEY, "precision", "ms", *curve.FIGURES, "date")
PRECISIONS = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}  # as OpenVINO calls them
LINES = ("-", "--", ":", "-.")


def staged(model: str) -> tuple[str, dict[str, Any]]:
    """A model and the options of `load_network` that its name says."""
    found = re.fullmatch(r"(.+)@(\d+)", model)
    return (found[1], {"stages": int(found[2])}) if found else (model, {})


def label(model: str) -> str:
    """A model's name in the tables."""
    name, options = staged(model)
    return "@".join([curve.label(name), *map(str, options.values())])


def subject(model: str, folder: Path) -> engines.Subject:
    """A network, and the options for loading it."""
    name, options = staged(model)
    return replace(engines.subject(name, folder), name=label(model), options=tuple(options.items()))


def precision(engine: Engine) -> str:
    """The precision of an engine, from its note; OpenCV has no note and computes in single precision."""
    found = re.search(r"computes in (\w+)", engine.note)
    return PRECISIONS.get(found[1], found[1]) if found else "float32"


def times(
    models: Sequence[str], names: Sequence[str], heights: Sequence[int], rounds: int, seconds: float
) -> Iterator[results.Row]:
    """The milliseconds of every network and engine; at each height they take turns."""
    with tempfile.TemporaryDirectory() as folder:
        subjects = [subject(model, Path(folder)) for model in models]
        for height in heights:
            width, _ = NetSize.parse(f"-1x{height}").of_frame(*curve.FRAME)
            those = [job for one in subjects for job in engines.jobs(one, f"{height}x{width}", [sys.executable], names)]
            with engines.working(those) as workers:
                engines.take_turns([worker for worker, _ in workers.values()], rounds, seconds)
                for job, (worker, _) in workers.items():
                    key = dict(zip(KEY, (job.subject.name, job.engine, str(height)), strict=True))
                    yield key | {"ms": results.text(worker.median("total"), 1), "date": date.today().isoformat()}


def precisions(
    models: Sequence[str], names: Sequence[str], heights: Sequence[int], limit: int | None
) -> Iterator[results.Row]:
    """The average precision of every network, engine and height."""
    for model in models:
        pair, options = staged(model)
        for name in names:
            try:
                network = shared.load(pair, name, **options)
            except PoseError as error:
                print(f"{model}: {name} is left out: {error}", file=sys.stderr)
                continue
            for height in heights:
                figures = accuracy.run(network, shared.evaluation_set(limit), f"-1x{height}")
                key = dict(zip(KEY, (label(model), name, str(height)), strict=True))
                told = {figure: results.text(figures[figure], 3) for figure in curve.FIGURES}
                yield key | told | {"precision": precision(network.engine), "date": date.today().isoformat()}


def plot(rows: Sequence[results.Row], path: Path) -> None:
    """Plot AP over milliseconds, with a colour for each engine and a line style for each network."""
    lines: dict[str, list[dict[str, object]]] = {}
    styles = {}
    models, names = (list(dict.fromkeys(row[column] for row in rows)) for column in ("model", "engine"))
    for row in rows:
        engine, computes = row["engine"], row["precision"]
        name = f"{row['model']}, {engine}" + ("" if engine.endswith(computes) else f" {computes}")
        point = {"ms": float(row["ms"]), "AP": float(row["AP"]), "height": row["height"]}
        lines.setdefault(name, []).append(point)
        kind = LINES[models.index(row["model"]) % len(LINES)]
        styles[name] = {"color": f"C{names.index(engine)}", "linestyle": kind}
    plots.precision_over_time(lines, path, xlabel="from a frame (4:3) to its people, ms", styles=styles)


def save(folder: Path, rows: Sequence[results.Row]) -> list[results.Row]:
    """Store rows in the folder; return all rows there."""
    every = results.merged(results.kept(folder / "trade.csv"), rows, KEY)
    models = [row["model"] for row in every]
    every.sort(key=lambda row: (models.index(row["model"]), row["engine"], int(row["height"])))
    results.write(folder / "trade.csv", COLUMNS, every)
    return results.kept(folder / "trade.csv")


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "benchmarks" / "results", help="where to write")
    parser.add_argument("--models", nargs="+", default=MODELS, help=f"each {shared.MODEL}")
    parser.add_argument("--engines", nargs="+", default=[name for name in ENGINES if name != "opencv-thin"])
    parser.add_argument("--heights", type=int, nargs="+", default=HEIGHTS, help="of the input, multiples of 16")
    parser.add_argument("--only", choices=("times", "accuracy"), help="one of the two")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each (default: 11)")
    parser.add_argument("--seconds", type=float, default=20, help="of one height, after which to go on")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N photographs alone")
    options = parser.parse_args(argv)
    plots.require_matplotlib()
    if options.only != "times":
        coco.require_pycocotools()
        shared.evaluation_set(options.limit)
    wanted = options.models, options.engines, options.heights
    if options.only != "accuracy":
        save(options.folder, list(times(*wanted, options.rounds, options.seconds)))
    if options.only != "times":
        for row in precisions(*wanted, options.limit):
            save(options.folder, [row])
    every = save(options.folder, [])
    said = f"{decode.surroundings()}\n\n{results.table(COLUMNS, every)}\n"
    write_whole(options.folder / "trade.md", f"# Accuracy and time\n\n{said}".encode())
    if whole := [row for row in every if row["ms"] and row["AP"]]:
        plot(whole, options.folder / "trade.png")
    print(said, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
