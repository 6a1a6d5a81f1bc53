"""How people are drawn on frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posecv.arrays import Frame, checked_frame
from posecv.drawing.rate import Rate
from posecv.drawing.skeletons import ALPHA, DRAWN_ABOVE, draw_labels, draw_people, draw_rate
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import CONTROLNET

__all__ = ["COLORS", "Style"]

COLORS = ("openpose", "controlnet")


@dataclass(frozen=True)
class Style:
    """How people are drawn.

    Attributes
    ----------
    threshold : float or None
        Keypoints that score this or less are not drawn. By default 0, with higher thresholds for hands and faces.
    alpha : float
        Opacity of the drawing, 0 to 1.
    render : str
        "skeleton": on the frame; "keypoints": without limbs; "blank": the skeleton on black; "none": only the frame.
    labels : str
        What is written beside each keypoint: "none", its "index" or its "name".
    colors : str
        "openpose", or "controlnet" for the colours of ControlNet's pose images, which are opaque.
    rate : Rate or None
        If given, it counts the drawn frames, and each frame shows the frame rate.
    """

    threshold: float | None = None
    alpha: float = ALPHA
    render: str = "skeleton"
    labels: str = "none"
    colors: str = COLORS[0]
    rate: Rate | None = None

    def drawn(self, result: Result) -> Frame:
        """Draw a result's people on a copy of its frame."""
        frame, people = checked_frame(result.frame), result.people
        picture = np.zeros_like(frame) if self.render == "blank" else frame.copy()
        if self.render != "none":
            threshold = DRAWN_ABOVE.get(people.skeleton.name, 0.0) if self.threshold is None else self.threshold
            limbs, alpha = self.render != "keypoints", self.alpha
            if self.colors == COLORS[1]:
                people, alpha = _as_controlnet(people), 1.0
            draw_people(picture, people, threshold=threshold, alpha=alpha, limbs=limbs)
            draw_labels(picture, people, labels=self.labels, threshold=threshold)
        return draw_rate(picture, self.rate.tick()) if self.rate else picture


def _as_controlnet(people: People) -> People:
    """Bodies with the 18 keypoints and colours of ControlNet's pose images; people of another kind as they are."""
    names = people.skeleton.keypoints
    if not set(CONTROLNET.keypoints) <= set(names):
        return people
    keypoints = people.keypoints[:, [names.index(name) for name in CONTROLNET.keypoints]]
    certain = np.where(keypoints[..., 2:] > 0, [1, 1, 0], 0) * keypoints
    certain[..., 2] = keypoints[..., 2] > 0  # weak keypoints are not drawn fainter
    return replace(people, keypoints=certain.astype(np.float32), skeleton=CONTROLNET)
