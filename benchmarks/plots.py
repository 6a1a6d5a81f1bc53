"""The benchmarks' plots. matplotlib draws them and is imported when a plot is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posecv.opencv import require_packages

Rows = Sequence[Mapping[str, Any]]


def require_matplotlib() -> None:
    """Raise DeviceError if matplotlib is not installed; call it before hours of measuring."""
    require_packages("matplotlib")


def precision_over_time(
    lines: Mapping[str, Rows], path: Path, *, xlabel: str, styles: Mapping[str, Mapping[str, Any]]
) -> None:
    """Plot AP over milliseconds, two columns of each line's rows; points are labelled with their heights."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, ScalarFormatter

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    for name, rows in lines.items():
        axes.plot(
            [row["ms"] for row in rows], [row["AP"] for row in rows], marker="o", label=name, **styles.get(name, {})
        )
        for row in rows:
            axes.annotate(
                row["height"], (row["ms"], row["AP"]), (-5, 4), textcoords="offset points", ha="right", fontsize=7
            )
    axes.set(xscale="log", xlabel=xlabel, ylabel="COCO AP for keypoints")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter("")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=min(4, len(lines)), fontsize=8)
    figure.savefig(path, dpi=150)


def bars(groups: Mapping[str, Mapping[str, float]], path: Path, *, ylabel: str) -> None:
    """Plot a group of bars for each name, with a bar for each of its series, labelled with its value."""
    from matplotlib.figure import Figure

    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    figure = Figure(figsize=(max(8, 1 + 1.4 * len(groups)), 5), layout="constrained")
    axes = figure.subplots()
    width = 0.85 / len(series)
    for number, name in enumerate(series):
        places = [place for place, group in enumerate(groups.values()) if name in group]
        heights = [group[name] for group in groups.values() if name in group]
        drawn = axes.bar([place + number * width for place in places], heights, width, label=name)
        axes.bar_label(drawn, fmt="%.1f", fontsize=6)
    axes.set_xticks([place + width * (len(series) - 1) / 2 for place in range(len(groups))], list(groups))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=min(4, len(series)), fontsize=8)
    figure.savefig(path, dpi=130)
