"""posecv: find people's keypoints with OpenCV and NumPy.

>>> import posecv
>>> for result in posecv.stream("samples/team.jpg"):                     # doctest: +SKIP
...     print(len(result.people), "people in", result.source.name)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from posecv import skeletons
from posecv.errors import PoseError
from posecv.skeletons import Skeleton

if TYPE_CHECKING:
    from posecv.angles import joint_angles
    from posecv.batch.tables import read_results
    from posecv.decoding import decode_people, decode_person
    from posecv.drawing.skeletons import draw_people
    from posecv.engines.network import load_network
    from posecv.estimators.functions import (
        estimate_faces,
        estimate_hand,
        estimate_hands,
        estimate_people,
        estimate_person,
    )
    from posecv.outputs.films import DrawnFilm
    from posecv.outputs.growing import CocoResults, Csv, JsonLines
    from posecv.outputs.openpose_json import OpenPoseJson
    from posecv.outputs.pictures import DrawnPicture
    from posecv.people import People
    from posecv.result import Result
    from posecv.run.stream import stream

__version__ = "0.1.0"

__all__ = [
    "CocoResults", "Csv", "DrawnFilm", "DrawnPicture", "JsonLines", "OpenPoseJson", "People", "PoseError", "Result",
    "Skeleton", "decode_people", "decode_person", "draw_people", "estimate_faces", "estimate_hand", "estimate_hands",
    "estimate_people", "estimate_person", "joint_angles", "load_network", "read_results", "skeletons",
    "stream",
]  # fmt: skip

# The modules of the names that need NumPy and OpenCV. They are imported when they are first used, so that the scripts
# can say in one line what is wrong with an installation.
_HOMES = {
    "CocoResults": "outputs.growing", "Csv": "outputs.growing", "JsonLines": "outputs.growing",
    "DrawnFilm": "outputs.films", "DrawnPicture": "outputs.pictures", "OpenPoseJson": "outputs.openpose_json",
    "People": "people", "Result": "result",
    "decode_people": "decoding", "decode_person": "decoding",
    "draw_people": "drawing.skeletons",
    "estimate_faces": "estimators.functions", "estimate_hand": "estimators.functions",
    "estimate_hands": "estimators.functions", "estimate_people": "estimators.functions",
    "estimate_person": "estimators.functions",
    "joint_angles": "angles",
    "read_results": "batch.tables",
    "load_network": "engines.network",
    "stream": "run.stream",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'posecv' has no attribute {name!r}")
    import_module("posecv.opencv").require_opencv()
    return getattr(import_module(f"posecv.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
