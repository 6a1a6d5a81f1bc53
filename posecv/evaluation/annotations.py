"""Read labelled people: the annotation files of COCO, CrowdPose and MPII, brought into COCO's form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posecv.errors import InputError, reason
from posecv.evaluation.coco import PARTS, PERSON, Truth, keypoints_of, parsed

__all__ = ["CROWD_SPLITS", "MPII", "coco_number", "crowd_index", "is_mpii", "read_labels"]

MPII = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "neck",
    "head", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
OTHER_NAMES = {"top_head": "head", "head_top": "head", "upper_neck": "neck"}
PERSON_SHARE = 0.53  # of the box that a person covers, where a file has no areas; CrowdPose's own evaluation says so
HEAD_SHARE = 0.6  # of the diagonal of MPII's head box, which PCKh takes for the head's length
CROWD_SPLITS = (0.1, 0.8)  # of the CrowdIndex: below is easy, above hard
FEWEST = 4  # keypoints of a person for a CrowdIndex


def read_labels(path: Path) -> Truth:
    """Read an annotation file of COCO, CrowdPose or MPII (the list of `image`, `joints`, `joints_vis`), also gzipped.

    Every annotation gets what COCO's evaluation needs: `area` (0.53 of the box where it is missing), `bbox`,
    `iscrowd`, `num_keypoints`, and an `id` above 0 that no other has.

    Raises
    ------
    InputError
        If the file is something else; the message names the first annotation that does not fit.
    """
    if path.suffix == ".mat":
        raise InputError(f"{path}: MATLAB files are not read; give the same labels as JSON, a list of image and joints")
    data = parsed(path)
    truth = _of_mpii(path, data) if is_mpii(data) else _of_coco(path, data)
    _number(truth["annotations"])
    return truth


def is_mpii(data: Any) -> bool:
    """Whether parsed JSON is a list of people with `image` and `joints`."""
    return isinstance(data, list) and bool(data) and all(isinstance(row, dict) and "joints" in row for row in data[:3])


def _of_coco(path: Path, data: Any) -> Truth:
    missing = [part for part in PARTS if not isinstance(data, dict) or not isinstance(data.get(part), list)]
    if missing:
        raise InputError(f"{path} is not a COCO annotation file: it has no list of {missing[0]}")
    names = tuple(OTHER_NAMES.get(name, name) for name in keypoints_of(data))
    images = [_image(path, row) for row in data["images"]]
    if not images:
        raise InputError(f"{path} has no images")
    people = [row for row in data["annotations"] if _is_person(row)]
    truth = {**data, "categories": [{"id": PERSON, "name": "person", "keypoints": list(names)}], "images": images}
    truth["annotations"] = [_complete(path, row, len(names)) for row in people]
    known = {row["id"] for row in images}
    strangers = [row for row in truth["annotations"] if row["image_id"] not in known]
    if strangers:
        first = strangers[0]
        raise InputError(f"{path}: annotation {first['id']} is of image {first['image_id']}, which is missing")
    return truth


def _is_person(row: Any) -> bool:
    """Other categories of COCO's file of all objects have no keypoints."""
    return not isinstance(row, dict) or row.get("category_id", PERSON) == PERSON


def _image(path: Path, row: Any) -> dict[str, Any]:
    """An image's row; CrowdPose's has no `width`, which nothing here needs."""
    if not isinstance(row, dict) or not isinstance(row.get("id"), int) or not isinstance(row.get("file_name"), str):
        raise InputError(f"{path}: an image needs an id (a whole number) and a file_name, but one is {str(row)[:60]}")
    return row


def _complete(path: Path, row: Any, count: int) -> dict[str, Any]:
    """An annotation with everything that COCO's evaluation reads; InputError if its keypoints do not fit."""
    said = f"{path}: annotation {row.get('id') if isinstance(row, dict) else row}"
    if not isinstance(row, dict) or "image_id" not in row:
        raise InputError(f"{said} has no image_id")
    points = row.get("keypoints") or [0] * 3 * count
    if len(points) != 3 * count:
        raise InputError(f"{said} has {len(points)} numbers in keypoints; {count} keypoints have {3 * count}")
    try:
        labels = np.array(points, np.float64).reshape(count, 3)
        box = [float(side) for side in row.get("bbox") or _box_round(labels)]
    except (TypeError, ValueError):
        raise InputError(f"{said} has keypoints or a bbox that are not numbers") from None
    if not np.isfinite(labels).all() or len(box) != 4:
        raise InputError(f"{said} has keypoints that are not finite, or a bbox without four numbers")
    area = row.get("area")
    return {
        **row, "category_id": PERSON, "keypoints": list(points), "bbox": box,
        "area": float(area) if isinstance(area, (int, float)) and area > 0 else PERSON_SHARE * box[2] * box[3],
        "iscrowd": int(row.get("iscrowd") or 0), "num_keypoints": int((labels[:, 2] > 0).sum()),
    }  # fmt: skip


def _box_round(labels: Any) -> list[float]:
    """x, y, width, height round labelled keypoints."""
    there = labels[labels[:, 2] > 0, :2]
    if not len(there):
        return [0, 0, 0, 0]
    low, high = there.min(axis=0), there.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


def _of_mpii(path: Path, data: Sequence[Mapping[str, Any]]) -> Truth:
    """People of MPII by images; a keypoint whose `joints_vis` is 0 has no label."""
    ids: dict[str, int] = {}
    rows = []
    for number, row in enumerate(data, 1):
        try:
            places = np.array(row["joints"], np.float64).reshape(len(MPII), 2)
            there = np.array(row.get("joints_vis", np.ones(len(MPII))), np.float64).reshape(len(MPII)) > 0
            name = str(row["image"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path}: person {number} needs an image and {len(MPII)} joints of x, y") from None
        there &= (places >= 0).all(axis=1)
        labels = np.column_stack([np.where(there[:, None], places, 0), 2 * there])
        rows.append({
            "id": number, "image_id": ids.setdefault(name, len(ids) + 1), "keypoints": labels.ravel().tolist(),
            "head_length": _head_length(row, labels),
        })  # fmt: skip
    images = [{"id": index, "file_name": name} for name, index in ids.items()]
    category = {"id": PERSON, "name": "person", "keypoints": list(MPII)}
    people = [_complete(path, row, len(MPII)) for row in rows]
    return {"images": images, "annotations": people, "categories": [category], "form": "mpii"}


def _head_length(row: Mapping[str, Any], labels: Any) -> float:
    """0.6 of the diagonal of the head's box, or from the top of the head to the neck where there is no box; or 0."""
    box = row.get("head_box") or row.get("headbox")
    if isinstance(box, Sequence) and len(box) == 4:
        return HEAD_SHARE * float(np.hypot(box[2] - box[0], box[3] - box[1]))
    if isinstance(row.get("head_size"), (int, float)):
        return float(row["head_size"])
    top, neck = labels[MPII.index("head")], labels[MPII.index("neck")]
    return float(np.hypot(*(top - neck)[:2])) if top[2] and neck[2] else 0.0


def _number(rows: Iterable[dict[str, Any]]) -> None:
    """Number annotations anew if an id is missing, 0 (which COCO's evaluation takes for nobody) or there twice."""
    rows = list(rows)
    ids = [row.get("id") for row in rows]
    if not all(isinstance(number, int) and number > 0 for number in ids) or len(set(ids)) < len(ids):
        for number, row in enumerate(rows, 1):
            row["id"] = number


def coco_number(name: str) -> int | None:
    """The number of an image that is named as COCO's are, of 2014 or 2017; None for another name.

    >>> coco_number("val2014/COCO_val2014_000000000139.jpg"), coco_number("000000000139.jpg"), coco_number("a1.jpg")
    (139, 139, None)
    """
    match = re.fullmatch(r"(?:COCO_\w+_)?(\d{12})", Path(name).stem)
    return int(match[1]) if match else None


def crowd_index(boxes: Any, labels: Any) -> float:
    """CrowdPose's measure of how crowded an image is.

    Parameters
    ----------
    boxes : (M, 4) array
        x, y, width, height of each labelled person.
    labels : (M, K, 3) array

    Returns
    -------
    float
        Mean over people of others' keypoints in the box divided by own keypoints in it; 0 for a person with fewer
        than 4 of them.
    """
    if not len(boxes):
        return 0.0
    low, high = boxes[:, None, None, :2], (boxes[:, :2] + boxes[:, 2:])[:, None, None]
    xy = labels[None, ..., :2]
    inside = ((xy >= low) & (xy <= high)).all(axis=-1) & (labels[None, ..., 2] > 0)  # (M boxes, M people, K)
    counts = inside.sum(axis=-1)
    own = np.diag(counts)
    shares = np.where(own >= FEWEST, (counts.sum(axis=1) - own) / np.maximum(own, 1), 0)
    return float(shares.mean())


def trained_on(path: Path) -> set[int]:
    """The numbers of COCO's images in a model's trained_on.txt; none if it has no such file."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
    return {int(word) for word in words if word.isdecimal()}
