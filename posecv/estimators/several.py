"""Several estimators on the same frame, such as one for each hand in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from posecv.arrays import Frame
from posecv.errors import UsageError
from posecv.estimators import Estimator, Setting
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import Skeleton

__all__ = ["Several"]


@dataclass(frozen=True, eq=False)
class Several:
    """Finds the people that each of several estimators finds, in their order.

    Attributes
    ----------
    estimators : tuple of Estimator
        At least one, all with the same skeleton. They are independent: what two of them find is there twice.
    """

    estimators: tuple[Estimator, ...]

    def __post_init__(self) -> None:
        names = {each.skeleton.name for each in self.estimators}
        if len(names) != 1:
            raise UsageError(f"estimators must have one skeleton, not {', '.join(sorted(names)) or 'none'}")

    @property
    def skeleton(self) -> Skeleton:
        """The estimators' skeleton."""
        return self.estimators[0].skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The people of all estimators, without a view, since each has maps of its own."""
        results = [each(frame, before, **overrides) for each in self.estimators]
        seconds: dict[str, float] = {}
        for name, value in (item for result in results for item in result.seconds.items()):
            seconds[name] = seconds.get(name, 0.0) + value
        return replace(results[0], people=_joined([result.people for result in results]), view=None, seconds=seconds)


def _joined(groups: list[People]) -> People:
    """The people of several groups; what one group lacks, such as ids, all lack."""
    columns: dict[str, Any] = {}
    for name in ("keypoints", "scores", "hands", "faces", "left", "ids"):
        parts = [getattr(people, name) for people in groups]
        columns[name] = None if any(part is None for part in parts) else np.concatenate(parts)
    return replace(groups[0], **columns)
