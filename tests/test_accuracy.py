"""Accuracy on photographs: the fast decoder loses nothing against the slow one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import oracle
import posecv
import posecv.estimators.single_pass
from benchmarks import accuracy
from posecv.engines.network import Network, load_network
from posecv.people import People
from posecv.skeletons import COCO, COCO_17, Skeleton, Thresholds

PICTURES = 30
TOLERANCE = 0.005  # of average precision, as a keypoint may lie up to half a network pixel beside the oracle's

Picture = tuple[int, NDArray[np.uint8]]


@pytest.fixture(scope="module")
def photographs(shared: Path) -> tuple[dict[str, Any], list[Picture]]:
    """The truth and the pictures of a part of the training set."""
    pytest.importorskip("pycocotools")
    if not (shared / "training" / "coco").is_dir():
        pytest.skip(f"no training set in {shared}")
    truth, frames = accuracy.tuning_set()
    pictures = list(islice(frames, PICTURES))
    ids = {image for image, _ in pictures}
    truth["images"] = [row for row in truth["images"] if row["id"] in ids]
    truth["annotations"] = [row for row in truth["annotations"] if row["image_id"] in ids]
    return truth, pictures


def remembering(network: Network) -> Network:
    """The same network, which gives what it gave before for a blob that it has seen."""
    kept: dict[bytes, Any] = {}

    def forward(blob: NDArray[np.float32]) -> Any:
        key = blob.tobytes()
        if key not in kept:
            kept[key] = network.engine.forward(blob)
        return kept[key]

    return replace(network, engine=replace(network.engine, forward=forward))


def average_precision(network: Network, truth: dict[str, Any], pictures: list[Picture]) -> float:
    results = []
    for image, frame in pictures:
        results += accuracy.coco_results(image, posecv.estimate_people(network, frame))
    return accuracy.precision(truth, results)["AP"]


@pytest.mark.slow
def test_people_in_photographs_are_found_as_precisely_as_by_the_oracle(
    photographs: tuple[dict[str, Any], list[Picture]], light_coco: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(maps: NDArray[np.float32], skeleton: Skeleton, *, stride: int, **thresholds: Any) -> People:
        assert stride == 8  # which the oracle takes for granted
        return oracle.decode(maps, skeleton, Thresholds(**thresholds))

    network = remembering(load_network(*light_coco))
    found = average_precision(network, *photographs)
    monkeypatch.setattr(posecv.estimators.single_pass, "decode_people", slowly)
    expected = average_precision(network, *photographs)
    assert expected > 0
    assert found >= expected - TOLERANCE


def test_a_perfect_answer_has_a_precision_of_one() -> None:
    """The benchmark's own records: people who lie where the truth has them."""
    pytest.importorskip("pycocotools")
    order = [COCO.keypoints.index(name) for name in COCO_17]
    keypoints = np.random.default_rng(1).uniform(10, 200, (2, 18, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    people = People(keypoints, np.array([0.9, 0.8], np.float32), COCO)
    annotations = []
    for index, person in enumerate(keypoints):
        xyv = person[order].copy()
        xyv[:, 2] = 2
        box = [float(value) for value in people.boxes[index]]
        annotations.append(
            {
                "id": index + 1,
                "image_id": 7,
                "category_id": 1,
                "keypoints": xyv.ravel().tolist(),
                "num_keypoints": 17,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
        )
    truth = {"images": [{"id": 7}], "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    assert accuracy.precision(truth, accuracy.coco_results(7, people))["AP"] == pytest.approx(1)
    away = People(keypoints + np.array([500, 0, 0], np.float32), people.scores, COCO)
    assert accuracy.precision(truth, accuracy.coco_results(7, away))["AP"] == 0
