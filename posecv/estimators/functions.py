"""The estimates in one call each: a network and a frame in, People out."""

from __future__ import annotations

from posecv.arrays import Frame
from posecv.engines.network import Network
from posecv.estimators import refuse_unknown
from posecv.estimators.parts import Faces, Hands
from posecv.estimators.single_pass import (
    HAND_RANGE,
    MERGES,
    SCALE_GAP,
    SINGLE_THRESHOLD,
    Everybody,
    OneHand,
    OnePerson,
    Size,
)
from posecv.geometry import Box
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import Thresholds

__all__ = ["estimate_faces", "estimate_hand", "estimate_hands", "estimate_people", "estimate_person"]

SCALING = ["net_size", "scale_number", "scale_gap"]
HANDS = ["threshold", "net_size", "scale_number", "scale_range", "merge"]


def estimate_people(
    network: Network,
    frame: Frame,
    *,
    net_size: Size | None = None,
    scale_number: int = 1,
    scale_gap: float = SCALE_GAP,
    nms_threshold: float | None = None,
    inter_threshold: float | None = None,
    inter_min_above: float | None = None,
    min_subset_cnt: int | None = None,
    min_subset_score: float | None = None,
    peak_share: float | None = None,
    refinement: str | None = None,
    **unknown: object,
) -> People:
    """Find the keypoints of everybody in a frame.

    Parameters
    ----------
    network : Network
        With heatmaps and part affinity fields.
    frame : (H, W, 3) uint8 array
        BGR.
    net_size : str, int, (int, int) or NetSize
        Size of the network's input: -1x368, 368x-1, 656x368, or 368 for the shorter side; by default -1 x the model's
        `net_side`, 368 for most.
    scale_number : int
        At how many scales the frame is looked at; the maps are averaged. The first has the size above,
    scale_gap : float
        and each further one is smaller by this share of it.
    nms_threshold, inter_threshold, inter_min_above, min_subset_cnt, min_subset_score, peak_share, refinement
        The constants of `posecv.skeletons.Thresholds`; by default the model's own.

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
        If the sizes or the scales make no sense, or a parameter is unknown.

    Notes
    -----
    `posecv.estimators.single_pass.Everybody` does the work; its result holds maps and seconds as well.
    """
    given: dict[str, float | int | str | None] = {
        "nms_threshold": nms_threshold,
        "inter_threshold": inter_threshold,
        "inter_min_above": inter_min_above,
        "min_subset_cnt": min_subset_cnt,
        "min_subset_score": min_subset_score,
        "peak_share": peak_share,
        "refinement": refinement,
    }
    _refuse(unknown, [*SCALING, *given])
    own = network.model.thresholds
    thresholds = Thresholds(**(vars(own) | {name: value for name, value in given.items() if value is not None}))
    estimator = Everybody(network, net_size, scale_number, scale_gap, thresholds)
    return estimator(frame).people


def estimate_person(
    network: Network,
    frame: Frame,
    *,
    net_size: Size | None = None,
    threshold: float = SINGLE_THRESHOLD,
    scale_number: int = 1,
    scale_gap: float = SCALE_GAP,
    **unknown: object,
) -> People:
    """Find the keypoints of the one person in a frame: the strongest peak of each heatmap.

    Parameters are those of `estimate_people`; keypoints that score `threshold` or less are missing.

    Returns
    -------
    People
        One person in pixels of the frame, or nobody.
    """
    _refuse(unknown, [*SCALING, "threshold"])
    return OnePerson(network, net_size, threshold, scale_number, scale_gap)(frame).people


def estimate_hand(
    network: Network,
    frame: Frame,
    box: Box | None = None,
    left: bool = False,
    *,
    net_size: Size | None = None,
    scale_number: int = 1,
    scale_range: float = HAND_RANGE,
    merge: str = MERGES[0],
    **unknown: object,
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

    Returns
    -------
    People
        One hand with all 21 keypoints, however weak they are; nobody where all maps are empty.

    Raises
    ------
    InputError
        If the frame is no image, or the box lies outside it.
    ModelError
        If the network is not for hands.
    UsageError
        If a parameter is unknown or has a value that it cannot have.
    """
    _refuse(unknown, ["box", "left", *HANDS[1:]])
    return OneHand(network, box, left, net_size, scale_number, scale_range, merge)(frame).people


def estimate_hands(
    network: Network,
    frame: Frame,
    people: People,
    *,
    threshold: float | None = None,
    net_size: Size | None = None,
    scale_number: int = 1,
    scale_range: float = HAND_RANGE,
    merge: str = MERGES[0],
    **unknown: object,
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
    net_size, scale_number, scale_range, merge
        As in `estimate_hand`.

    Returns
    -------
    People
        The same with `hands`.
    """
    _refuse(unknown, HANDS)
    hands = Hands(network, threshold, net_size, scale_number, scale_range, merge)
    return hands.added(Result(people, frame)).people


def estimate_faces(
    network: Network,
    frame: Frame,
    people: People,
    *,
    threshold: float | None = None,
    net_size: Size | None = None,
    scale_number: int = 1,
    scale_range: float = HAND_RANGE,
    merge: str = MERGES[0],
    **unknown: object,
) -> People:
    """Find the faces of people whose bodies are known; parameters and result like those of `estimate_hands`."""
    _refuse(unknown, HANDS)
    faces = Faces(network, threshold, net_size, scale_number, scale_range, merge)
    return faces.added(Result(people, frame)).people


def _refuse(unknown: dict[str, object], known: list[str]) -> None:
    """UsageError that names the nearest parameter."""
    for name in unknown:
        refuse_unknown(name, known)
