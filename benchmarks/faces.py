"""Accuracy on crops of faces: how far keypoints lie from their labels, by source and by part of the face.

    python -m benchmarks.faces --model light_face
    python -m benchmarks.faces --model light_face --stray 0.1    # boxes that are a little off

The error is a distance divided by the distance between the outer corners of the eyes (300-W's normalised mean error). A
face has failed if its 68 keypoints have a mean error above 0.1. The pupils are not labelled. Needs the shared data
(`POSECV_SHARED`, default ../shared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks import shared
from benchmarks.program import one_line
from benchmarks.shared import Crop
from posecv.engines.network import Network
from posecv.estimators.single_pass import OneHand
from posecv.evaluation import markdown
from posecv.evaluation.single import nme

LABELLED = 68
OUTER_CORNERS = 36, 45
FAILED = 0.1
PARTS = {"jaw": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "mouth": (48, 68), "all": (0, 68)}

Floats = NDArray[np.float64]


def labels_of(crop: Crop) -> Floats:
    """(68, 2) labels; NaN where there is none."""
    return _places(np.array(crop[0]["keypoints"], np.float64))


def strayed(size: tuple[int, int], stray: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A crop's box, moved and resized at random, both with a standard deviation of `stray` times its side."""
    width, height = size
    side = max(width, height) * float(np.exp(rng.normal(0, stray)))
    x, y = (np.array(size) - side) / 2 + rng.normal(0, stray, 2) * side
    return float(x), float(y), side, side


def found_in(
    network: Network, crop: Crop, net_size: str | None, stray: float, rng: np.random.Generator
) -> Floats:
    """(68, 2) keypoints that a face network finds in a crop; NaN where it finds none."""
    frame = crop[1]
    height, width = frame.shape[:2]
    box = strayed((width, height), stray, rng)
    face = OneHand(network, box, net_size=net_size)(frame).people
    if not len(face):
        return np.full((LABELLED, 2), np.nan)
    return _places(face.keypoints[0, :LABELLED].astype(np.float64))


def _places(points: Floats) -> Floats:
    """(68, 2) x, y of (68, 3) keypoints; NaN where the third value is 0."""
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)


def errors(found: Floats, labels: Floats) -> Floats:
    """(68,) distances divided by that between the outer corners of the eyes; infinite where nothing was found."""
    return nme(found, labels, OUTER_CORNERS)


def average_face(faces: list[Crop]) -> Floats:
    """(68, 2) mean labels of faces in crops of side 1: a baseline that does not look at the image."""
    return np.nanmean([labels_of(face) / face[1].shape[1::-1] for face in faces], axis=0)


def scaled(average: Floats, crop: Crop) -> Floats:
    """(68, 2) keypoints of the average face in a crop."""
    return average * crop[1].shape[1::-1]


def compared(faces: list[Crop], methods: Mapping[str, Callable[[Crop], Floats]]) -> str:
    """The tables of methods, each a function from a crop to (68, 2) keypoints."""
    labels = [labels_of(face) for face in faces]
    found = {name: list(map(method, faces)) for name, method in methods.items()}
    away = {name: np.array(list(map(errors, each, labels))) for name, each in found.items()}
    return report([face[0]["source"] for face in faces], away)


def report(sources: list[str], away: dict[str, Floats]) -> str:
    """The tables: methods by source, then by part of the face; `away` has (faces, 68) errors of each method."""
    header = "source", "faces", *(f"{name}: {what}" for name in away for what in ("mean", "median", "failed"))
    rows = []
    for source in [*sorted(set(sources)), "all"]:
        mask = np.array([source in (each, "all") for each in sources])
        means = {name: np.nanmean(each[mask], axis=1) for name, each in away.items()}
        row = [(float(np.mean(m)), float(np.median(m)), float(np.mean(m > FAILED))) for m in means.values()]
        rows.append((source, int(mask.sum()), *(figure for figures in row for figure in figures)))
    parts = [
        (part, *(float(np.nanmedian(each[:, slice(*ends)])) for each in away.values())) for part, ends in PARTS.items()
    ]
    names = "part", *(f"{name}: median" for name in away)
    return markdown.table(header, rows) + "\n\n" + markdown.table(names, parts)


@one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="light_face", help=shared.MODEL)
    parser.add_argument("--split", choices=("test", "val"), default="test")
    parser.add_argument("--net-size", help="size of the network's input (default: the model's)")
    parser.add_argument("--stray", type=float, default=0.0, help="how far boxes are off, as a share of their side")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N crops alone")
    options = parser.parse_args(argv)
    faces = shared.crops("face", options.split, options.limit)
    network = shared.load(options.model)
    rng = np.random.default_rng(0)
    average = average_face(shared.crops("face", "train"))

    def by_network(face: Crop) -> Floats:
        return found_in(network, face, options.net_size, options.stray, rng)

    print(compared(faces, {network.model.name: by_network, "average face": lambda face: scaled(average, face)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
