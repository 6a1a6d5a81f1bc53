"""Records: OpenPose's JSON, version 1.3, one file per frame."""

from __future__ import annotations

import json
from pathlib import Path

from posecv.checks import checked_path, known_arguments
from posecv.outputs.coordinates import converted
from posecv.outputs.files import Kind, frame_file, is_filled, write_whole
from posecv.outputs.forms import form_of, formatted
from posecv.people import People
from posecv.result import Result

__all__ = ["KIND", "OpenPoseJson", "format_record"]

KIND = Kind("json", ending="_keypoints.json", suffixes=frozenset({".json"}))


def format_record(people: People) -> str:
    """The people of one frame in OpenPose's format: compact, six significant digits, no newline at the end.

    Parameters
    ----------
    people : People
        Bodies, faces or hands, depending on the skeleton.

    Examples
    --------
    >>> from posecv.skeletons import COCO
    >>> format_record(People.empty(COCO))
    '{"version":1.3,"people":[]}'
    """
    return formatted(people.to_openpose())


class OpenPoseJson:
    """Writes one file per frame.

    Parameters
    ----------
    path : str or Path
        The file for an image's record; in a video's files, the frame number comes before `_keypoints`, as in OpenPose.
    scale : str
        The coordinates, one of `posecv.outputs.coordinates.SCALES`.
    form : str
        The form of the records, one of `posecv.outputs.forms.FORMS`.
    """

    wants_rate = interactive = False

    @known_arguments
    def __init__(self, path: str | Path, scale: str = "image", *, form: str = "openpose") -> None:
        self.path, self.scale, self.form = checked_path(path), scale, form_of(form)
        self.wants_view = scale == "net"

    def file(self, number: int | None) -> Path:
        """The file for the record of an image, or of a frame of a video.

        >>> OpenPoseJson("out/clip_keypoints.json").file(42).name
        'clip_000000000042_keypoints.json'
        """
        return frame_file(self.path, number, KIND.ending)

    def write(self, result: Result) -> None:
        """Write the file; OutputError if that fails."""
        write_whole(self.file(result.number), formatted(self.form(converted(result, self.scale), result)).encode())

    def has(self, number: int | None) -> bool:
        """Whether the frame's file holds a record."""
        file = self.file(number)
        if not is_filled(file):
            return False
        try:
            return "people" in json.loads(file.read_bytes())
        except (OSError, ValueError, TypeError):
            return False

    def close(self) -> None:
        """Do nothing: the file is complete."""

    def __enter__(self) -> OpenPoseJson:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
