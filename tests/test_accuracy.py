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
from benchmarks.shared import tuning_set
from posecv.engines.network import Network, load_network
from posecv.evaluation.coco import average_precision, of_images, records
from posecv.people import People
from posecv.skeletons import Skeleton, Thresholds

PICTURES = 30
TOLERANCE = 0.005  # of average precision, as a keypoint may lie up to half a network pixel beside the oracle's

Picture = tuple[int, NDArray[np.uint8]]


@pytest.fixture(scope="module")
def photographs(shared: Path) -> tuple[dict[str, Any], list[Picture]]:
    """The truth and the pictures of a part of the training set."""
    pytest.importorskip("pycocotools")
    if not (shared / "training" / "coco").is_dir():
        pytest.skip(f"no training set in {shared}")
    truth, frames = tuning_set()
    pictures = list(islice(frames, PICTURES))
    return of_images(truth, [image for image, _ in pictures]), pictures


def remembering(network: Network) -> Network:
    """The same network, which gives what it gave before for a blob that it has seen."""
    kept: dict[bytes, Any] = {}

    def forward(blob: NDArray[np.float32]) -> Any:
        key = blob.tobytes()
        if key not in kept:
            kept[key] = network.engine.forward(blob)
        return kept[key]

    return replace(network, engine=replace(network.engine, forward=forward))


def precision_of(network: Network, truth: dict[str, Any], pictures: list[Picture]) -> float:
    results = []
    for image, frame in pictures:
        results += records(image, posecv.estimate_people(network, frame))
    return average_precision(truth, results)["AP"]


@pytest.mark.slow
def test_people_in_photographs_are_found_as_precisely_as_by_the_oracle(
    photographs: tuple[dict[str, Any], list[Picture]], light_coco: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(maps: NDArray[np.float32], skeleton: Skeleton, *, stride: int, **thresholds: Any) -> People:
        assert stride == 8  # which the oracle takes for granted
        return oracle.decode(maps, skeleton, Thresholds(**thresholds))

    network = remembering(load_network(*light_coco))
    found = precision_of(network, *photographs)
    monkeypatch.setattr(posecv.estimators.single_pass, "decode_people", slowly)
    expected = precision_of(network, *photographs)
    assert expected > 0
    assert found >= expected - TOLERANCE
