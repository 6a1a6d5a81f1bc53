"""Accuracy on COCO photographs: average precision of `posecv.estimate_people` with its default options.

    python benchmarks/accuracy.py --model light-coco              evaluation set
    python benchmarks/accuracy.py --model light-coco --tune       part of the training set, to choose constants on
    python benchmarks/accuracy.py --model light-coco --tune --set inter_min_above=0.8 --net-size=-1x256

Needs pycocotools and the shared data (`POSECV_SHARED`, default ../shared). Constants are never chosen on the
evaluation set.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import posecv  # noqa: E402
from posecv import geometry  # noqa: E402
from posecv.network import Network  # noqa: E402

SHARED = Path(os.environ.get("POSECV_SHARED", ROOT.parent / "shared"))
TUNE_EVERY = 5  # every fifth picture of the training set serves the choice of constants
# COCO's 17 keypoints by their names in our skeletons.
COCO_17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip


def evaluation_set() -> tuple[dict[str, Any], Iterator[tuple[int, Any]]]:
    """The truth and the pictures of `data/coco`."""
    folder = SHARED / "data" / "coco"
    truth = json.loads((folder / "person_keypoints.json").read_text())
    return truth, ((row["id"], cv2.imread(str(folder / "images" / row["file_name"]))) for row in truth["images"])


def tuning_set() -> tuple[dict[str, Any], Iterator[tuple[int, Any]]]:
    """The truth and the pictures of a part of `training/coco`."""
    folder = SHARED / "training" / "coco"
    with gzip.open(folder / "person_keypoints.json.gz", "rt") as file:
        truth = json.load(file)
    truth["images"] = sorted(truth["images"], key=lambda row: row["id"])[::TUNE_EVERY]
    ids = {Path(row["file_name"]).stem: row["id"] for row in truth["images"]}
    truth["annotations"] = [row for row in truth["annotations"] if row["image_id"] in ids.values()]
    return truth, _of_shards(sorted(folder.glob("images-*.tar")), ids)


def _of_shards(shards: list[Path], ids: dict[str, int]) -> Iterator[tuple[int, Any]]:
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                if Path(member.name).stem in ids:
                    data = np.frombuffer(tar.extractfile(member).read(), np.uint8)  # type: ignore[union-attr]
                    yield ids[Path(member.name).stem], cv2.imdecode(data, cv2.IMREAD_COLOR)


def coco_results(image: int, people: posecv.People) -> list[dict[str, Any]]:
    """People as COCO's result records."""
    order = [people.skeleton.keypoints.index(name) for name in COCO_17]
    return [
        {
            "image_id": image,
            "category_id": 1,
            "keypoints": [float(value) for value in person[order].ravel()],
            "score": float(score),
        }
        for person, score in zip(people, people.scores, strict=True)
    ]


def precision(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    """COCO's figures for keypoints."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
        evaluation.params.imgIds = [row["id"] for row in truth["images"]]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(("AP", "AP50", "AP75", "medium", "large", "AR"), evaluation.stats[:6].tolist(), strict=True))


def run(network: Network, tune: bool, net_size: str, thresholds: dict[str, float | str]) -> dict[str, float]:
    """Estimate every picture and score the people."""
    truth, pictures = tuning_set() if tune else evaluation_set()
    results = []
    seconds = {"network": 0.0, "decoding": 0.0}
    for image, frame in pictures:
        took: dict[str, float] = {}
        people = posecv.estimate_people(network, frame, net_size=net_size, seconds=took, **thresholds)
        seconds = {name: seconds[name] + took[name] for name in seconds}
        results += coco_results(image, people)
    count = len(truth["images"])
    return precision(truth, results) | {f"{name} ms": 1000 * total / count for name, total in seconds.items()}


def main() -> int:
    """Print a row of figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light-coco", help="a name of the manifest, or a folder with a pair")
    parser.add_argument("--tune", action="store_true", help="use a part of the training set")
    parser.add_argument("--net-size", default="-1x368")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a constant of the decoder")
    parser.add_argument("--step", type=float, help="geometry.SMALLEST_STEP: 0 never averages a frame that shrinks")
    options = parser.parse_args()
    if options.step is not None:
        geometry.SMALLEST_STEP = options.step
    os.environ.setdefault("POSECV_MODELS", str(SHARED / "models"))
    network = posecv.load_network(options.model)
    given = (pair.split("=") for pair in options.set)
    thresholds = {name: value if name == "refinement" else float(value) for name, value in given}
    start = time.perf_counter()
    figures = run(network, options.tune, options.net_size, thresholds)
    print(
        "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), f" ({time.perf_counter() - start:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
