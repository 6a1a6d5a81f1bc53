"""COCO's keypoint evaluation: annotation files, results, average precision by pycocotools (the extra `evaluation`).

>>> truth = read_annotations(Path("person_keypoints_val2017.json"))           # doctest: +SKIP
>>> found = records(139, posecv.estimate_people(network, frame))              # doctest: +SKIP
>>> average_precision(of_images(truth, [139]), found)["AP"]                   # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import json
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.errors import DeviceError, InputError, reason
from posecv.oks import sigmas_of
from posecv.people import People
from posecv.skeletons import COCO_17

__all__ = ["FIGURES", "SIZES", "Matches", "Truth", "average_precision", "keypoints_of", "matches", "named_keypoints",
           "of_images", "parsed", "read_annotations", "records", "require_pycocotools", "scaled"]  # fmt: skip

Floats = NDArray[np.float64]
Truth = dict[str, Any]  # an annotation file: images, annotations, categories

PARTS = "images", "annotations"
FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")  # COCO's summary, in its order
SIZES = ("all", "medium", "large")  # COCO's ranges of areas for keypoints
PERSON = 1  # the category
AREAS = {"all": (0, 1e10), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
COLUMNS = ("images", "numbers", "scores", "right", "ignored", "partners")  # of `Matches`, one entry for each detection
RECALLS = np.linspace(0, 1, 101)  # at which precision is read


def parsed(path: Path) -> Any:
    """The content of a JSON file, also gzipped (`.json.gz`); InputError if it is none."""
    try:
        data = path.read_bytes()
        return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (EOFError, ValueError, RecursionError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is not a JSON file") from None
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None


def read_annotations(path: Path) -> Truth:
    """Read a file of keypoint annotations, also gzipped; InputError for other files.

    `posecv.evaluation.annotations.read_labels` also checks the annotations, and reads other forms.
    """
    truth = parsed(path)
    missing = [part for part in PARTS if not isinstance(truth, dict) or not isinstance(truth.get(part), list)]
    if missing:
        raise InputError(f"{path} is not a COCO annotation file: it has no list of {missing[0]}")
    return truth


def of_images(truth: Truth, ids: Collection[int]) -> Truth:
    """The annotations of some of the images, in their original order."""
    wanted = set(ids)
    return truth | {
        "images": [row for row in truth["images"] if row["id"] in wanted],
        "annotations": [row for row in truth["annotations"] if row["image_id"] in wanted],
    }


def scaled(truth: Truth, factor: float) -> Truth:
    """The annotations for images whose sides were multiplied by a factor: keypoints, boxes, polygons, areas.

    Widths and heights are rounded down, as the images' own are.

    >>> row = {"image_id": 3, "keypoints": [10, 20, 2], "bbox": [2, 4, 6, 8], "area": 40}
    >>> small = scaled({"images": [{"id": 3, "width": 9, "height": 6}], "annotations": [row]}, 0.5)
    >>> small["images"], small["annotations"][0]["keypoints"], small["annotations"][0]["area"]
    ([{'id': 3, 'width': 4, 'height': 3}], [5.0, 10.0, 2], 10.0)
    """
    images = [
        row | {side: int(row[side] * factor) for side in ("width", "height") if side in row} for row in truth["images"]
    ]
    return truth | {"images": images, "annotations": [_scaled(row, factor) for row in truth["annotations"]]}


def _scaled(row: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """One annotation for a scaled image."""
    changed = dict(row)
    if "keypoints" in row:
        changed["keypoints"] = [
            value if at % 3 == 2 else value * factor for at, value in enumerate(row["keypoints"])
        ]
    if "bbox" in row:
        changed["bbox"] = [side * factor for side in row["bbox"]]
    if "area" in row:
        changed["area"] = row["area"] * factor**2
    if isinstance(row.get("segmentation"), list):
        changed["segmentation"] = [[value * factor for value in polygon] for polygon in row["segmentation"]]
    return changed


def records(image: int, people: People, names: Sequence[str] = COCO_17) -> list[dict[str, Any]]:
    """COCO's results for the image with that number: `People.to_coco` with `image_id`.

    For annotations with other keypoints `names` has theirs; those that the network lacks are missing.
    """
    if tuple(names) == COCO_17:
        return [{"image_id": image, **record} for record in people.to_coco()]
    keypoints = named_keypoints(people, names)
    found = keypoints[..., 2:] > 0
    values = np.concatenate([np.where(found, keypoints[..., :2], -1), found], axis=-1)
    return [
        {"image_id": image, "category_id": PERSON, "keypoints": each.ravel().tolist(), "score": float(score)}
        for each, score in zip(values, people.scores, strict=True)
    ]


def named_keypoints(people: People, names: Sequence[str]) -> Floats:
    """(N, K, 3) keypoints of people by name; 0, 0, 0 for those that are missing or that the skeleton does not have."""
    own = {name: index for index, name in enumerate(people.skeleton.keypoints)}
    keypoints = np.zeros((len(people), len(names), 3), np.float64)
    for index, name in enumerate(names):
        if name in own:
            keypoints[:, index] = people.keypoints[:, own[name]]
    return keypoints


def require_pycocotools() -> None:
    """Raise DeviceError if pycocotools is not installed; call it before hours of estimating."""
    if importlib.util.find_spec("pycocotools") is None:
        raise DeviceError("COCO's figures need pycocotools: pip install pycocotools")


def average_precision(truth: Truth, results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """COCO's metrics for keypoints: for each of `FIGURES` a number from 0 to 1, or -1 if no annotation falls under it.

    Parameters
    ----------
    truth : dict
        Images, annotations and categories; images without results count too.
    results : sequence of dict
        As `records` returns them, for all images.

    Raises
    ------
    DeviceError
        If pycocotools is not installed.
    """
    if not results:  # loadRes fails on an empty list
        return dict.fromkeys(FIGURES, 0.0)
    evaluation = _evaluated(truth, results)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(FIGURES, evaluation.stats.tolist(), strict=True))


@dataclass(frozen=True)
class Matches:
    """How COCO's rule matches detections with labelled people, in one range of sizes.

    Attributes
    ----------
    images : (D,) int array
        For each detection, the index of its image in the truth.
    numbers : (D,) int array
        Its index in the results.
    scores : (D,) float64 array
    right : (T, D) bool array
        Whether it is matched, at each of T thresholds of OKS.
    ignored : (T, D) bool array
        Whether it counts neither way, as in a crowd.
    partners : (T, D) int array
        The id of the matched annotation; 0 without one.
    people : (I,) int array
        How many people each image has, without ignored ones.
    """

    images: NDArray[np.int64]
    numbers: NDArray[np.int64]
    scores: Floats
    right: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    partners: NDArray[np.int64]
    people: NDArray[np.int64]

    def ordered(self) -> Matches:
        """The same with detections in falling order of scores."""
        order = np.argsort(-self.scores, kind="mergesort")
        columns = {name: getattr(self, name)[..., order] for name in COLUMNS}
        return replace(self, **columns)

    def precision(self, counts: NDArray[np.int64] | None = None) -> Floats:
        """(T,) average precisions where each image counts so many times, by default once; -1 without people.

        This is `COCOeval.accumulate` with weights; the detections must be in order (`ordered`).
        """
        counts = np.ones_like(self.people) if counts is None else counts
        people = int(counts @ self.people)
        if not people:
            return np.full(len(self.right), -1.0)
        weights = np.where(self.ignored, 0, counts[self.images])  # (T, D)
        right = np.cumsum(weights * self.right, axis=1)
        every = np.cumsum(weights, axis=1)
        recall, precision = right / people, right / np.maximum(every, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        padded = np.column_stack([best, np.zeros(len(best))])
        read = [row[np.searchsorted(at, RECALLS, side="left")] for at, row in zip(recall, padded, strict=True)]
        return np.mean(read, axis=1)


def matches(
    truth: Truth, results: Sequence[dict[str, Any]], thresholds: Sequence[float] | None = None, size: str = "all"
) -> Matches:
    """Match results with annotations by COCO's rule.

    Parameters
    ----------
    truth, results
        As for `average_precision`.
    thresholds : sequence of float
        Of OKS; by default COCO's ten, 0.5 to 0.95.
    size : str
        One of `SIZES`.
    """
    images = {row["id"]: index for index, row in enumerate(truth["images"])}
    if not results:
        rows = len(thresholds or np.arange(10))
        empty = np.zeros((rows, 0), bool)
        none = np.zeros(0, np.int64)
        return Matches(none, none, np.zeros(0), empty, empty, np.zeros((rows, 0), np.int64), _labelled(truth, size))
    evaluation = _evaluated(truth, results, thresholds)
    wanted = SIZES.index(size)
    per_size = len(images)
    found = [each for each in evaluation.evalImgs[wanted * per_size : (wanted + 1) * per_size] if each]
    people = np.zeros(len(images), np.int64)
    for each in found:
        people[images[each["image_id"]]] = np.count_nonzero(np.asarray(each["gtIgnore"]) == 0)
    kept = [each for each in found if len(each["dtScores"])]
    rows = len(evaluation.params.iouThrs)
    partners = np.hstack([np.zeros((rows, 0)), *(each["dtMatches"] for each in kept)]).astype(np.int64)
    ignored = np.hstack([np.zeros((rows, 0), bool), *(each["dtIgnore"].astype(bool) for each in kept)])
    return Matches(
        images=np.array([images[each["image_id"]] for each in kept for _ in each["dtScores"]], np.int64),
        numbers=np.array([number - 1 for each in kept for number in each["dtIds"]], np.int64),
        scores=np.array([score for each in kept for score in each["dtScores"]], np.float64),
        right=(partners > 0) & ~ignored,
        ignored=ignored,
        partners=partners,
        people=people,
    ).ordered()


def _labelled(truth: Truth, size: str) -> NDArray[np.int64]:
    """(I,) how many people of a size each image has."""
    low, high = AREAS[size]
    images = [
        row["image_id"] for row in truth["annotations"]
        if row.get("num_keypoints") and not row.get("iscrowd") and low <= row["area"] <= high
    ]  # fmt: skip
    counts = Counter(images)
    return np.array([counts[row["id"]] for row in truth["images"]], np.int64)


def _evaluated(truth: Truth, results: Sequence[dict[str, Any]], thresholds: Sequence[float] | None = None) -> Any:
    """pycocotools' evaluation after `evaluate`."""
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(row) for row in results]), "keypoints")
        evaluation.params.imgIds = [row["id"] for row in truth["images"]]
        evaluation.params.catIds = [PERSON]
        evaluation.params.kpt_oks_sigmas = sigmas_of(keypoints_of(truth))
        if thresholds is not None:
            evaluation.params.iouThrs = np.array(thresholds, np.float64)
        evaluation.evaluate()
    return evaluation


def keypoints_of(truth: Truth) -> tuple[str, ...]:
    """The names of the annotations' keypoints; COCO's 17 where the file does not say."""
    named = [tuple(row["keypoints"]) for row in truth.get("categories") or [] if row.get("keypoints")]
    return named[0] if named else COCO_17
