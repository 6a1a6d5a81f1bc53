"""The data that benchmarks share: photographs and crops with their labels, networks by name or pair.

It is not part of the repository. `POSECV_SHARED` names its folder, by default ../shared.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import posecv
from benchmarks import ROOT
from posecv.arrays import Frame
from posecv.engines.network import Network
from posecv.errors import InputError, ModelError
from posecv.evaluation.coco import Truth, of_images, read_annotations
from posecv.models import Model, find_model
from training import HELD_OUT

__all__ = ["MODEL", "Crop", "Data", "crops", "evaluation_set", "find", "folder", "load", "of_shards", "there",
           "tuning_set"]  # fmt: skip

TUNE_EVERY = 5  # every fifth image of the training set serves the choice of constants of others' networks
MODEL = "a name of the manifest, or PROTOTXT,CAFFEMODEL"

Crop = tuple[dict[str, Any], Frame]  # labels and image of a hand or a face
Data = tuple[Truth, Iterator[tuple[int, Frame]]]  # the truth, as COCO has it, and ids with images


def folder() -> Path:
    """The folder of the shared data."""
    return Path(os.environ.get("POSECV_SHARED") or ROOT.parent / "shared")


def there(path: Path) -> Path:
    """A file or folder of the shared data; InputError if it is missing."""
    if not path.exists():
        raise InputError(f"{path} is missing: POSECV_SHARED names the folder of the shared data, now {folder()}")
    return path


def find(name: str) -> Model:
    """The files of a network by its name, also in the shared data."""
    os.environ.setdefault("POSECV_MODELS", str(folder() / "models"))
    try:
        return find_model(name)
    except ModelError as error:
        if folder().is_dir():
            raise
        raise ModelError(f"{error}; nor is there shared data in {folder()}: POSECV_SHARED names its folder") from None


def load(
    model: str, engine: str = "opencv", stages: int | None = None, detector: str | None = None
) -> Network:
    """A network by its name, also in the shared data, or by its pair of files, separated by a comma."""
    if "," not in model:
        find(model)
    return posecv.load_network(*model.split(","), engine=engine, stages=stages, detector=detector)


def evaluation_set(limit: int | None = None) -> Data:
    """The labels and the images of `data/coco`, or only the first ones."""
    place = there(folder() / "data" / "coco")
    truth = read_annotations(place / "person_keypoints.json")
    truth = of_images(truth, [row["id"] for row in truth["images"][:limit]])
    return truth, ((row["id"], _read(place / "images" / row["file_name"])) for row in truth["images"])


def _read(path: Path) -> Frame:
    frame = cv2.imread(str(there(path)))
    if frame is None:
        raise InputError(f"{path} is not an image that OpenCV can read")
    return np.asarray(frame, np.uint8)


def tuning_set(*, held_out: bool = False) -> Data:
    """Labels and images of a part of `training/coco`: every fifth, or those that our own networks never saw."""
    place = there(folder() / "training" / "coco")
    truth = read_annotations(place / "person_keypoints.json.gz")
    truth["images"].sort(key=lambda row: row["id"])
    ids = [row["id"] for row in truth["images"]]
    truth = of_images(truth, [number for number in ids if number % HELD_OUT == 0] if held_out else ids[::TUNE_EVERY])
    stems = {Path(row["file_name"]).stem: row["id"] for row in truth["images"]}
    return truth, of_shards(sorted(place.glob("images-*.tar")), stems)


def of_shards(shards: list[Path], ids: dict[str, int]) -> Iterator[tuple[int, Frame]]:
    """Ids and images of the files in tars whose stems have an id."""
    for shard in shards:
        with tarfile.open(there(shard)) as tar:
            for member in tar:
                if Path(member.name).stem in ids:
                    data = np.frombuffer(tar.extractfile(member).read(), np.uint8)  # type: ignore[union-attr]
                    frame = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
                    yield ids[Path(member.name).stem], frame


def crops(part: str, split: str, limit: int | None = None) -> list[Crop]:
    """The labels and images of a split of `training/hand` or `training/face`, or only the first ones."""
    place = there(folder() / "training" / part)
    with gzip.open(there(place / "labels.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["split"] == split][:limit]
    ids = {Path(row["file"]).stem: index for index, row in enumerate(rows)}
    return [(rows[index], frame) for index, frame in of_shards([place / f"{part}_crops.tar"], ids)]
