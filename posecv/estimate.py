"""Estimates: a frame in, People out.

    frame -> Fit.blob -> Network.maps -> decoding -> pixels of the frame

>>> network = load_network("coco")                       # doctest: +SKIP
>>> people = estimate_people(network, frame)             # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posecv.boxes import face_boxes, hand_boxes
from posecv.decoding import decode_people, decode_person
from posecv.errors import InputError, ModelError, UsageError
from posecv.geometry import Box, Fit, NetSize, square_box
from posecv.network import Network
from posecv.people import People
from posecv.scales import averaged, common_fit, hand_factors, smaller_fits, zoomed
from posecv.skeletons import FACE, HAND

__all__ = ["estimate_faces", "estimate_hand", "estimate_hands", "estimate_people", "estimate_person"]

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]
Seconds = MutableMapping[str, float]
Decode = Callable[[Array], People]
Look = Callable[[Array, Fit], None]  # is shown the maps before they are decoded, and where the frame lies in them

HALF_PIXEL = 0.5  # OpenPose's body keypoints count from the corner of the first pixel, not from its centre
SCALE_GAP = 0.25  # OpenPose's scale_gap
HAND_RANGE = 0.4  # and its hand_scale_range
MERGES = ("best", "mean")
SIZE_EXPONENT = 0.2  # of the share of the input that a person covers, where the model's person_score is "sized"


def estimate_people(
    network: Network,
    frame: Frame,
    *,
    net_size: str | int | tuple[int, int] | NetSize | None = None,
    scale_number: int = 1,
    scale_gap: float = SCALE_GAP,
    look: Look | None = None,
    seconds: Seconds | None = None,
    **thresholds: float | str,
) -> People:
    """Find the keypoints of everybody in a frame.

    Parameters
    ----------
    network : Network
        With heatmaps and part affinity fields.
    frame : (H, W, 3) uint8 array
        BGR.
    net_size
        Size of the network's input: -1x368, 368x-1, 656x368, or 368 for the shorter side; by default -1 x the model's
        `net_side`, 368 for most.
    scale_number : int
        At how many scales the frame is looked at; the maps are averaged. The first has the size above,
    scale_gap : float
        and each further one is smaller by this share of it.
    look : callable
        Is called with the maps, a (C, h, w) float32 array, and the Fit that says where the frame lies in them, before
        they are decoded.
    seconds : dict
        Where to write the seconds that "network" and "decoding" took.
    **thresholds
        Any of the names of `posecv.skeletons.Thresholds`; the others are the model's own.

    Returns
    -------
    People
        In pixels of the frame, best first.

    Raises
    ------
    InputError
        If the frame is not what is said above.
    ModelError
        If the network has no part affinity fields.
    UsageError
        If the sizes or the scales make no sense.
    """
    if not network.has_fields:
        raise ModelError(
            f"{network.model.name} has no part affinity fields to tell people apart by; "
            "use run_pose.py or estimate_person"
        )
    fits = _frame_fits(network, frame, net_size, scale_number, scale_gap)
    limits = vars(network.model.thresholds) | thresholds

    def decode(maps: Array) -> People:
        return decode_people(maps, network.skeleton, **limits)

    people = _estimate(network, frame, fits, fits[0], decode, seconds=seconds, look=look, shift=HALF_PIXEL)
    return _sized(people, fits[0]) if network.model.person_score == "sized" else people


def estimate_person(
    network: Network,
    frame: Frame,
    *,
    net_size: str | int | tuple[int, int] | NetSize | None = None,
    threshold: float = 0.1,
    scale_number: int = 1,
    scale_gap: float = SCALE_GAP,
    look: Look | None = None,
    seconds: Seconds | None = None,
) -> People:
    """Find the keypoints of the one person in a frame: the strongest peak of each heatmap.

    Parameters are those of `estimate_people`; keypoints that score `threshold` or less are missing.

    Returns
    -------
    People
        One person in pixels of the frame, or nobody.
    """
    fits = _frame_fits(network, frame, net_size, scale_number, scale_gap)
    refinement = network.model.thresholds.refinement

    def decode(maps: Array) -> People:
        return decode_person(maps, network.skeleton, threshold=threshold, refinement=refinement)

    return _estimate(network, frame, fits, fits[0], decode, seconds=seconds, look=look, shift=HALF_PIXEL)


def estimate_hand(
    network: Network,
    frame: Frame,
    box: Box | None = None,
    left: bool = False,
    *,
    net_size: str | int | tuple[int, int] | NetSize | None = None,
    scale_number: int = 1,
    scale_range: float = HAND_RANGE,
    merge: str = "best",
    look: Look | None = None,
    seconds: Seconds | None = None,
) -> People:
    """Find the 21 keypoints of one hand.

    Parameters
    ----------
    network : Network
        A hand network.
    frame : (H, W, 3) uint8 array
        BGR.
    box : (x, y, width, height)
        Where the hand is, in pixels of the frame; it grows to a square round its centre. Without one the whole frame
        is looked at.
    left : bool
        Hand networks know right hands; a left one is mirrored on the way in and back on the way out.
    net_size
        Size of the network's input; by default a square of the model's `net_side` for a box, -1 x that for a frame.
    scale_number : int
        In how many boxes of different sizes round the same centre the hand is looked for.
    scale_range : float
        How far their sides are apart: 0.4 are factors from 0.8 to 1.2.
    merge : {"best", "mean"}
        What is taken of several: the hand with the highest mean score, as OpenPose does, or that of the mean maps.
    look : callable
        As in `estimate_people`; with several scales it is shown those maps that the result is made of.
    seconds : dict
        Where to write the seconds that "network" and "decoding" took.

    Returns
    -------
    People
        One hand with all 21 keypoints, however weak they are; nobody where all maps are empty.
    """
    if merge not in MERGES:
        raise UsageError(f"--hand-merge {merge} is unknown; there are {', '.join(MERGES)}")
    fits = _hand_fits(network, _checked(frame), box, left, net_size, hand_factors(scale_number, scale_range))
    refinement = network.model.thresholds.refinement

    def decode(maps: Array) -> People:
        return decode_person(maps, network.skeleton, threshold=-np.inf, refinement=refinement)

    if merge == "mean" or len(fits) == 1:
        people = _estimate(network, frame, fits, common_fit(fits), decode, seconds=seconds, look=look)
    else:
        people = _best(network, frame, fits, decode, seconds, look)
    return replace(people, left=np.full(len(people), left))


def _hand_fits(
    network: Network, frame: Frame, box: Box | None, left: bool, net_size: Any, factors: Sequence[float]
) -> list[Fit]:
    """Where a hand is looked for, a Fit a factor of the box's side."""
    height, width = frame.shape[:2]
    side = network.model.net_side
    if box is None:
        whole = Fit.of_frame(frame, NetSize.parse(net_size or f"-1x{side}"), mirrored=left)
        return [whole.zoomed(factor, ((width - 1) / 2, (height - 1) / 2)) for factor in factors]
    x, y, wide, tall = box
    if min(wide, tall) <= 0 or x >= width or y >= height or x + wide <= 0 or y + tall <= 0:
        said = f"box {x:g},{y:g},{wide:g},{tall:g} (x, y, width, height)"
        raise InputError(f"{said} has no part in a picture of {width} x {height}")
    size, square = NetSize.parse(net_size or f"{side}x{side}"), square_box(box)
    boxes = [zoomed(square, factor) for factor in factors] if len(factors) > 1 else [square]
    return [Fit.of_box(each, size, mirrored=left) for each in boxes]


def estimate_hands(
    network: Network,
    frame: Frame,
    people: People,
    *,
    threshold: float | None = None,
    seconds: Seconds | None = None,
    **options: Any,
) -> People:
    """Find the hands of people whose bodies are known.

    Parameters
    ----------
    network : Network
        A hand network.
    frame : (H, W, 3) uint8 array
        BGR.
    people : People
        Bodies with arms, in pixels of the frame.
    threshold : float
        A hand whose keypoints score less than this on average is none: hand networks find one in everything. By
        default the model's own `gate`.
    seconds : dict
        As in `estimate_people`; the hands' seconds are added.
    **options
        `net_size`, `scale_number`, `scale_range` and `merge` of `estimate_hand`.

    Returns
    -------
    People
        The same with `hands`.
    """
    gate = network.model.gate if threshold is None else threshold
    boxes = hand_boxes(people)
    hands = np.zeros((len(people), 2, len(HAND.keypoints), 3), np.float32)
    for person, side in np.argwhere(boxes[..., 2] > 0):
        found = _part(network, frame, boxes[person, side], side == 0, seconds, options)
        if found[:, 2].mean() >= gate:
            hands[person, side] = found
    return replace(people, hands=hands)


def estimate_faces(
    network: Network,
    frame: Frame,
    people: People,
    *,
    threshold: float | None = None,
    seconds: Seconds | None = None,
    **options: Any,
) -> People:
    """Find the faces of people whose bodies are known; parameters and result like those of `estimate_hands`."""
    gate = network.model.gate if threshold is None else threshold
    boxes = face_boxes(people)
    faces = np.zeros((len(people), len(FACE.keypoints), 3), np.float32)
    for person in np.flatnonzero(boxes[:, 2] > 0):
        found = _part(network, frame, boxes[person], False, seconds, options)
        if found[:, 2].mean() >= gate:
            faces[person] = found
    return replace(people, faces=faces)


def _part(
    network: Network, frame: Frame, square: Array, left: bool, seconds: Seconds | None, options: dict[str, Any]
) -> Array:
    """(K, 3) keypoints of what lies in a square of the frame; zeros where that is outside."""
    x, y, side = map(float, square)
    height, width = frame.shape[:2]
    nothing = np.zeros((len(network.skeleton.keypoints), 3), np.float32)
    if x >= width or y >= height or x + side <= 0 or y + side <= 0:
        return nothing
    own: dict[str, float] = {}
    found = estimate_hand(network, frame, (x, y, side, side), left, seconds=own, **options)
    if seconds is not None:
        for step, value in own.items():
            seconds[step] = seconds.get(step, 0.0) + value
    return found.keypoints[0] if len(found) else nothing


def _frame_fits(network: Network, frame: Frame, net_size: Any, number: int, gap: float) -> list[Fit]:
    """Where the whole frame lies in the inputs of all scales."""
    height, width = _checked(frame).shape[:2]
    fit = Fit.of_frame(frame, NetSize.parse(net_size or f"-1x{network.model.net_side}"))
    return smaller_fits(fit, (width, height), number, gap)


def _maps(network: Network, frame: Frame, fits: Sequence[Fit]) -> list[Array]:
    """What the network makes of the frame at each scale."""
    # Not as a batch: one after the other took light_hand 0.99, OpenPose's hand network 0.85 of a batch's time (CPU).
    return [network.maps(fit.blob(frame, network.model.preprocessing)) for fit in fits]


def _estimate(
    network: Network,
    frame: Frame,
    fits: Sequence[Fit],
    onto: Fit,
    decode: Decode,
    *,
    seconds: Seconds | None,
    look: Look | None,
    shift: float = 0.0,
) -> People:
    """Run the rooms in a row, with the mean of all scales' maps; bring the people into the frame, `shift` pixels on."""
    start = perf_counter()
    every = _maps(network, frame, fits)
    middle = perf_counter()
    maps = every[0] if len(fits) == 1 else averaged(every, fits, onto)
    if look is not None:
        look(maps, onto)
    people = _in_frame(decode(maps), onto, frame, shift)
    _tell(seconds, start, middle)
    return people


def _best(
    network: Network, frame: Frame, fits: Sequence[Fit], decode: Decode, seconds: Seconds | None, look: Look | None
) -> People:
    """The hand of the scale at which it scores highest, the first of equals."""
    start = perf_counter()
    every = _maps(network, frame, fits)
    middle = perf_counter()
    found = [_in_frame(decode(maps), fit, frame, 0) for maps, fit in zip(every, fits, strict=True)]
    best = max(range(len(fits)), key=lambda index: found[index].scores.sum())
    if look is not None:
        look(every[best], fits[best])
    _tell(seconds, start, middle)
    return found[best]


def _tell(seconds: Seconds | None, start: float, middle: float) -> None:
    """Note what network and decoding took until now."""
    if seconds is not None:
        seconds.update(network=middle - start, decoding=perf_counter() - middle)


def _in_frame(people: People, fit: Fit, frame: Frame, shift: float) -> People:
    """People in cells to people in pixels, none of them outside the frame."""
    height, width = frame.shape[:2]
    xy = np.clip(fit.to_frame(people.keypoints[..., :2]) + shift, 0, [width - 1, height - 1])
    missing = people.keypoints[..., 2:] == 0
    keypoints = np.concatenate([np.where(missing, 0, xy), people.keypoints[..., 2:]], axis=-1)
    return People(keypoints.astype(np.float32), people.scores, people.skeleton)


def _sized(people: People, fit: Fit) -> People:
    """The people ranked by size too: a network that is unsure of small people is the surer the larger they are."""
    covered = people.boxes[:, 2] * people.boxes[:, 3] * fit.scale**2 / (fit.width * fit.height)
    scores = (people.scores * covered**SIZE_EXPONENT).astype(np.float32)
    return replace(people, scores=scores)[np.argsort(-scores, kind="stable")]


def _checked(frame: object) -> Frame:
    """The frame, if it is one."""
    if not isinstance(frame, np.ndarray):
        found = type(frame).__name__
        raise InputError(f"a frame is an array, not a {found}; cv2.imread gives None for what it cannot read")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise InputError(f"a frame is a (height, width, 3) uint8 array in BGR order, not {frame.shape} {frame.dtype}")
    return frame
