"""Forms of JSON records that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from posecv.errors import UsageError
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import BODY_25, COCO, FACE, HAND

__all__ = ["FORMS", "as_body_25", "as_controlnet", "form_of", "formatted"]

HIPS = "right_hip", "left_hip"
VERSION = 1.3

Record = Mapping[str, Any]


def openpose(people: People, result: Result) -> Record:
    """OpenPose's form, with the keypoints that the network has."""
    return people.to_openpose()


def body_25(people: People, result: Result) -> Record:
    """OpenPose's form with the 25 keypoints of its default network, which most readers expect."""
    return as_body_25(people).to_openpose()


def controlnet(people: People, result: Result) -> Record:
    """The form of ControlNet's pose editors."""
    if result.frame is None:
        raise UsageError("json_form=controlnet needs the size of the frame, which this result does not have")
    return as_controlnet(people, result.frame.shape[1], result.frame.shape[0])


FORMS: dict[str, Callable[[People, Result], Record]] = {
    "openpose": openpose, "body_25": body_25, "controlnet": controlnet,
}  # fmt: skip


def form_of(name: str) -> Callable[[People, Result], Record]:
    """The function for a form's name; UsageError for an unknown one."""
    if name not in FORMS:
        raise UsageError(f"json_form={name} is unknown; choose one of {', '.join(FORMS)}")
    return FORMS[name]


def as_body_25(people: People) -> People:
    """The same people with the keypoints of BODY_25.

    The middle of the hips is computed if both hips were found; its score is the lower one of theirs. Keypoints that the
    skeleton does not have, such as the feet, are missing. People of another kind, such as hands, stay as they are.

    Examples
    --------
    >>> as_body_25(People.empty(COCO)).skeleton.name
    'body_25'
    """
    names = people.skeleton.keypoints
    if people.skeleton.name in (HAND.name, FACE.name, BODY_25.name):
        return people
    keypoints = np.zeros((len(people), len(BODY_25.keypoints), 3), np.float32)
    for index, name in enumerate(BODY_25.keypoints):
        if name in names:
            keypoints[:, index] = people.keypoints[:, names.index(name)]
        elif name == "mid_hip" and set(HIPS) <= set(names):
            hips = people.keypoints[:, [names.index(hip) for hip in HIPS]]
            both = (hips[..., 2] > 0).all(axis=1)
            keypoints[both, index, :2] = hips[both, :, :2].mean(axis=1)
            keypoints[both, index, 2] = hips[both, :, 2].min(axis=1)
    return replace(people, keypoints=keypoints, skeleton=BODY_25)


def as_controlnet(people: People, width: int, height: int) -> Record:
    """A record for ControlNet's pose editors: 18 keypoints, the size of the canvas, parts that are not there null.

    These programs ignore keypoints that score less than 1, so found ones score 1.
    """
    names = people.skeleton.keypoints
    persons = []
    for index, person in enumerate(people.to_openpose()["people"]):
        parts = {name: _certain(values) for name, values in person.items() if name.endswith("_2d")}
        if set(COCO.keypoints) <= set(names):
            order = [names.index(name) for name in COCO.keypoints]
            parts["pose_keypoints_2d"] = _certain(people.keypoints[index, order].ravel().tolist())
        persons.append(parts)
    return {"people": persons, "canvas_width": width, "canvas_height": height}


def _certain(values: Sequence[float]) -> list[float] | None:
    """x, y, 1 of each keypoint found, 0, 0, 0 of the others; None if nothing was found."""
    keypoints = np.array(values, np.float64).reshape(-1, 3)
    found = keypoints[:, 2:] > 0
    if not found.any():
        return None
    certain: list[float] = np.where(found, keypoints * [1, 1, 0] + [0, 0, 1], 0).ravel().tolist()
    return certain


def formatted(record: Record) -> str:
    """A record as JSON: compact, six significant digits, no newline at the end.

    Examples
    --------
    >>> formatted(People.empty(COCO).to_openpose())
    '{"version":1.3,"people":[]}'
    """
    fields = (f'"{name}":{_value(value)}' for name, value in record.items())
    return f"{{{','.join(fields)}}}"


def _value(value: Any) -> str:
    """Lists of numbers and of mappings, numbers, and None."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return formatted(value)
    if isinstance(value, Sequence):
        return f"[{','.join(map(_value, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)  # like a C++ stream
