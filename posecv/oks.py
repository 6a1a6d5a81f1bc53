"""Object keypoint similarity (OKS): how near keypoints are to their labels, by COCO's rule.

A keypoint at a distance d from its label has the similarity exp(-d^2 / (2 area (2 sigma)^2)): 1 on the label, and less
if it is farther away, if the person is smaller, or if people label such keypoints more precisely. A person's similarity
is the mean over the labelled keypoints. Source: cocodataset.org, "Keypoint Evaluation".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posecv.errors import ModelError
from posecv.skeletons import COCO_17

__all__ = ["SIGMAS", "distances", "likeness", "partners", "sigmas_of", "similarities"]

Floats = NDArray[np.floating]

# Standard deviation of people's labels of the same keypoint, relative to the square root of the person's area. COCO has
# no neck and no top of the head: they get the sigma of a shoulder, as in CrowdPose's own evaluation.
_SIGMA = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089, "neck": 0.079, "head": 0.079,
}  # fmt: skip
COMMON = 3  # minimum number of common keypoints to compare two people
PERSON_SHARE = 0.7  # of the box round a person's keypoints that the person covers


def sigmas_of(keypoints: Sequence[str]) -> NDArray[np.float64]:
    """(K,) sigmas of keypoints by name; ModelError for a keypoint that COCO does not have.

    >>> sigmas_of(["nose", "left_wrist"])
    array([0.026, 0.062])
    """
    kinds = [name.removeprefix("left_").removeprefix("right_") for name in keypoints]
    unknown = [name for name, kind in zip(keypoints, kinds, strict=True) if kind not in _SIGMA]
    if unknown:
        raise ModelError(f"COCO has no sigma for {unknown[0]}; it has them for {', '.join(_SIGMA)}")
    return np.array([_SIGMA[kind] for kind in kinds])


SIGMAS = sigmas_of(COCO_17)


def distances(labels: Floats, found: Floats) -> NDArray[np.float64]:
    """Distances between detected and labelled keypoints.

    Parameters
    ----------
    labels : (M, K, 3) array
        x, y, and a number above 0 if there is a label.
    found : (N, K, 3) array
        x, y, and a number above 0 if it was found.

    Returns
    -------
    (M, N, K) float64 array
        NaN if a keypoint has no label, infinite if it was not found.
    """
    there, seen = labels[:, None, :, 2] > 0, found[None, :, :, 2] > 0
    away = np.linalg.norm(found[None, ..., :2].astype(np.float64) - labels[:, None, :, :2], axis=-1)
    return np.where(there, np.where(seen, away, np.inf), np.nan)


def similarities(distances: Floats, area: float | Floats, sigmas: Floats = SIGMAS) -> NDArray[np.float64]:
    """Each keypoint's term of the object keypoint similarity.

    Parameters
    ----------
    distances : (..., K) array
        Pixels from the labels; infinite for a missing keypoint, NaN without a label.
    area : float or array
        Pixels that each labelled person covers, in a shape that broadcasts: (M, 1, 1) for distances of (M, N, K).
    sigmas : (K,) array
        By default those of COCO's 17 keypoints.

    Returns
    -------
    (..., K) float64 array
        1 on the label, 0 if missing, NaN without a label. `np.nanmean` over K is the person's similarity.

    Examples
    --------
    At 2 sigma times the root of the area the similarity is exp(-1/2):

    >>> similarities(np.array([0, 2 * 0.026 * 100, np.inf]), 100**2, sigmas_of(["nose"] * 3)).round(4)
    array([1.    , 0.6065, 0.    ])
    """
    return np.exp(-(distances**2) / (2 * np.asarray(area) * (2 * sigmas) ** 2))


def likeness(one: Floats, other: Floats, sigmas: Floats) -> float:
    """The similarity of two people with unknown areas, over the keypoints that both have.

    Parameters
    ----------
    one, other : (K, 3) arrays
        x, y and the confidence of each keypoint; 0 for a missing one.
    sigmas : (K,) array

    Returns
    -------
    float
        0 to 1; 0 if they have fewer than `COMMON` keypoints in common.
    """
    both = (one[:, 2] > 0) & (other[:, 2] > 0)
    if np.count_nonzero(both) < COMMON:
        return 0.0
    boxes = [np.ptp(points[points[:, 2] > 0, :2], axis=0).prod() for points in (one, other)]
    away = np.linalg.norm(one[both, :2] - other[both, :2], axis=1)
    return float(similarities(away, PERSON_SHARE * max(boxes) + 1, sigmas[both]).mean())


def partners(oks: Floats) -> list[int | None]:
    """Match M labelled people to N detected people, the most similar pairs first; the index of each one's match.

    Parameters
    ----------
    oks : (M, N) array
        Similarities; people with similarity 0 are not matched.

    Examples
    --------
    The second label is more similar to the detection:

    >>> partners(np.array([[0.7], [0.9]]))
    [None, 0]
    """
    left = oks.copy()
    found: list[int | None] = [None] * len(oks)
    while left.size and left.max() > 0:
        person, other = np.unravel_index(left.argmax(), left.shape)
        found[person] = int(other)
        left[person] = left[:, other] = 0
    return found
