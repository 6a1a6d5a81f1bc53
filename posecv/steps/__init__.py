"""Steps: from Result to Result, over time. A source gets fresh ones, which run in order after its estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from posecv.result import Result

__all__ = ["MakeStep", "Step"]


class Step(Protocol):
    """Something that is done with each result of one source, in the order of its frames; it may keep state."""

    def __call__(self, result: Result) -> Result:
        """The result, with what the step adds or changes."""


MakeStep = Callable[[], Step]  # a class or function that makes a fresh step; a worker process can pickle it
