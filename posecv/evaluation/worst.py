"""The images on which a model is worst, as skeletons beside the labels, for a page."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.evaluation.coco import Truth, keypoints_of
from posecv.evaluation.people import SIMILAR
from posecv.evaluation.report import ModelReport
from posecv.evaluation.results import Detections
from posecv.skeletons import COCO

__all__ = ["worst_images"]

MOST = 20
SIDE = 320  # pixels of the longer side of a picture
FOUND, LABELLED = "#d33", "#2a2"


def worst_images(
    truth: Truth, found: Detections, report: ModelReport, files: Mapping[int, Path], *, with_pictures: bool = False
) -> list[str]:
    """Pieces of HTML: the images with the most people missed, then with the most people invented."""
    costs: dict[int, float] = {row["id"]: 0.0 for row in truth["images"]}
    labelled: dict[int, list[Any]] = {}
    for person in report.people:
        image = person.row["image_id"]
        labelled.setdefault(image, []).append(np.array(person.row["keypoints"], np.float64).reshape(-1, 3))
        costs[image] += 1 - person.oks if person.oks < SIMILAR else 0.0
    people = found.arrays(truth)
    for image, each in people.items():
        if image in costs:
            costs[image] += 0.5 * max(0, len(each) - len(labelled.get(image, [])))
    worst = sorted((image for image in costs if costs[image] > 0), key=lambda image: -costs[image])[:MOST]
    if not worst:
        return []
    names = {row["id"]: row["file_name"] for row in truth["images"]}
    limbs = _limbs(keypoints_of(truth))
    shown = [f"<h2>{html.escape(report.name)}: the worst {len(worst)} images</h2>"]
    shown.append(f'<p class="note">Labels are <b style="color:{LABELLED}">green</b>, what was found '
                 f'<b style="color:{FOUND}">red</b>.</p>')  # fmt: skip
    for image in worst:
        picture = files.get(image) if with_pictures else None
        drawing = _drawing(labelled.get(image, []), people.get(image, np.zeros((0, 0, 3))), limbs, picture)
        shown.append(f"<figure>{drawing}<figcaption>{html.escape(names[image])}</figcaption></figure>")
    return shown


def _limbs(names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Limbs as pairs of indices of the annotations' keypoints; between those that both skeletons have."""
    own = {name: index for index, name in enumerate(names)}
    pairs = [(COCO.keypoints[a], COCO.keypoints[b]) for a, b in COCO.limbs]
    return [(own[a], own[b]) for a, b in pairs if a in own and b in own] + [
        (own[f"{side}_shoulder"], own[f"{side}_hip"])
        for side in ("left", "right")
        if f"{side}_shoulder" in own and f"{side}_hip" in own
    ]


def _drawing(labelled: Any, found: Any, limbs: Any, picture: Path | None) -> str:
    """An SVG with both, over the picture if there is one."""
    everything = [points[points[:, 2] > 0, :2] for points in [*labelled, *found]]
    places = np.concatenate(everything) if everything else np.zeros((1, 2))
    low, high = places.min(axis=0) - 20, places.max(axis=0) + 20
    background = ""
    if picture is not None and (frame := cv2.imread(str(picture))) is not None:
        low, high = np.zeros(2), np.array(frame.shape[1::-1], np.float64)
        background = _embedded(np.asarray(frame, np.uint8))
    width, height = high - low
    factor = SIDE / max(width, height)
    colored = [(points, LABELLED) for points in labelled] + [(points, FOUND) for points in found]
    lines = [_skeleton(points, limbs, color) for points, color in colored]
    box = f"{low[0]:.0f} {low[1]:.0f} {width:.0f} {height:.0f}"
    return (
        f'<svg viewBox="{box}" width="{width * factor:.0f}" height="{height * factor:.0f}" '
        f'style="background:#f6f6f6">{background}{"".join(lines)}</svg>'
    )


def _skeleton(points: NDArray[Any], limbs: Any, color: str) -> str:
    pieces = [
        f"M{points[a, 0]:.1f} {points[a, 1]:.1f}L{points[b, 0]:.1f} {points[b, 1]:.1f}"
        for a, b in limbs
        if points[a, 2] > 0 and points[b, 2] > 0
    ]
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>' for x, y, score in points if score > 0)
    return f'<path d="{"".join(pieces)}" stroke="{color}" stroke-width="2" fill="none" opacity=".8"/>{dots}'


def _embedded(frame: NDArray[np.uint8]) -> str:
    height, width = frame.shape[:2]
    factor = min(1.0, 2 * SIDE / max(height, width))
    small = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()).decode()
    return f'<image href="data:image/jpeg;base64,{data}" width="{width}" height="{height}"/>'
