"""Plot a run's loss over crops, with matplotlib.

    python -m training.curve runs/light_body --to models/light_body/loss.png

reads the run's `log.tsv`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from posecv.terminal import ends_unread


@ends_unread
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draw a run's loss over crops.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    from matplotlib.figure import Figure

    batch = int(json.loads((args.run / "arguments.json").read_text())["batch"])
    rows = [line.split("\t") for line in (args.run / "log.tsv").read_text().splitlines()]
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for column, name, style in ((1, "training", "-"), (3, "held-out images", "o")):
        points = [(int(row[0]) * batch / 1000, float(row[column])) for row in rows if len(row) > column]
        axes.plot(*zip(*points, strict=True), style, label=name)
    axes.set(xlabel="thousand crops", ylabel="squared error, nobody = 1")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(args.to, dpi=120)


if __name__ == "__main__":
    main()
