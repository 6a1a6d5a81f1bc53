"""The score from which on people are kept: which thresholds lose people, and which ones ghosts.

    python -m benchmarks.ghosts --model light_body --tune    part of the training set, to choose the threshold on
    python -m benchmarks.ghosts --model light_body           photographs that our own networks never saw

Right are people whose similarity (OKS) to a labelled person, whom nobody else matches, is above 0.3. Needs pycocotools
and the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import shared
from benchmarks.program import one_line
from posecv.estimators.single_pass import Everybody
from posecv.evaluation import coco, markdown
from posecv.oks import distances, partners, similarities
from posecv.people import People
from posecv.skeletons import COCO_17

THRESHOLDS = (0.0, 0.02, 0.04, 0.05, 0.06, 0.07, 0.08, 0.085, 0.09, 0.1, 0.12)
RIGHT = 0.3

Bools = NDArray[np.bool_]


def right_ones(people: People, annotations: Sequence[dict[str, Any]]) -> Bools:
    """(N,) bool array: who is a labelled person."""
    right = np.zeros(len(people), bool)
    labelled = [each for each in annotations if each["num_keypoints"]]
    if not len(people) or not labelled:
        return right
    labels = np.array([each["keypoints"] for each in labelled], np.float64).reshape(-1, 17, 3)
    order = [people.skeleton.keypoints.index(name) for name in COCO_17]
    areas = np.array([each["area"] for each in labelled])[:, None, None]
    oks = np.nanmean(similarities(distances(labels, people.keypoints[:, order]), areas), axis=2)
    for label, found in enumerate(partners(oks)):
        if found is not None:
            right[found] |= oks[label, found] > RIGHT
    return right


def rows(name: str, data: shared.Data) -> list[list[object]]:
    """Threshold, AP, people right and wrong, for each threshold."""
    truth, pictures = data
    everybody = Everybody(shared.load(name), person_threshold=0.0)
    of_image: dict[int, list[dict[str, Any]]] = {}
    for each in truth["annotations"]:
        of_image.setdefault(each["image_id"], []).append(each)
    found: list[tuple[int, People, Bools]] = []
    for image, frame in pictures:
        people = everybody(frame).people
        found.append((image, people, right_ones(people, of_image.get(image, []))))
    table: list[list[object]] = []
    for threshold in THRESHOLDS:
        kept = [(image, people, right, people.scores > threshold) for image, people, right in found]
        results = [row for image, people, _, keep in kept for row in coco.records(image, people[keep])]
        good = sum(int((right & keep).sum()) for _, _, right, keep in kept)
        all_kept = sum(int(keep.sum()) for *_, keep in kept)
        table.append([threshold, coco.average_precision(truth, results)["AP"], good, all_kept - good])
    return table


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light_body", metavar="NAME|P,M", help=shared.MODEL)
    parser.add_argument("--tune", action="store_true", help="use a part of the training set")
    options = parser.parse_args(argv)
    coco.require_pycocotools()
    data = shared.tuning_set(held_out=not options.tune)
    print(markdown.table(["above", "AP", "right", "wrong"], rows(options.model, data)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
