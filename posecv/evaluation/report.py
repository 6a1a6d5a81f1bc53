"""The figures of one or several models on the same images, as data, Markdown, CSV and one HTML page."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posecv.evaluation import bootstrap, markdown
from posecv.evaluation.calibration import calibration, sparsification
from posecv.evaluation.coco import FIGURES, Matches, Truth, average_precision, keypoints_of, matches
from posecv.evaluation.error_types import costs
from posecv.evaluation.groups import Facts, case_tables, hard_keypoints, labelled_groups, seen_groups
from posecv.evaluation.people import Match, Table, by_height, by_keypoint, of_truth
from posecv.evaluation.results import Detections

__all__ = ["ModelReport", "compared", "csv_of", "html_of", "markdown_of", "measured", "summary"]

THRESHOLD = 0.5  # of OKS, from which on a detection is right


@dataclass(frozen=True)
class ModelReport:
    """What is known about one model.

    Attributes
    ----------
    name : str
    figures : mapping of str to float
        COCO's ten, `AP_all` without a threshold of persons, `precision`, `false_people` an image, `ECE`, `AUSE`, `ms`.
    intervals : mapping of str to (float, float)
        95 % by the bootstrap over images.
    tables : tuple of Table
    people : tuple of Match
        The labelled people.
    draws : (D,) array
        The AP of each draw, for paired differences.
    """

    name: str
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    tables: tuple[Table, ...]
    people: tuple[Match, ...]
    draws: Any


def measured(
    truth: Truth,
    found: Detections,
    *,
    draws: int = bootstrap.DRAWS,
    facts: Mapping[int, Facts] | None = None,
    cases: Mapping[str, set[int]] | None = None,
) -> ModelReport:
    """All figures and tables of one model.

    Parameters
    ----------
    truth : dict
        As `posecv.evaluation.annotations.read_labels` gives it.
    found : Detections
    draws : int
        Of the bootstrap; 0 for no intervals.
    facts : mapping, optional
        What each image looks like, for the groups of images.
    cases : mapping of str to set of int, optional
        Ids of images by the name of their case.
    """
    kept = found.kept
    names = keypoints_of(truth)
    figures = average_precision(truth, kept)
    figures = {name: value if value >= 0 else math.nan for name, value in figures.items()}  # -1: nobody of that size
    figures["AP_all"] = average_precision(truth, found.every)["AP"]
    matched = matches(truth, kept)
    people = of_truth(truth, found.arrays(truth), found.scales)
    images = len(truth["images"])
    right, counted = matched.right[0], ~matched.ignored[0]
    wrong = counted & ~right
    figures["precision"] = float(right.sum() / counted.sum()) if counted.any() else math.nan
    figures["false_people"] = float(wrong.sum() / images)
    scored = calibration(matched.scores[counted], right[counted])
    figures["ECE"] = scored.error
    similar = np.concatenate([np.zeros(0), *(each.similarity for each in people)])
    confident = np.concatenate([np.zeros(0), *(each.confidence for each in people)])
    seen = ~np.isnan(similar) & (confident > 0)
    figures["AUSE"] = sparsification(1 - confident[seen], 1 - similar[seen]).ause
    milliseconds = [1000 * value for value in found.seconds.values() if math.isfinite(value)]
    figures["ms"] = float(np.median(milliseconds)) if milliseconds else math.nan
    counts = bootstrap.drawn(images, draws)
    values = bootstrap.precisions(matched, counts)
    tables = [
        by_keypoint(people, names), by_height(people, found.net_height), labelled_groups(people, truth),
        hard_keypoints(people, names), costs(truth, kept), _calibrated(scored),
    ]  # fmt: skip
    tables += [seen_groups(people, facts)] if facts else []
    tables += [case_tables(people, dict(cases))] if cases else []
    intervals = _intervals(matched, wrong, values, counts)
    return ModelReport(found.name, figures, intervals, tuple(tables), tuple(people), values)


def _intervals(matched: Matches, wrong: Any, values: Any, counts: Any) -> dict[str, tuple[float, float]]:
    """The intervals of the figures that images are drawn for."""
    images = np.ones(len(matched.people))
    of_image = np.bincount(matched.images[wrong], minlength=len(images)).astype(np.float64)
    false = bootstrap.rates(of_image, images, counts)
    at50 = bootstrap.precisions(matched, counts, lambda precisions: float(precisions[0]))
    return {
        "AP": bootstrap.interval(values), "AP50": bootstrap.interval(at50), "false_people": bootstrap.interval(false),
    }  # fmt: skip


def _calibrated(scored: Any) -> Table:
    rows = list(zip(scored.scores.tolist(), scored.right.tolist(), scored.counts.tolist(), strict=True))
    note = f"A person is right from an OKS of {THRESHOLD} on."
    return Table("Scores of people and how often they are right", ("mean score", "right", "people"), rows, note)


def compared(reports: Sequence[ModelReport]) -> Table | None:
    """Differences of AP from the first model, drawn from the same images; None for a single model."""
    if len(reports) < 2:
        return None
    first = reports[0]
    rows = []
    for each in reports[1:]:
        low, high = bootstrap.interval(each.draws - first.draws)
        rows.append((each.name, each.figures["AP"] - first.figures["AP"], low, high))
    note = "95 % of the differences, when images are drawn with replacement."
    return Table(f"Difference of AP from {first.name}", ("model", "AP", "from", "to"), rows, note)


def summary(reports: Sequence[ModelReport], images: int) -> dict[str, Any]:
    """What summary.json holds; figures that are not known are null."""
    models = {}
    for report in reports:
        figures: dict[str, Any] = {name: _known(value) for name, value in report.figures.items()}
        figures["intervals"] = {name: [_known(side) for side in pair] for name, pair in report.intervals.items()}
        models[report.name] = figures
    result: dict[str, Any] = {"images": images, "models": models}
    if table := compared(reports):
        keys = "difference", "from", "to"
        result["compared_with"] = reports[0].name
        result["differences"] = {
            str(name): dict(zip(keys, map(_known, values), strict=True)) for name, *values in table.rows
        }
    return result


def _known(value: Any) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def overview(reports: Sequence[ModelReport]) -> Table:
    """A row for each model."""
    names = [*FIGURES, "AP_all", "precision", "false_people", "ECE", "AUSE", "ms"]
    rows = []
    for each in reports:
        low, high = each.intervals["AP"]
        between = f"{low:.3f} to {high:.3f}" if math.isfinite(low) else ""
        rows.append([each.name, *(each.figures[name] for name in names), between])
    note = (
        "AP: the default options; AP_all: without a threshold of persons. precision, false_people (an image): persons "
        "from an OKS of 0.5 on. ECE: of persons' scores. AUSE: of keypoints' scores. ms: median from frame to people."
    )
    return Table("Models", ("model", *names, "95 % of AP"), rows, note)


def tables_of(reports: Sequence[ModelReport]) -> list[tuple[str, Table]]:
    """All tables with their headings."""
    listed = [("", overview(reports))]
    if table := compared(reports):
        listed.append(("", table))
    return listed + [(report.name, table) for report in reports for table in report.tables]


def markdown_of(reports: Sequence[ModelReport], images: int) -> str:
    """The report as Markdown."""
    blocks = [f"# Evaluation on {images} images"]
    for model, table in tables_of(reports):
        title = f"{model}: {table.title[0].lower()}{table.title[1:]}" if model else table.title
        blocks += [f"## {title}", markdown.table(table.header, table.rows)] + ([table.note] if table.note else [])
    return "\n\n".join(blocks) + "\n"


def csv_of(reports: Sequence[ModelReport]) -> str:
    """A row for each figure of each model: model, figure, value, from, to."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("model", "figure", "value", "from", "to"))
    for report in reports:
        for name, value in report.figures.items():
            pair = report.intervals.get(name, (math.nan, math.nan))
            numbers = ["" if math.isnan(each) else round(each, 6) for each in (value, *pair)]
            writer.writerow((report.name, name, *numbers))
    return file.getvalue()


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0; display: block; overflow-x: auto }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
h2 { margin-top: 2rem; font-size: 1.1rem } p.note { color: #555 } figure { display: inline-block; margin: .4rem }
figure img, svg { max-width: 100%; height: auto } figcaption { font-size: .8rem; color: #555 }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } table { font-size: 11px } }
"""


def html_of(reports: Sequence[ModelReport], images: int, figures: Sequence[str] = ()) -> str:
    """The report as one page that needs nothing else; `figures` are further pieces of HTML."""
    blocks = [f"<h1>Evaluation on {images} images</h1>"]
    for model, table in tables_of(reports):
        title = f"{model}: {table.title}" if model else table.title
        head = "".join(f"<th>{html.escape(name)}</th>" for name in table.header)
        rows = ["".join(f"<td>{html.escape(markdown.text(value))}</td>" for value in row) for row in table.rows]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        blocks.append(f"<h2>{html.escape(title)}</h2>")
        blocks.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        blocks += [f'<p class="note">{html.escape(table.note)}</p>'] if table.note else []
    page = "\n".join([*blocks, *figures])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>posecv evaluate</title><style>{STYLE}</style>\n{page}\n</html>\n"
    )
