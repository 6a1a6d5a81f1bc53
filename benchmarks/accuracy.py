"""Accuracy on COCO photographs: average precision of `posecv.estimate_people` with its default options.

    python benchmarks/accuracy.py --model light-coco              evaluation set
    python benchmarks/accuracy.py --model light-coco --tune       part of the training set, to choose constants on
    python benchmarks/accuracy.py --model light_body --held-out   the part that our own networks never saw
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
import math
import os
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import posecv  # noqa: E402
from posecv import geometry  # noqa: E402
from posecv.engines.network import Network  # noqa: E402
from posecv.estimators.single_pass import Everybody  # noqa: E402
from posecv.models import NET_SIDE  # noqa: E402
from posecv.skeletons import COCO_17  # noqa: E402
from training import HELD_OUT  # noqa: E402

SHARED = Path(os.environ.get("POSECV_SHARED", ROOT.parent / "shared"))
TUNE_EVERY = 5  # every fifth picture of the training set serves the choice of constants of others' networks
FIGURES = ("AP", "AP50", "AP75", "medium", "large", "AR")  # the first of COCO's summary
MODEL = "a name of the manifest, or PROTOTXT,CAFFEMODEL"

Frame = NDArray[np.uint8]
Crop = tuple[dict[str, Any], Frame]  # labels and picture of a hand or a face
Data = tuple[dict[str, Any], Iterator[tuple[int, Any]]]  # the truth, as COCO has it, and ids with pictures


def load(model: str, engine: str = "opencv", stages: int | None = None) -> Network:
    """A network by its name, in the shared data too, or by its pair of files with a comma between."""
    os.environ.setdefault("POSECV_MODELS", str(SHARED / "models"))
    return posecv.load_network(*model.split(","), engine=engine, stages=stages)


def evaluation_set(limit: int | None = None) -> Data:
    """The truth and the pictures of `data/coco`, or of the first of them."""
    folder = SHARED / "data" / "coco"
    truth = _with_images(json.loads((folder / "person_keypoints.json").read_text()), slice(limit))
    return truth, ((row["id"], cv2.imread(str(folder / "images" / row["file_name"]))) for row in truth["images"])


def tuning_set(*, held_out: bool = False) -> Data:
    """Truth and pictures of a part of `training/coco`: every fifth, or those that our own networks never saw."""
    folder = SHARED / "training" / "coco"
    with gzip.open(folder / "person_keypoints.json.gz", "rt") as file:
        truth = json.load(file)
    truth["images"].sort(key=lambda row: row["id"])
    if held_out:
        truth["images"] = [row for row in truth["images"] if row["id"] % HELD_OUT == 0]
    truth = _with_images(truth, slice(None, None, None if held_out else TUNE_EVERY))
    ids = {Path(row["file_name"]).stem: row["id"] for row in truth["images"]}
    return truth, of_shards(sorted(folder.glob("images-*.tar")), ids)


def _with_images(truth: dict[str, Any], some: slice) -> dict[str, Any]:
    """The truth about some of the pictures."""
    images = truth["images"][some]
    ids = {row["id"] for row in images}
    return truth | {"images": images, "annotations": [row for row in truth["annotations"] if row["image_id"] in ids]}


def of_shards(shards: list[Path], ids: dict[str, int]) -> Iterator[tuple[int, Any]]:
    """The ids and pictures of the files in tars whose stems have an id."""
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                if Path(member.name).stem in ids:
                    data = np.frombuffer(tar.extractfile(member).read(), np.uint8)  # type: ignore[union-attr]
                    yield ids[Path(member.name).stem], cv2.imdecode(data, cv2.IMREAD_COLOR)


def crops(part: str, split: str, limit: int | None = None) -> list[Crop]:
    """The labels and pictures of a split of `training/hand` or `training/face`, or of the first of them."""
    folder = SHARED / "training" / part
    with gzip.open(folder / "labels.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["split"] == split][:limit]
    ids = {Path(row["file"]).stem: index for index, row in enumerate(rows)}
    return [(rows[index], frame) for index, frame in of_shards([folder / f"{part}_crops.tar"], ids)]


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
        for person, score in zip(people.keypoints, people.scores, strict=True)
    ]


def precision(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    """COCO's figures for keypoints."""
    if not results:  # which loadRes cannot read
        return dict.fromkeys(FIGURES, 0.0)
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
    return dict(zip(FIGURES, evaluation.stats[:6].tolist(), strict=True))


def run(
    network: Network, data: Data, net_size: str, *, scale_number: int = 1, **thresholds: Any
) -> dict[str, float]:
    """Estimate every picture and score the people."""
    truth, pictures = data
    limits = replace(network.model.thresholds, **thresholds)
    everybody = Everybody(network, net_size, scale_number, thresholds=limits)
    results = []
    seconds = {"network": 0.0, "decoding": 0.0}
    for image, frame in pictures:
        result = everybody(frame)
        seconds = {name: seconds[name] + result.seconds[name] for name in seconds}
        results += coco_results(image, result.people)
    count = len(truth["images"])
    return precision(truth, results) | {f"{name} ms": 1000 * total / count for name, total in seconds.items()}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown; a number with a fraction has three digits of it, NaN is a dash."""

    def text(value: object) -> str:
        if isinstance(value, float):
            return "–" if math.isnan(value) else f"{value:.3f}"
        return str(value)

    lines = [[text(value) for value in row] for row in (header, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Print a row of figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light-coco", help=MODEL)
    parser.add_argument("--tune", action="store_true", help="use a part of the training set")
    parser.add_argument("--held-out", action="store_true", help="use the part that our own networks never saw")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N photographs of the evaluation set alone")
    parser.add_argument("--stages", type=int, metavar="N", help="run the first N stages of the network alone")
    parser.add_argument("--net-size", default=f"-1x{NET_SIDE}")
    parser.add_argument("--scale-number", type=int, default=1, help="at how many scales each photograph is looked at")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a constant of the decoder")
    parser.add_argument("--step", type=float, help="geometry.SMALLEST_STEP: 0 never averages a frame that shrinks")
    options = parser.parse_args()
    if options.step is not None:
        geometry.SMALLEST_STEP = options.step
    given = (pair.split("=") for pair in options.set)
    thresholds = {name: value if name == "refinement" else float(value) for name, value in given}
    start = time.perf_counter()
    tuning = options.tune or options.held_out
    data = tuning_set(held_out=options.held_out) if tuning else evaluation_set(options.limit)
    network = load(options.model, stages=options.stages)
    figures = run(network, data, options.net_size, scale_number=options.scale_number, **thresholds)
    print(
        "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), f" ({time.perf_counter() - start:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
