"""Steps: from Result to Result, over time. Each source gets new ones, which run in order after the estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from posecv.result import Result

__all__ = ["MakeStep", "Step"]


class Step(Protocol):
    """Processes each result of one source, in the order of its frames; it may keep state."""

    def __call__(self, result: Result) -> Result:
        """The result with the step's additions or changes."""


MakeStep = Callable[[], Step]  # a class or function that returns a new step; it must be picklable for worker processes
