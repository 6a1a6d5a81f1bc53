"""Records: OpenPose's JSON, version 1.3, one file a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posecv.outputs.coordinates import converted
from posecv.outputs.files import Kind, write_whole
from posecv.people import Array, People
from posecv.sources import Still

__all__ = ["KIND", "OpenPoseJson", "format_record"]

KIND = Kind("--json", ending="_keypoints.json", suffixes=frozenset({".json"}))
FIELDS = (
    "pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d",
    "pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
)  # fmt: skip


def format_record(people: People) -> str:
    """The people of one frame as OpenPose writes them: compact, six significant digits, no newline at the end.

    Parameters
    ----------
    people : People
        Bodies, faces or hands, by their skeleton.

    Examples
    --------
    >>> from posecv.skeletons import COCO
    >>> format_record(People.empty(COCO))
    '{"version":1.3,"people":[]}'
    """
    persons = (_person(_parts(people, index)) for index in range(len(people)))
    return f'{{"version":1.3,"people":[{",".join(persons)}]}}'


def _parts(people: People, index: int) -> dict[str, Array]:
    """The (K, 3) keypoints of one of the people under the fields that they belong to."""
    side = "left" if people.left is not None and people.left[index] else "right"
    own = {"hand": f"hand_{side}_keypoints_2d", "face": "face_keypoints_2d"}
    parts = {own.get(people.skeleton.name, "pose_keypoints_2d"): people.keypoints[index]}
    if people.hands is not None:
        left, right = people.hands[index]
        parts |= {"hand_left_keypoints_2d": left, "hand_right_keypoints_2d": right}
    if people.faces is not None:
        parts |= {"face_keypoints_2d": people.faces[index]}
    return parts


def _person(parts: Mapping[str, Array]) -> str:
    """One element of `people`: (K, 3) keypoints under their fields, the other fields empty."""
    fields = (f'"{name}":[{_numbers(parts[name]) if name in parts else ""}]' for name in FIELDS)
    return f'{{"person_id":[-1],{",".join(fields)}}}'


def _numbers(keypoints: Array) -> str:
    """x, y, score one after the other; JSON has no NaN, and a keypoint with one was not found."""
    whole = np.isfinite(keypoints).all(axis=1, keepdims=True)
    return ",".join(_number(value) for value in np.where(whole, keypoints, 0).ravel())


def _number(value: float) -> str:
    """Six significant digits without trailing zeros, as a C++ stream writes a float; no minus before 0."""
    return f"{value + 0.0:g}"


@dataclass(frozen=True)
class OpenPoseJson:
    """Writes a record a still, each into a file of its own.

    Attributes
    ----------
    path : Path
        The file of a picture's record; a film's have their frames' numbers before `_keypoints`, as OpenPose has it.
    scale : str
        Of the coordinates, one of `posecv.outputs.coordinates.SCALES`.
    """

    path: Path
    scale: str = "image"

    def file(self, still: Still) -> Path:
        """Where a still's record goes.

        >>> frame = np.zeros((1, 1, 3), np.uint8)
        >>> OpenPoseJson(Path("out/clip_keypoints.json")).file(Still(frame, Path("clip.mp4"), 42)).name
        'clip_000000000042_keypoints.json'
        """
        if still.number is None:
            return self.path
        return self.path.with_name(f"{self.path.name.removesuffix(KIND.ending)}_{still.number:012d}{KIND.ending}")

    def write(self, still: Still, people: People) -> None:
        """Write the file; OutputError where that fails."""
        write_whole(self.file(still), format_record(converted(people, still.frame, self.scale)).encode())

    def has(self, still: Still) -> bool:
        """Whether the still's file is there."""
        return self.file(still).exists()

    def close(self) -> None:
        """Nothing is left to do: the file is whole."""
