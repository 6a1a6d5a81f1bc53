"""One person: the strongest peak of each heatmap."""

from __future__ import annotations

import numpy as np

from posecv.arrays import Array
from posecv.decoding.peaks import find_peaks, to_cells

SHARE_OF_HIGHEST = 0.8  # maxima of the enlarged map lie in cells about as high as the highest


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
