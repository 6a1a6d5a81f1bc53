"""A table of joint angles: one row per person and frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from posecv.angles import ANGLES, joint_angles
from posecv.checks import checked_path, known_arguments
from posecv.outputs.files import Kind
from posecv.outputs.growing import DIGITS, Growing, harmless
from posecv.result import Result

__all__ = ["KIND", "AnglesCsv"]

KIND = Kind("angles", ending="_angles.csv", suffixes=frozenset({".csv"}))
SIDES = {1: "right", -1: "left", 0: "front"}


class AnglesCsv:
    """One row per person: source, frame, time, index in the frame, id if tracked, where the person faces, the angles.

    Angles are degrees, as `posecv.joint_angles` gives them; a cell is empty where a keypoint is missing. `faces` is
    "right" or "left" of the image, or "front" for somebody who faces the camera or turns away from it.

    Parameters
    ----------
    path : str or Path
        The file.
    """

    wants_view = wants_rate = interactive = False

    @known_arguments
    def __init__(self, path: str | Path) -> None:
        self._file = Growing(checked_path(path))
        self._first, self._tracked = True, False

    def write(self, result: Result) -> None:
        """Add the rows; OutputError if that fails."""
        people = result.people
        rows: list[list[Any]] = []
        if self._first:
            self._tracked = people.ids is not None
            rows.append(["source", "frame", "time", "person", *["id"] * self._tracked, "faces", *ANGLES])
        angles = joint_angles(people)
        place = [harmless(result.source), result.number or 0, round(result.time, DIGITS)]
        for index, (degrees, side) in enumerate(zip(angles.degrees, angles.sides.tolist(), strict=True)):
            own = [-1 if people.ids is None else int(people.ids[index])] * self._tracked
            values = [f"{value:.1f}" if np.isfinite(value) else "" for value in degrees]
            rows.append([*place, index, *own, SIDES[side], *values])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.grow(text.getvalue().encode("utf-8", "backslashreplace"))
        self._first = False

    def has(self, number: int | None) -> bool:
        """Always false: an unfinished file is not resumed."""
        return False

    def close(self) -> None:
        """Finish the file and rename it."""
        self._file.close()

    def __enter__(self) -> AnglesCsv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
