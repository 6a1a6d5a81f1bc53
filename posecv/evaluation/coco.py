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
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from posecv.errors import DeviceError, InputError, reason
from posecv.people import People

__all__ = ["FIGURES", "Truth", "average_precision", "of_images", "read_annotations", "records", "require_pycocotools"]

Truth = dict[str, Any]  # an annotation file: images, annotations, categories

PARTS = "images", "annotations"
FIGURES = ("AP", "AP50", "AP75", "medium", "large", "AR")  # the first of COCO's summary


def read_annotations(path: Path) -> Truth:
    """Read a file of keypoint annotations, also gzipped (`.json.gz`); InputError for other files."""
    try:
        data = path.read_bytes()
        truth = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (EOFError, ValueError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is not a JSON file") from None
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
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


def records(image: int, people: People) -> list[dict[str, Any]]:
    """COCO's results for the image with that number: `People.to_coco` with `image_id`."""
    return [{"image_id": image, **record} for record in people.to_coco()]


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
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(list(results)), "keypoints")
        evaluation.params.imgIds = [row["id"] for row in truth["images"]]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(FIGURES, evaluation.stats[:6].tolist(), strict=True))
