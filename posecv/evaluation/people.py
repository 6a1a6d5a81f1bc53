"""Every labelled person beside its detection: what is found, by keypoint, by height, and how near."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.evaluation.coco import Truth, keypoints_of
from posecv.oks import distances, partners, sigmas_of, similarities
from posecv.skeletons import COCO_17

__all__ = [
    "HEIGHTS", "SIMILAR", "TORSO_SHARE", "Match", "Table", "by_height", "by_keypoint", "match_people", "of_truth",
    "share", "upright_torso",
]  # fmt: skip

TORSO_SHARE = 0.2  # of the torso, within which a keypoint of somebody alone and upright is right
SIMILAR = 0.5  # from this object keypoint similarity on a person is found, and a keypoint by its own term of it
HEIGHTS = (0, 32, 64, 96, 128, 192, 256, math.inf)  # of people, in pixels of the network's input

# A usual webcam: 1280 x 720 pixels, 43 degrees from the bottom to the top of its image (a Logitech C920 in 16:9), and
# somebody of 1.7 m.
WEBCAM_DEGREES, PERSON_METRES = 43.3, 1.7

Floats = NDArray[np.float64]
NOSE = COCO_17.index("nose")
SHOULDERS, HIPS = (
    [COCO_17.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "hip")
)


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes
    ----------
    title : str
    header : tuple of str
    rows : list of sequences
        Names, counts and numbers; NaN where there is nothing to count.
    note : str
        What the numbers mean, in a sentence or two.
    """

    title: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Match:
    """A labelled person and its detection.

    Attributes
    ----------
    height : float
        Of the person's box, in pixels of the network's input.
    similarity : (K,) array
        Each keypoint's term of the object keypoint similarity: 1 is perfect, 0 is missing, NaN has no label.
    torsos : (K,) array
        Each keypoint's distance from its label, in torsos; infinite is missing, NaN has no label. None if the person
        is not alone and upright.
    away : (K,) array
        The same distances in pixels.
    confidence : (K,) array
        The score of each found keypoint; 0 if missing.
    row : mapping
        The annotation.
    """

    height: float
    similarity: Floats
    torsos: Floats | None
    away: Floats = field(default_factory=lambda: np.zeros(0))
    confidence: Floats = field(default_factory=lambda: np.zeros(0))
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def oks(self) -> float:
        """The object keypoint similarity."""
        return float(np.nanmean(self.similarity))


def upright_torso(labels: Floats) -> float | None:
    """The torso's length if all five keypoints are labelled and the hips are below the shoulders, below the nose."""
    if len(labels) != len(COCO_17) or not labels[[NOSE, *SHOULDERS, *HIPS], 2].all():
        return None
    shoulders, hips = labels[SHOULDERS, :2].mean(axis=0), labels[HIPS, :2].mean(axis=0)
    return math.dist(shoulders, hips) if labels[NOSE, 1] < shoulders[1] < hips[1] else None


def match_people(
    annotations: Iterable[Mapping[str, Any]], found: Floats, scale: float, names: Sequence[str] = COCO_17
) -> list[Match]:
    """The labelled people of an image who have keypoints, each with its detection.

    Parameters
    ----------
    annotations : iterable of mapping
        Of this image.
    found : (N, K, 3) array
        x, y, score of the detections' keypoints, in the order of the annotations; 0, 0, 0 if missing.
    scale : float
        Pixels of the network's input per pixel of the image.
    names : sequence of str
        The K keypoints.
    """
    rows = [row for row in annotations if row["num_keypoints"] and not row["iscrowd"]]
    sigmas, count = sigmas_of_names(names), len(names)
    labels = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), count, 3)
    away = distances(labels, found)  # (M, N, K)
    areas = np.array([row["area"] for row in rows], np.float64)
    similar = similarities(away, areas[:, None, None], sigmas)
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
                similarity=similarities(lies, row["area"], sigmas),
                torsos=lies / torso if torso else None,
                away=lies,
                confidence=np.zeros(count) if partner is None else np.asarray(found[partner, :, 2], np.float64),
                row=row,
            )
        )
    return result


def sigmas_of_names(names: Sequence[str]) -> Floats:
    """(K,) sigmas; those of a hip for keypoints of MPII that COCO does not know."""
    return np.array([sigmas_of([{"pelvis": "left_hip", "thorax": "neck"}.get(name, name)])[0] for name in names])


def of_truth(truth: Truth, found: Mapping[int, Floats], scales: Mapping[int, float]) -> list[Match]:
    """The labelled people of all images.

    Parameters
    ----------
    truth : dict
    found : mapping of int to (N, K, 3) array
        The detections of each image by its id.
    scales : mapping of int to float
        As `match_people` needs it, by the image's id.
    """
    names = keypoints_of(truth)
    nobody = np.zeros((0, len(names), 3))
    of_image: dict[int, list[Mapping[str, Any]]] = {row["id"]: [] for row in truth["images"]}
    for row in truth["annotations"]:
        of_image[row["image_id"]].append(row)
    return [
        match
        for image, rows in of_image.items()
        for match in match_people(rows, found.get(image, nobody), scales.get(image, 1.0), names)
    ]


def share(true: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    """The share of true values, from 0 to 1; NaN if there are none."""
    return float(true[of].mean()) if of.any() else math.nan


def by_keypoint(people: Sequence[Match], names: Sequence[str] = COCO_17) -> Table:
    """A row for each keypoint and one for all: labels and correct share, for people alone and upright and for all."""
    count = len(names)
    torsos = np.array([person.torsos for person in people if person.torsos is not None]).reshape(-1, count)
    similar = np.array([person.similarity for person in people]).reshape(-1, count)
    rows = []
    for name, columns in [*((name, [at]) for at, name in enumerate(names)), ("all", list(range(count)))]:
        figures: list[object] = [name.replace("_", " ")]
        for values, right in ((torsos, torsos <= TORSO_SHARE), (similar, similar >= SIMILAR)):
            labelled = ~np.isnan(values[:, columns])
            figures += [int(labelled.sum()), share(right[:, columns], labelled)]
        rows.append(figures)
    header = ("keypoint", "labels, upright", f"within {TORSO_SHARE} torso", "labels, all", f"similarity {SIMILAR}")
    return Table("By keypoint", header, rows, "Upright: people who are alone in their image and upright.")


def found_of(people: Sequence[Match]) -> tuple[int, float, float]:
    """How many people there are, the share of them found, and the right share of their keypoints."""
    similar = np.concatenate([person.similarity for person in people]) if people else np.zeros(0)
    found = np.array([person.oks >= SIMILAR for person in people], bool)
    return len(people), share(found, np.ones_like(found)), share(similar >= SIMILAR, ~np.isnan(similar))


def by_height(people: Sequence[Match], net_height: float | None = None) -> Table:
    """A row for each range of heights: the number of people, the share found, the share of their keypoints.

    With the height of the network's input, also how far away somebody of that height stands from a usual webcam.
    """
    rows = []
    for low, high in itertools.pairwise(HEIGHTS):
        some = [person for person in people if low <= person.height < high]
        row: list[object] = [f"{low} and more" if high == math.inf else f"{low} to {high}", *found_of(some)]
        rows.append([*row, _distance(low, high, net_height)] if net_height else row)
    header = ("height in the input, pixels", "people", "found", "their keypoints")
    if not net_height:
        return Table("By height", header, rows)
    note = f"Metres: somebody of {PERSON_METRES} m before a webcam that sees {WEBCAM_DEGREES:g} degrees in height."
    return Table("By height", (*header, "metres away"), rows, note)


def _distance(low: float, high: float, net_height: float) -> str:
    """Where people of these heights stand: from the tallest, who are nearest, to the smallest."""
    near, far = (f"{metres(height, net_height):.1f}" if 0 < height < math.inf else "" for height in (high, low))
    return f"{near} to {far}" if near and far else (f"over {near}" if near else f"under {far}")


def metres(height: float, net_height: float) -> float:
    """How far from a usual webcam somebody stands who has so many pixels of the network's input.

    >>> round(metres(368, 368), 1)      # as tall as the image
    2.1
    """
    return PERSON_METRES * net_height / height / (2 * math.tan(math.radians(WEBCAM_DEGREES / 2)))
