"""A body network's accuracy in detail, as tables for its card: by keypoint, by size, by height in the input.

    python -m benchmarks.card --model light-coco
    python -m benchmarks.card --model pose.prototxt,pose.caffemodel --net-size=-1x256

Needs pycocotools and the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import posecv
from benchmarks import markdown, shared
from benchmarks.program import one_line
from posecv.engines.network import Network
from posecv.evaluation import coco
from posecv.geometry import Fit, NetSize
from posecv.models import NET_SIDE
from posecv.oks import distances, partners, similarities
from posecv.skeletons import COCO_17

TORSO_SHARE = 0.2  # of the torso, within which a keypoint of somebody alone and upright is right
SIMILAR = 0.5  # from this object keypoint similarity on a person is found, and a keypoint by its own term of it
HEIGHTS = (0, 32, 64, 96, 128, 192, 256, math.inf)  # of people, in pixels of the network's input

Floats = NDArray[np.float64]
NOSE = COCO_17.index("nose")
SHOULDERS, HIPS = (
    [COCO_17.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "hip")
)


@dataclass(frozen=True)
class Match:
    """A labelled person and the detection of it.

    Attributes
    ----------
    height : float
        Of the person's box, in pixels of the network's input.
    similarity : (17,) array
        Each keypoint's term of the object keypoint similarity: 1 is perfect, 0 is missing, NaN has no label.
    torsos : (17,) array
        Each keypoint's distance from its label, in torsos; infinite is missing, NaN has no label. None if the person
        is not alone and upright.
    """

    height: float
    similarity: Floats
    torsos: Floats | None

    @property
    def oks(self) -> float:
        """The object keypoint similarity."""
        return float(np.nanmean(self.similarity))


def upright_torso(labels: Floats) -> float | None:
    """The torso's length if all five keypoints are labelled and the hips are below the shoulders, below the nose."""
    if not labels[[NOSE, *SHOULDERS, *HIPS], 2].all():
        return None
    shoulders, hips = labels[SHOULDERS, :2].mean(axis=0), labels[HIPS, :2].mean(axis=0)
    return math.dist(shoulders, hips) if labels[NOSE, 1] < shoulders[1] < hips[1] else None


def matches(annotations: list[dict[str, Any]], people: posecv.People, scale: float) -> list[Match]:
    """The labelled people of an image who have keypoints, with the detection of each.

    `scale` is the number of pixels of the network's input per pixel of the image.
    """
    rows = [row for row in annotations if row["num_keypoints"] and not row["iscrowd"]]
    order = [people.skeleton.keypoints.index(name) for name in COCO_17]
    labels = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), 17, 3)
    away = distances(labels, people.keypoints[:, order])  # (M, N, 17)
    areas = np.array([row["area"] for row in rows], np.float64)
    similar = similarities(away, areas[:, None, None])
    chosen = partners(np.nanmean(similar, axis=-1)) if away.size else [None] * len(rows)
    result = []
    for index, (row, partner) in enumerate(zip(rows, chosen, strict=True)):
        person = labels[index]
        missing = np.where(person[:, 2] > 0, np.inf, np.nan)
        lies = missing if partner is None else away[index, partner]
        torso = upright_torso(person) if len(rows) == 1 else None
        result.append(
            Match(
                height=row["bbox"][3] * scale,
                similarity=similarities(lies, row["area"]),
                torsos=lies / torso if torso else None,
            )
        )
    return result


def measure(network: Network, data: shared.Data, net_size: str) -> tuple[dict[str, float], list[Match]]:
    """COCO's figures, and every labelled person."""
    truth, pictures = data
    results, found = [], []
    for image, frame in pictures:
        people = posecv.estimate_people(network, frame, net_size=net_size)
        results += coco.records(image, people)
        annotations = [row for row in truth["annotations"] if row["image_id"] == image]
        found += matches(annotations, people, Fit.of_frame(frame, NetSize.parse(net_size)).scale)
    return coco.average_precision(truth, results), found


def share(true: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    """The share of true values, from 0 to 1; NaN if there are none."""
    return float(true[of].mean()) if of.any() else math.nan


def by_keypoint(people: list[Match]) -> str:
    """A row for each keypoint and one for all: labels and correct share, for people alone and upright and for all."""
    torsos = np.array([person.torsos for person in people if person.torsos is not None]).reshape(-1, 17)
    similar = np.array([person.similarity for person in people]).reshape(-1, 17)
    rows = []
    for name, columns in [*((name, [at]) for at, name in enumerate(COCO_17)), ("all", list(range(17)))]:
        figures: list[object] = [name.replace("_", " ")]
        for values, right in ((torsos, torsos <= TORSO_SHARE), (similar, similar >= SIMILAR)):
            labelled = ~np.isnan(values[:, columns])
            figures += [int(labelled.sum()), share(right[:, columns], labelled)]
        rows.append(figures)
    header = ("keypoint", "labels, upright", f"within {TORSO_SHARE} torso", "labels, all", f"similarity {SIMILAR}")
    return markdown.table(header, rows)


def by_height(people: list[Match]) -> str:
    """A row for each range of heights: the number of people, the share found, the share of their keypoints."""
    rows = []
    for low, high in itertools.pairwise(HEIGHTS):
        some = [person for person in people if low <= person.height < high]
        similar = np.array([person.similarity for person in some]).reshape(-1, 17)
        found = np.array([person.oks >= SIMILAR for person in some], bool)
        figures = share(found, np.ones_like(found)), share(similar >= SIMILAR, ~np.isnan(similar))
        rows.append((f"{low} and more" if high == math.inf else f"{low} to {high}", len(some), *figures))
    return markdown.table(("height in the input, pixels", "people", "found", "their keypoints"), rows)


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light-coco", help=shared.MODEL)
    parser.add_argument("--net-size", default=f"-1x{NET_SIDE}")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N photographs alone")
    options = parser.parse_args(argv)
    coco.require_pycocotools()
    data = shared.evaluation_set(options.limit)
    figures, people = measure(shared.load(options.model), data, options.net_size)
    print(markdown.table(figures, [figures.values()]), by_keypoint(people), by_height(people), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
