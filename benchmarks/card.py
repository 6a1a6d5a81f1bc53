"""A body network's accuracy in detail, as tables for its card: by keypoint, by size, by height in the input.

    python -m benchmarks.card --model light-coco
    python -m benchmarks.card --model pose.prototxt,pose.caffemodel --net-size=-1x256

Needs pycocotools and the shared data (`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import posecv
from benchmarks import shared
from benchmarks.program import one_line
from posecv.engines.network import Network
from posecv.evaluation import coco, markdown
from posecv.evaluation import people as tables
from posecv.evaluation.people import NOSE, Match, Table, match_people, upright_torso
from posecv.geometry import Fit, NetSize
from posecv.models import NET_SIDE
from posecv.skeletons import COCO_17

__all__ = ["NOSE", "by_height", "by_keypoint", "main", "matches", "measure", "upright_torso"]


def matches(annotations: list[dict[str, Any]], people: posecv.People, scale: float) -> list[Match]:
    """The labelled people of an image who have keypoints, with the detection of each."""
    return match_people(annotations, coco.named_keypoints(people, COCO_17), scale)


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


def by_keypoint(people: list[Match]) -> str:
    """The table of keypoints, in Markdown."""
    return _text(tables.by_keypoint(people))


def by_height(people: list[Match]) -> str:
    """The table of heights, in Markdown."""
    return _text(tables.by_height(people))


def _text(table: Table) -> str:
    return markdown.table(table.header, table.rows)


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
