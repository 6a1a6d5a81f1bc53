"""Estimators that run one network on the whole frame, or on one box of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from posecv.arrays import Array, Frame, checked_frame
from posecv.checks import outside
from posecv.decoding import decode_people, decode_person
from posecv.decoding.average import averaged
from posecv.decoding.single import shows_several
from posecv.engines.network import Network
from posecv.errors import ModelError, UsageError
from posecv.estimators import Setting, adjusted, check_settings
from posecv.geometry import Box, Fit, NetSize, common_fit, hand_factors, smaller_fits, square_box, zoomed
from posecv.people import People
from posecv.result import Result, View
from posecv.skeletons import Skeleton, Thresholds

__all__ = ["Everybody", "OneHand", "OnePerson", "Size"]

Size = str | int | tuple[int, int] | NetSize
Decode = Callable[[Array, Fit], People]  # from maps and where the frame lies in them to pixels of the frame

HALF_PIXEL = 0.5  # OpenPose's body keypoints count from the corner of the first pixel, not from its centre
SCALE_GAP = 0.25  # OpenPose's scale_gap
HAND_RANGE = 0.4  # and its hand_scale_range
SINGLE_THRESHOLD = 0.1  # for the keypoints of a single person, as in the tutorials
MERGES = ("best", "mean")
SIZE_EXPONENT = 0.2  # applied to the share of the input that a person covers, if the model's person_score is "sized"


@dataclass(frozen=True)
class OnePerson:
    """Finds the one person of a frame: the strongest peak of each heatmap.

    Attributes
    ----------
    network : Network
    net_size : str, int, (int, int) or NetSize
        Size of the network's input: -1x368, 368x-1, 656x368, or 368 for the shorter side; by default the height is the
        model's `net_side`.
    threshold : float
        Keypoints that score this or less are missing.
    scale_number : int
        Number of scales; their maps are averaged. The first scale has the size above.
    scale_gap : float
        Each further scale is smaller by this share of the first.
    best : bool
        Where several people are plainly there, find the best one of them, whole: the strongest peaks may belong to
        different people. The network needs part affinity fields for that; without them it changes nothing.
    """

    network: Network
    net_size: Size | None = None
    threshold: float = SINGLE_THRESHOLD
    scale_number: int = 1
    scale_gap: float = SCALE_GAP
    best: bool = False

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def skeleton(self) -> Skeleton:
        """The network's skeleton."""
        return self.network.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """One person, or nobody if no keypoint was found."""
        return adjusted(self, overrides)._found(checked_frame(frame))

    def _found(self, frame: Frame) -> Result:
        network = self.network
        fits = _frame_fits(network, frame, self.net_size, self.scale_number, self.scale_gap)
        refinement = network.model.thresholds.refinement

        def decode(maps: Array, fit: Fit) -> People:
            people = decode_person(maps, network.skeleton, threshold=self.threshold, refinement=refinement)
            return _in_frame(people, fit, frame, HALF_PIXEL)

        result = _estimated(network, frame, fits, fits[0], decode)
        assert result.view is not None
        if not shows_several(result.view.maps, network.skeleton):
            return result
        if not (self.best and network.has_fields):
            return replace(result, several=True)
        everybody = Everybody(network, most=1, person_threshold=0.0)
        people = everybody.decoded(result.view.maps, fits[0], frame).above(self.threshold)
        return replace(result, people=people) if len(people) else result


@dataclass(frozen=True)
class Everybody:
    """Finds all people of a frame by peaks, part affinity fields and grouping.

    Attributes
    ----------
    network : Network
        With part affinity fields; otherwise ModelError.
    net_size, scale_number, scale_gap
        As in `OnePerson`.
    thresholds : Thresholds
        The constants of decoding; by default the model's.
    most : int
        Maximum number of people to keep, best first; by default all.
    person_threshold : float
        People that score this or less are left out; by default the model's.
    person_keypoints : int
        So are people with fewer keypoints.
    person_height : float
        And people whose keypoints span less than this, in pixels of the frame.
    """

    network: Network
    net_size: Size | None = None
    scale_number: int = 1
    scale_gap: float = SCALE_GAP
    thresholds: Thresholds | None = None
    most: int | None = None
    person_threshold: float | None = None
    person_keypoints: int = 0
    person_height: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self)
        network = self.network
        if not network.has_fields:
            alone = "estimate_hand" if network.skeleton.name == "hand" else "estimate_person"
            raise ModelError(
                f"{network.model.name} has no part affinity fields to tell people apart; use {alone} "
                f"({'run_hand.py' if alone == 'estimate_hand' else 'run_pose.py'})"
            )

    @property
    def skeleton(self) -> Skeleton:
        """The network's skeleton."""
        return self.network.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """Everybody, best first."""
        return adjusted(self, overrides)._found(checked_frame(frame))

    def _found(self, frame: Frame) -> Result:
        network = self.network
        fits = _frame_fits(network, frame, self.net_size, self.scale_number, self.scale_gap)
        return _estimated(network, frame, fits, fits[0], lambda maps, fit: self.decoded(maps, fit, frame))

    def decoded(self, maps: Array, fit: Fit, frame: Frame) -> People:
        """The people in the network's maps of a frame, best first, in pixels of the frame."""
        network = self.network
        limits = vars(self.thresholds or network.model.thresholds)
        people = decode_people(maps, network.skeleton, stride=network.stride, **limits)
        people = _in_frame(people, fit, frame, HALF_PIXEL)
        people = _sized(people, fit) if network.model.person_score == "sized" else people
        least = network.model.person_threshold if self.person_threshold is None else self.person_threshold
        return people.certain(least, self.person_keypoints, self.person_height)[: self.most]


@dataclass(frozen=True)
class OneHand:
    """Finds the keypoints of one hand, or of one face, in a box or in the whole frame.

    Attributes
    ----------
    network : Network
        For hands or faces; ModelError for a body network.
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
    """

    network: Network
    box: Box | None = None
    left: bool = False
    net_size: Size | None = None
    scale_number: int = 1
    scale_range: float = HAND_RANGE
    merge: str = MERGES[0]

    def __post_init__(self) -> None:
        check_settings(self)
        if self.network.skeleton.name not in ("hand", "face"):
            name = self.network.skeleton.name
            raise ModelError(f"{self.network.model.name} is a network for {name}, not for hands; try light_hand")
        if self.merge not in MERGES:
            raise UsageError(f"merge={self.merge} is unknown; choose one of {', '.join(MERGES)}")

    @property
    def skeleton(self) -> Skeleton:
        """The network's skeleton."""
        return self.network.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """One hand with all 21 keypoints, however weak they are; empty if all maps are empty."""
        return adjusted(self, overrides)._found(checked_frame(frame))

    def _found(self, frame: Frame) -> Result:
        network = self.network
        fits = self._fits(frame)
        refinement = network.model.thresholds.refinement

        def decode(maps: Array, fit: Fit) -> People:
            people = decode_person(maps, network.skeleton, threshold=-np.inf, refinement=refinement)
            return _in_frame(people, fit, frame, 0)

        if self.merge == "mean" or len(fits) == 1:
            result = _estimated(network, frame, fits, common_fit(fits), decode)
        else:
            result = _best(network, frame, fits, decode)
        people = result.people
        return replace(result, people=replace(people, left=np.full(len(people), self.left)))

    def _fits(self, frame: Frame) -> list[Fit]:
        """A Fit for each size of the box in which to search for the hand."""
        factors = hand_factors(self.scale_number, self.scale_range)
        height, width = frame.shape[:2]
        side, stride = self.network.model.net_side, self.network.stride
        if self.box is None:
            size = NetSize.parse(f"-1x{side}" if self.net_size is None else self.net_size)
            whole = Fit.of_frame(frame, size, mirrored=self.left, stride=stride)
            return [whole.zoomed(factor, ((width - 1) / 2, (height - 1) / 2)) for factor in factors]
        x, y, wide, tall = self.box
        if min(wide, tall) <= 0 or x >= width or y >= height or x + wide <= 0 or y + tall <= 0:
            raise outside(self.box, width, height)
        size, square = NetSize.parse(f"{side}x{side}" if self.net_size is None else self.net_size), square_box(self.box)
        boxes = [zoomed(square, factor) for factor in factors] if len(factors) > 1 else [square]
        return [Fit.of_box(each, size, mirrored=self.left, stride=stride) for each in boxes]


def _frame_fits(network: Network, frame: Frame, net_size: Size | None, number: int, gap: float) -> list[Fit]:
    """A Fit of the whole frame for each scale."""
    height, width = frame.shape[:2]
    size = NetSize.parse(f"-1x{network.model.net_side}" if net_size is None else net_size)
    return smaller_fits(Fit.of_frame(frame, size, stride=network.stride), (width, height), number, gap)


def _maps(network: Network, frame: Frame, fits: Sequence[Fit]) -> list[Array]:
    """The network's maps of the frame at each scale."""
    # Not as a batch: on a CPU, one at a time took 0.99 of a batch's time (light_hand), 0.85 (OpenPose's hand network).
    return [network.maps(fit.blob(frame, network.model.preprocessing)) for fit in fits]


def _estimated(network: Network, frame: Frame, fits: Sequence[Fit], onto: Fit, decode: Decode) -> Result:
    """Average the maps of all scales and decode them."""
    start = perf_counter()
    every = _maps(network, frame, fits)
    middle = perf_counter()
    maps = every[0] if len(fits) == 1 else averaged(every, fits, onto)
    return Result(decode(maps, onto), frame, view=View(maps, onto), seconds=_seconds(start, middle))


def _best(network: Network, frame: Frame, fits: Sequence[Fit], decode: Decode) -> Result:
    """The hand at the scale where it scores highest; the first if several are equal."""
    start = perf_counter()
    every = _maps(network, frame, fits)
    middle = perf_counter()
    found = [decode(maps, fit) for maps, fit in zip(every, fits, strict=True)]
    best = max(range(len(fits)), key=lambda index: found[index].scores.sum())
    return Result(found[best], frame, view=View(every[best], fits[best]), seconds=_seconds(start, middle))


def _seconds(start: float, middle: float) -> dict[str, float]:
    """Seconds that the network and decoding have taken so far."""
    return {"network": middle - start, "decoding": perf_counter() - middle}


def _in_frame(people: People, fit: Fit, frame: Frame, shift: float) -> People:
    """Convert people from cells to pixels, clipped to the frame."""
    height, width = frame.shape[:2]
    xy = np.clip(fit.to_frame(people.keypoints[..., :2]) + shift, 0, [width - 1, height - 1])
    missing = people.keypoints[..., 2:] == 0
    keypoints = np.concatenate([np.where(missing, 0, xy), people.keypoints[..., 2:]], axis=-1)
    return People(keypoints.astype(np.float32), people.scores, people.skeleton)


def _sized(people: People, fit: Fit) -> People:
    """The people with scores weighted by size: small people are less reliable."""
    covered = people.boxes[:, 2] * people.boxes[:, 3] * fit.scale**2 / (fit.width * fit.height)
    scores = (people.scores * covered**SIZE_EXPONENT).astype(np.float32)
    return replace(people, scores=scores)[np.argsort(-scores, kind="stable")]
