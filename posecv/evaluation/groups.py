"""Difficult cases: groups of labelled people and of images, and how much is found in each."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Frame
from posecv.errors import InputError, reason
from posecv.evaluation.annotations import CROWD_SPLITS, crowd_index
from posecv.evaluation.coco import Truth, keypoints_of
from posecv.evaluation.people import SIMILAR, Match, Table, found_of, share
from posecv.skeletons import COCO_17

__all__ = ["Facts", "case_tables", "facts_of_frame", "hard_keypoints", "labelled_groups", "pose_distance", "read_cases",
           "seen_groups"]  # fmt: skip

Floats = NDArray[np.float64]
Cases = dict[str, set[int]]

HARD = {"knees": "knee", "ankles": "ankle", "hips": "hip"}
SIDES = (0.0, 32.0, 64.0, 96.0, 128.0, math.inf)  # roots of areas
OVERLAPS = ((0.0, 0.0), (1.0, 2.0), (3.0, math.inf))
VISIBLE = ((1, 5), (6, 10), (11, 15), (16, 17))
TOUCHING = 0.1  # IoU from which on people overlap
EDGE = 2.0  # pixels from the border within which a box is cut by it
CANNY = 100, 200
BLOCKY = 1.15  # differences across the borders of JPEG's 8 x 8 blocks over the others
POSES = Path(__file__).with_name("poses.json")


@dataclass(frozen=True)
class Facts:
    """What an image looks like.

    Attributes
    ----------
    domain : str
        normal, dark, ...
    blocks : float
        Mean difference across the borders of 8 x 8 blocks, over that elsewhere: 1 without JPEG's blocks.
    edges : mapping of int to float
        Density of edges round each person's box, by the annotation's id.
    """

    domain: str
    blocks: float
    edges: Mapping[int, float]


def facts_of_frame(frame: Frame, annotations: Sequence[Mapping[str, Any]], domain: str) -> Facts:
    """Look at an image; `domain` is what the classifier says."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    edges = cv2.Canny(grey, *CANNY) > 0
    total = cv2.integral(edges.astype(np.uint8))
    return Facts(domain, _blocks(grey), {row["id"]: _density(total, row["bbox"]) for row in annotations})


def _blocks(grey: Frame) -> float:
    differences = cv2.absdiff(grey[:, 1:], grey[:, :-1]).mean(axis=0, dtype=np.float64)
    at_borders = np.arange(len(differences)) % 8 == 7
    inside = differences[~at_borders].mean() if (~at_borders).any() else 0.0
    return float(differences[at_borders].mean() / inside) if at_borders.any() and inside > 0 else 1.0


def _density(total: NDArray[Any], box: Sequence[float]) -> float:
    """The share of edge pixels in a ring round a box, half as wide again, without the box itself."""
    height, width = total.shape[0] - 1, total.shape[1] - 1
    x, y, wide, tall = box
    inner, outer = ((x, y, x + wide, y + tall), (x - wide / 4, y - tall / 4, x + 1.25 * wide, y + 1.25 * tall))

    def counted(sides: Sequence[float]) -> tuple[int, int]:
        left, right = (int(np.clip(round(side), 0, width)) for side in (sides[0], sides[2]))
        top, bottom = (int(np.clip(round(side), 0, height)) for side in (sides[1], sides[3]))
        edges = int(total[bottom, right]) - int(total[top, right]) - int(total[bottom, left]) + int(total[top, left])
        return edges, (right - left) * (bottom - top)

    (all_edges, all_pixels), (own_edges, own_pixels) = counted(outer), counted(inner)
    pixels = all_pixels - own_pixels
    return (all_edges - own_edges) / pixels if pixels > 0 else 0.0


def hard_keypoints(people: Sequence[Match], names: Sequence[str]) -> Table:
    """Knees, ankles, hips, and all of them together."""
    similar = np.array([person.similarity for person in people]).reshape(-1, len(names))
    columns = {group: [at for at, name in enumerate(names) if name.endswith(part)] for group, part in HARD.items()}
    columns["these together"] = sorted(at for each in columns.values() for at in each)
    columns["all keypoints"] = list(range(len(names)))
    rows = [
        (group, int((~np.isnan(similar[:, at])).sum()), share(similar[:, at] >= SIMILAR, ~np.isnan(similar[:, at])))
        for group, at in columns.items()
    ]
    return Table("Difficult keypoints", ("keypoints", "labels", f"similarity {SIMILAR}"), rows)


def labelled_groups(people: Sequence[Match], truth: Truth) -> Table:
    """Groups that the labels alone tell: area, visible keypoints, overlaps, crowds, poses, people cut by the border."""
    names = keypoints_of(truth)
    sizes = {row["id"]: (row.get("width"), row.get("height")) for row in truth["images"]}
    overlaps, crowded = _overlaps(truth), _crowded(truth)
    groups: dict[str, Callable[[Match], bool]] = {}
    for low, high in pairwise(SIDES):
        said = f"{low:g} to {high:g}" if high < math.inf else f"over {low:g}"
        groups[f"size (root of the area) {said}"] = _within(lambda each: each.row["area"] ** 0.5, low, high)
    for low, high in VISIBLE:
        named = f"{low} to {high} keypoints labelled"
        groups[named] = _within(lambda each: each.row["num_keypoints"], low, high + 1)
    for low, high in OVERLAPS:
        said = f"{low:g} to {high:g}" if low < high < math.inf else (f"{low:g}" if low == high else f"{low:g} or more")
        groups[f"overlaps with {said} others"] = _within(lambda each: overlaps.get(each.row["id"], 0), low, high + 1)
    easy, hard = CROWD_SPLITS
    groups[f"CrowdIndex below {easy}"] = lambda each: crowded[each.row["image_id"]] < easy
    groups[f"CrowdIndex {easy} to {hard}"] = lambda each: easy <= crowded[each.row["image_id"]] <= hard
    groups[f"CrowdIndex above {hard}"] = lambda each: crowded[each.row["image_id"]] > hard
    if any(all(pair) for pair in sizes.values()):
        groups["cut by the border"] = lambda each: _cut(each.row["bbox"], *sizes[each.row["image_id"]])
    if names == COCO_17 and POSES.is_file():
        rare = {each.row["id"] for each in people if pose_distance(_labels(each)) > _poses()[1]}
        groups["rare pose"] = lambda each: each.row["id"] in rare
    rows = [(name, *found_of([each for each in people if wanted(each)])) for name, wanted in groups.items()]
    return Table("Groups of people", ("group", "people", "found", "their keypoints"), rows)


def seen_groups(people: Sequence[Match], facts: Mapping[int, Facts]) -> Table:
    """Groups that the images tell: the domain, JPEG's blocks, how busy the background is (thirds of all people)."""
    seen = [each for each in people if each.row["image_id"] in facts]
    density = {each.row["id"]: facts[each.row["image_id"]].edges.get(each.row["id"], 0.0) for each in seen}
    thirds = np.quantile(list(density.values()), [1 / 3, 2 / 3]) if density else np.zeros(2)
    groups: dict[str, Callable[[Match], bool]] = {
        "background: calm third": lambda each: density[each.row["id"]] <= thirds[0],
        "background: middle third": lambda each: thirds[0] < density[each.row["id"]] <= thirds[1],
        "background: busy third": lambda each: density[each.row["id"]] > thirds[1],
        "JPEG blocks are visible": lambda each: facts[each.row["image_id"]].blocks > BLOCKY,
    }
    for domain in sorted({each.domain for each in facts.values()}):
        images = {image for image, each in facts.items() if each.domain == domain}
        groups[f"domain: {domain.replace('_', ' ')}"] = _of_images(images)
    rows = [(name, *found_of([each for each in seen if wanted(each)])) for name, wanted in groups.items()]
    note = "Busy: the share of edge pixels round the person's box."
    return Table("Groups of images", ("group", "people", "found", "their keypoints"), rows, note)


def _within(of: Callable[[Match], float], low: float, high: float) -> Callable[[Match], bool]:
    """Whether a figure of a person is at least `low` and below `high`."""
    return lambda each: low <= of(each) < high


def _of_images(images: set[int]) -> Callable[[Match], bool]:
    """Whether a person is in one of these images."""
    return lambda each: each.row["image_id"] in images


def case_tables(people: Sequence[Match], cases: Cases) -> Table:
    """The groups of a file of cases."""
    rows = [
        (name, len(ids), *found_of([each for each in people if each.row["image_id"] in ids]))
        for name, ids in cases.items()
    ]
    return Table("Cases", ("case", "images in the list", "people", "found", "their keypoints"), rows)


def read_cases(path: Path) -> Cases:
    """Lists of image ids by the name of their case.

    Either a column for each case with ids below its name, of different lengths, or rows of `image_id,case`, or one list
    of ids without a name.

    Raises
    ------
    InputError
        If the file cannot be read, or has something else than whole numbers where ids should be.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = reason(error) if isinstance(error, OSError) else "not a text file"
        raise InputError(f"{path}: {said}") from None
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text))]
    rows = [row for row in rows if any(row)]
    if not rows:
        raise InputError(f"{path} is empty; it needs ids of images below the names of cases")
    head = [cell.lower() for cell in rows[0]]
    if rows[0][0].isdecimal():
        head, rows = ["cases"], [["cases"], *rows]
    found: Cases = {}
    if "image_id" in head and len(head) > 1:
        own, other = head.index("image_id"), next(at for at, name in enumerate(head) if name != "image_id")
        for row in rows[1:]:
            found.setdefault(row[other] if other < len(row) else "cases", set()).add(_id(path, row[own]))
        return found
    for at, name in enumerate(rows[0][: len(head)]):
        found[name] = {_id(path, row[at]) for row in rows[1:] if at < len(row) and row[at]}
    return found


def _id(path: Path, cell: str) -> int:
    try:
        return int(float(cell)) if "." in cell else int(cell)
    except ValueError:
        raise InputError(f"{path}: {cell!r} is not the id of an image") from None


def pose_distance(labels: Floats) -> float:
    """How far a (17, 3) pose is from the nearest of the stored ones after alignment; 0 if too few keypoints are known.

    The distance is the root of the mean squared distance, in torsos.
    """
    aligned = aligned_pose(labels)
    if aligned is None:
        return 0.0
    places, there = aligned
    means, _ = _poses()
    squares = np.where(there, ((means - places) ** 2).sum(axis=-1), 0).sum(axis=1) / there.sum()
    return float(np.sqrt(squares.min()))


def aligned_pose(labels: Floats, fewest: int = 9) -> tuple[Floats, NDArray[np.bool_]] | None:
    """(17, 2) places round the middle of the hips, in torsos, and which are labelled; None without a torso."""
    there = labels[:, 2] > 0
    shoulders, hips = (
        [COCO_17.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "hip")
    )
    if not there[[*shoulders, *hips]].all() or there.sum() < fewest:
        return None
    middle = labels[hips, :2].mean(axis=0)
    torso = float(np.linalg.norm(labels[shoulders, :2].mean(axis=0) - middle))
    return ((labels[:, :2] - middle) / torso, there) if torso > 1 else None


@cache
def _poses() -> tuple[Floats, float]:
    """(C, 17, 2) means of clusters of training poses, and the distance that 9 of 10 training poses do not exceed."""
    stored = json.loads(POSES.read_text(encoding="utf-8"))
    return np.array(stored["means"], np.float64).reshape(-1, len(COCO_17), 2), float(stored["rare"])


def _labels(match: Match) -> Floats:
    return np.array(match.row["keypoints"], np.float64).reshape(-1, 3)


def _cut(box: Sequence[float], width: int | None, height: int | None) -> bool:
    x, y, wide, tall = box
    return bool(width and height) and (
        x <= EDGE or y <= EDGE or x + wide >= (width or 0) - EDGE or y + tall >= (height or 0) - EDGE
    )


def _people_of(truth: Truth) -> dict[int, list[Mapping[str, Any]]]:
    people: dict[int, list[Mapping[str, Any]]] = {row["id"]: [] for row in truth["images"]}
    for row in truth["annotations"]:
        if not row["iscrowd"]:
            people[row["image_id"]].append(row)
    return people


def _crowded(truth: Truth) -> dict[int, float]:
    """The CrowdIndex of each image: its own where the file has one, as CrowdPose's."""
    count = len(keypoints_of(truth))
    given = {row["id"]: row.get("crowdIndex") for row in truth["images"]}
    found = {}
    for image, rows in _people_of(truth).items():
        labelled = [row for row in rows if row["num_keypoints"]]
        boxes = np.array([row["bbox"] for row in labelled], np.float64).reshape(-1, 4)
        labels = np.array([row["keypoints"] for row in labelled], np.float64).reshape(len(labelled), count, 3)
        index = given[image]
        found[image] = float(index) if isinstance(index, (int, float)) else crowd_index(boxes, labels)
    return found


def _overlaps(truth: Truth) -> dict[int, int]:
    """With how many other people each one's box overlaps."""
    found: dict[int, int] = {}
    for rows in _people_of(truth).values():
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (boxes[:, :2] + boxes[:, 2:])[None])
        common = np.clip(high - low, 0, None).prod(axis=-1)
        areas = boxes[:, 2:].prod(axis=-1)
        union = areas[:, None] + areas[None] - common
        touching = np.where(union > 0, common / np.where(union > 0, union, 1), 0) > TOUCHING
        found |= {row["id"]: int(count) - 1 for row, count in zip(rows, touching.sum(axis=1), strict=True)}
    return found
