"""How people are shown on frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posecv.drawing import ALPHA, DRAWN_ABOVE, draw_people
from posecv.people import People

__all__ = ["Style"]

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Style:
    """How people are shown.

    Attributes
    ----------
    threshold : float or None
        Keypoints scoring this or less are not drawn; by default weak ones of hands and faces.
    alpha : float
        Opacity of what is drawn, 0 to 1.
    render : str
        A "skeleton" on the frame, its "keypoints" alone, the skeleton on a "blank" picture, or "none", the bare frame.
    """

    threshold: float | None = None
    alpha: float = ALPHA
    render: str = "skeleton"

    def drawn(self, frame: Frame, people: People) -> Frame:
        """A picture of the people; the frame itself is untouched."""
        picture = np.zeros_like(frame) if self.render == "blank" else frame.copy()
        if self.render == "none":
            return picture
        threshold = DRAWN_ABOVE.get(people.skeleton.name, 0.0) if self.threshold is None else self.threshold
        limbs = self.render != "keypoints"
        return draw_people(picture, people, threshold=threshold, alpha=self.alpha, limbs=limbs)
