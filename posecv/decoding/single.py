"""One person: the strongest peak of each heatmap."""

from __future__ import annotations

import numpy as np

from posecv.arrays import Array
from posecv.decoding.peaks import find_peaks, to_cells
from posecv.skeletons import Skeleton

SHARE_OF_HIGHEST = 0.8  # maxima of the enlarged map lie in cells about as high as the highest
MIDDLE = "nose", "head", "neck"  # keypoints that a person has only once
STRONG = 0.25  # the score from which on a peak is surely somebody
SHARE = 0.5  # of the strongest peak's score: a second person's
FAR = 5.0  # cells between two people


def strongest_peaks(heatmaps: Array, threshold: float, refinement: str = "centroid") -> Array:
    """Find the global maximum of each heatmap.

    Parameters
    ----------
    heatmaps : (K, h, w) float32 array
        Without the background.
    threshold : float
        Keypoints that score this or less are missing.
    refinement : {"centroid", "parabola"}
        As in `find_peaks`.

    Returns
    -------
    (K, 3) float32 array
        x, y in cells and the heatmap's value there; 0, 0, 0 where missing.

    Notes
    -----
    The result is the strongest of the peaks that `find_peaks` finds. A map that is highest on its edge or on a plateau
    has no peak there; then the result is the middle of the highest cell.
    """
    width = heatmaps.shape[2]
    flat = heatmaps.reshape(len(heatmaps), -1)
    cells = flat.argmax(axis=1)
    highest = flat[np.arange(len(flat)), cells]
    peaks = find_peaks(heatmaps, np.maximum(threshold, SHARE_OF_HIGHEST * highest), refinement)
    keypoints = np.zeros((len(heatmaps), 3), np.float32)
    for keypoint, (low, high) in enumerate(zip(peaks.first[:-1], peaks.first[1:], strict=True)):
        if high > low:
            best = low + peaks.score[low:high].argmax()
            keypoints[keypoint] = *to_cells(peaks.xy[best]), peaks.score[best]
        elif highest[keypoint] > threshold:
            row, column = divmod(int(cells[keypoint]), width)
            keypoints[keypoint] = column, row, highest[keypoint]
    return keypoints


def shows_several(heatmaps: Array, skeleton: Skeleton) -> bool:
    """Whether a second person is plainly there: the nose and the neck each have another strong peak far away.

    Left and right sides of one person are often confused, so their peaks tell nothing. A keypoint of the two without
    any strong peak does not matter.

    Parameters
    ----------
    heatmaps : (C, h, w) float32 array
        In the skeleton's order.
    skeleton : Skeleton
    """
    names = [name for name in MIDDLE if name in skeleton.keypoints]
    if not names:
        return False
    peaks = find_peaks(heatmaps[[skeleton.keypoints.index(name) for name in names]], STRONG)
    seconds = []
    for index in range(len(names)):
        some = slice(peaks.first[index], peaks.first[index + 1])
        xy, score = to_cells(peaks.xy[some]), peaks.score[some]
        if len(score):
            first = score.argmax()
            far = np.linalg.norm(xy - xy[first], axis=1) > FAR
            seconds.append(bool((score[far] > SHARE * score[first]).any()))
    return len(seconds) > 0 and all(seconds)
