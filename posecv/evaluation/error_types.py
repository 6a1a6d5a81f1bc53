"""What is wrong with detections, and what each kind of error costs in AP.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.evaluation.coco import Truth, average_precision, keypoints_of, matches
from posecv.evaluation.people import Table, sigmas_of_names
from posecv.oks import similarities

__all__ = ["KINDS", "classified", "costs", "mirrored", "placed"]

KINDS = ("good", "jitter", "inversion", "swap", "miss")
GOOD, RIGHT, MATCHED = 0.85, 0.5, 0.1  # similarities: of a good keypoint, of a right one, of a matched person

Floats = NDArray[np.float64]
Record = dict[str, Any]


@dataclass(frozen=True)
class Diagnosis:
    """The errors of one matched detection.

    Attributes
    ----------
    kinds : (K,) int array
        Index in `KINDS`; -1 without a label.
    best : (K,) array
        The similarity to the place that decided.
    """

    kinds: NDArray[np.int64]
    best: Floats


def mirrored(names: Sequence[str]) -> list[int]:
    """For each keypoint the index of that on the other side, or its own."""
    swap = {"left": "right", "right": "left"}
    others = ["_".join(swap.get(word, word) for word in name.split("_")) for name in names]
    return [names.index(other) if other in names else index for index, other in enumerate(others)]


def classified(found: Floats, own: Floats, others: Floats, area: float, names: Sequence[str]) -> Diagnosis:
    """Diagnose one detection.

    Parameters
    ----------
    found : (K, 3) array
        x, y, score; 0 in the third column is missing.
    own : (K, 3) array
        The labels of the matched person.
    others : (M, K, 3) array
        The labels of everybody else in the image.
    area : float
        Of the matched person.
    names : sequence of str
    """
    opposite, sigmas = mirrored(names), sigmas_of_names(names)
    is_sided = np.array(opposite) != np.arange(len(names))

    def near(labels: Floats) -> Floats:
        """(..., K) similarity to these places; 0 where there is no label or no detection."""
        away = np.linalg.norm(found[:, :2] - labels[..., :2], axis=-1)
        there = (labels[..., 2] > 0) & (found[:, 2] > 0)
        return np.where(there, similarities(np.where(there, away, np.inf), area, sigmas), 0)

    right = near(own)
    inverted = np.where(is_sided, near(own[opposite]), 0)
    swapped = np.zeros(len(names))
    if len(others):
        swapped = np.maximum(near(others), np.where(is_sided, near(others[:, opposite]), 0)).max(axis=0)
    best = np.max([right, inverted, swapped], axis=0)
    kinds = np.select(
        [best < RIGHT, right >= best, inverted >= best], [4, np.where(right > GOOD, 0, 1), 2], default=3
    )
    return Diagnosis(np.where(own[:, 2] > 0, kinds, -1), best)


def placed(own: Floats, similarity: Floats, area: float, sigmas: Floats) -> Floats:
    """(K, 2) places beside the labels that have these similarities."""
    away = np.sqrt(-2 * np.log(np.clip(similarity, 1e-9, 1)) * area) * 2 * sigmas
    return own[:, :2] + np.column_stack([away, np.zeros_like(away)])


def costs(truth: Truth, results: Sequence[Record]) -> Table:
    """A table: how often each error happens, and the AP after it and those before it in the table are corrected.

    Keypoints are corrected first (a missed one to a similarity of 0.5, a swapped or inverted one to its own place with
    the same similarity, jitter to 0.85), then scores (the OKS), then false people are left out and missed ones added.
    """
    names = keypoints_of(truth)
    sigmas = sigmas_of_names(names)
    rows = {row["id"]: row for row in truth["annotations"]}
    labels = {number: np.array(row["keypoints"], np.float64).reshape(-1, 3) for number, row in rows.items()}
    matched = matches(truth, results, [MATCHED])
    partner = {
        int(number): int(other)
        for number, other, ignored in zip(matched.numbers, matched.partners[0], matched.ignored[0], strict=True)
        if other and not ignored
    }
    neutral = {int(number) for number, ignored in zip(matched.numbers, matched.ignored[0], strict=True) if ignored}
    diagnoses = {
        number: _diagnosed(results[number], rows[other], rows, labels, names) for number, other in partner.items()
    }
    counts = Counter(KINDS[kind] for each in diagnoses.values() for kind in each.kinds[each.kinds >= 0])
    current = [dict(row) for row in results]
    table: list[list[object]] = []
    before = average_precision(truth, current)["AP"]
    table.append(["good", counts["good"], before, float("nan")])

    def step(name: str, count: int) -> None:
        nonlocal before
        after = average_precision(truth, current)["AP"]
        table.append([name, count, after, after - before])
        before = after

    for kind in ("miss", "swap", "inversion", "jitter"):
        for number, diagnosis in diagnoses.items():
            own, area = labels[partner[number]], rows[partner[number]]["area"]
            wrong = diagnosis.kinds == KINDS.index(kind)
            aim = {"miss": np.full(len(names), RIGHT), "jitter": np.full(len(names), GOOD)}.get(kind, diagnosis.best)
            current[number] = _moved(current[number], placed(own, aim, area, sigmas), wrong)
        step(kind, counts[kind])
    for number, row in enumerate(current):
        person = rows[partner[number]] if number in partner else None
        row["score"] = 0.0 if person is None else _oks(row, labels[person["id"]], person["area"], sigmas)
    step("scores", len(current))
    false = [number for number in range(len(current)) if number not in partner and number not in neutral]
    current = [row for number, row in enumerate(current) if number not in set(false)]
    step("false people", len(false))
    missed = [
        row for row in truth["annotations"]
        if row["num_keypoints"] and not row["iscrowd"] and row["id"] not in set(partner.values())
    ]  # fmt: skip
    current += [
        {"image_id": row["image_id"], "category_id": 1, "keypoints": row["keypoints"], "score": 0.0} for row in missed
    ]
    step("missed people", len(missed))
    note = "Of keypoints of people matched at an OKS of 0.1, then of people; AP after correcting all lines so far."
    return Table("Error types", ("error", "how many", "AP when corrected", "cost in AP"), table, note)


def _diagnosed(
    row: Record, person: Record, rows: Mapping[int, Record], labels: Mapping[int, Floats], names: Sequence[str]
) -> Diagnosis:
    found = np.array(row["keypoints"], np.float64).reshape(-1, 3)
    others = [
        labels[number] for number, each in rows.items()
        if each["image_id"] == person["image_id"] and number != person["id"] and each["num_keypoints"]
    ]  # fmt: skip
    return classified(found, labels[person["id"]], np.array(others).reshape(-1, len(names), 3), person["area"], names)


def _moved(row: Record, places: Floats, which: NDArray[np.bool_]) -> Record:
    """The result with some keypoints elsewhere."""
    points = np.array(row["keypoints"], np.float64).reshape(-1, 3)
    points[which, :2], points[which, 2] = places[which], 1
    return {**row, "keypoints": points.ravel().tolist()}


def _oks(row: Record, own: Floats, area: float, sigmas: Floats) -> float:
    points = np.array(row["keypoints"], np.float64).reshape(-1, 3)
    away = np.where(own[:, 2] > 0, np.linalg.norm(points[:, :2] - own[:, :2], axis=1), np.nan)
    return float(np.nanmean(similarities(away, area, sigmas)))
