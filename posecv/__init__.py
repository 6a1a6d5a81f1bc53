"""posecv: people's keypoints with OpenCV alone.

>>> network = posecv.load_network("pose.prototxt", "pose.caffemodel")    # doctest: +SKIP
>>> frame = cv2.imread("samples/team.jpg")                               # doctest: +SKIP
>>> people = posecv.estimate_people(network, frame)                      # doctest: +SKIP
>>> posecv.draw_people(frame, people)                                    # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from posecv import skeletons
from posecv.errors import PoseError
from posecv.skeletons import Skeleton

if TYPE_CHECKING:
    from posecv.decoding import decode_people, decode_person
    from posecv.drawing import draw_people
    from posecv.estimate import (
        estimate_faces,
        estimate_hand,
        estimate_hands,
        estimate_people,
        estimate_person,
    )
    from posecv.network import load_network
    from posecv.people import People

__version__ = "0.1.0"

__all__ = [
    "People", "PoseError", "Skeleton", "decode_people", "decode_person", "draw_people",
    "estimate_faces", "estimate_hand", "estimate_hands",
    "estimate_people", "estimate_person", "load_network", "skeletons",
]  # fmt: skip

# Where the names live that stand on NumPy and OpenCV. They are imported when they are first used, so that the scripts
# can say in one line what is wrong with an installation.
_HOMES = {
    "People": "people",
    "decode_people": "decoding", "decode_person": "decoding",
    "draw_people": "drawing",
    "estimate_faces": "estimate", "estimate_hand": "estimate", "estimate_hands": "estimate",
    "estimate_people": "estimate", "estimate_person": "estimate",
    "load_network": "network",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'posecv' has no attribute {name!r}")
    import_module("posecv.opencv").require_opencv()
    return getattr(import_module(f"posecv.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
