"""Estimates in one call: from a network and a frame to People."""

from __future__ import annotations

from posecv.arrays import Frame, checked_frame
from posecv.checks import known_arguments
from posecv.engines.network import Network
from posecv.errors import UsageError
from posecv.estimators import check_network, refuse_unknown
from posecv.estimators.parts import Faces, Hands, check_bodies, check_part
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
from posecv.estimators.top_down import FIELDS, TopDown
from posecv.geometry import Box
from posecv.people import People, checked_people
from posecv.result import Result
from posecv.skeletons import Thresholds

__all__ = ["estimate_faces", "estimate_hand", "estimate_hands", "estimate_people", "estimate_person"]

SCALING = ["net_size", "scale_number", "scale_gap"]
PERSONS = ["person_threshold", "person_keypoints", "person_height"]
HANDS = ["threshold", "net_size", "scale_number", "scale_range", "merge"]


@known_arguments
def estimate_people(
    network: Network,
    frame: Frame,
    *,
    net_size: Size | None = None,
    scale_number: int = 1,
    scale_gap: float = SCALE_GAP,
    person_threshold: float | None = None,
    person_keypoints: int = 0,
    person_height: float = 0.0,
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
        Size of the network's input: -1x368, 368x-1, 656x368, or 368 for the shorter side; by default the height is the
        model's `net_side`, 368 for most.
    scale_number : int
        Number of scales; their maps are averaged. The first scale has the size above.
    scale_gap : float
        Each further scale is smaller by this share of the first.
    person_threshold : float
        People that score this or less are left out; by default the model's.
    person_keypoints : int
        So are people with fewer keypoints.
    person_height : float
        And people whose keypoints span less than this, in pixels of the frame.
    nms_threshold, inter_threshold, inter_min_above, min_subset_cnt, min_subset_score, peak_share, refinement
        The constants of `posecv.skeletons.Thresholds`; by default the model's own.

    Returns
    -------
    People
        In pixels of the frame, best first.

    Raises
    ------
    InputError
        If the frame is another kind of array.
    ModelError
        If the network has no part affinity fields.
    UsageError
        If a size or scale is invalid, or a parameter is unknown.

    Notes
    -----
    `posecv.estimators.single_pass.Everybody` does the work; its result also contains the maps and the seconds.
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
    least = person_threshold, person_keypoints, person_height
    _refuse(unknown, [*SCALING, *PERSONS, *given])
    check_network(network)
    if network.crops:
        if limits := [name for name, value in given.items() if value is not None]:
            raise UsageError(f"{limits[0]} is for part affinity fields; {network.model.name} has none: {FIELDS}")
        found = TopDown.of(network, net_size, scale_number=scale_number)(frame).people
        return found.certain(person_threshold or 0.0, *least[1:])
    own = network.model.thresholds
    thresholds = Thresholds(**(vars(own) | {name: value for name, value in given.items() if value is not None}))
    estimator = Everybody(network, net_size, scale_number, scale_gap, thresholds, None, *least)
    return estimator(frame).people


@known_arguments
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

    The parameters are those of `estimate_people`; keypoints that score `threshold` or less are missing.

    Returns
    -------
    People
        One person in pixels of the frame, or nobody.
    """
    _refuse(unknown, [*SCALING, "threshold"])
    check_network(network)
    if network.crops:
        return TopDown.of(network, net_size, scale_number=scale_number, most=1)(frame).people.above(threshold)
    return OnePerson(network, net_size, threshold, scale_number, scale_gap)(frame).people


@known_arguments
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
        Where the hand is, in pixels of the frame; extended to a square round its centre. By default the whole frame.
    left : bool
        Whether it is a left hand. Hand networks expect right hands, so a left one is mirrored, and its keypoints back.
    net_size
        Size of the network's input. By default a box gets a square of the model's `net_side`, a frame that height.
    scale_number : int
        Number of boxes of different sizes round the same centre in which to search for the hand.
    scale_range : float
        Range of their sizes: 0.4 means factors from 0.8 to 1.2.
    merge : {"best", "mean"}
        How to combine several boxes: take the hand with the highest mean score, as OpenPose does, or average the maps.

    Returns
    -------
    People
        One hand with all 21 keypoints, however weak they are; empty if all maps are empty.

    Raises
    ------
    InputError
        If the frame is not an image, or the box lies outside it.
    ModelError
        If the network is not for hands.
    UsageError
        If a parameter is unknown or has an invalid value.
    """
    _refuse(unknown, ["box", "left", *HANDS[1:]])
    check_network(network)
    check_part(network, "hand")
    return OneHand(network, box, left, net_size, scale_number, scale_range, merge)(frame).people


@known_arguments
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
        Minimum mean score of a hand's keypoints, since hand networks find a hand in everything. By default the model's
        `gate`.
    net_size, scale_number, scale_range, merge
        As in `estimate_hand`.

    Returns
    -------
    People
        The same people with `hands`.
    """
    _refuse(unknown, HANDS)
    hands = Hands(network, threshold, net_size, scale_number, scale_range, merge)
    return hands.added(Result(_bodies(people), checked_frame(frame))).people


@known_arguments
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
    """Find the faces of people whose bodies are known; parameters and result are like those of `estimate_hands`."""
    _refuse(unknown, HANDS)
    faces = Faces(network, threshold, net_size, scale_number, scale_range, merge)
    return faces.added(Result(_bodies(people), checked_frame(frame))).people


def _bodies(people: object) -> People:
    """Return the people; an error if they are something else, or have no arms and heads."""
    known = checked_people(people)
    check_bodies(known.skeleton)
    return known


def _refuse(unknown: dict[str, object], known: list[str]) -> None:
    """Raise UsageError for an unknown parameter, with the nearest name."""
    for name in unknown:
        refuse_unknown(name, known)
