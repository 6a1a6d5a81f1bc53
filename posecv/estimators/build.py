"""Plain, picklable configuration of estimators, from which a worker process can build its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Frame
from posecv.engines.network import Network, Scale, load_network
from posecv.errors import ModelError, UsageError
from posecv.estimators import Estimator, Setting
from posecv.estimators.parts import Faces, Hands, HandsOfBodies, WithParts
from posecv.estimators.region import Region
from posecv.estimators.several import Several
from posecv.estimators.single_pass import HAND_RANGE, MERGES, SCALE_GAP, SINGLE_THRESHOLD, Everybody, OneHand, OnePerson
from posecv.estimators.top_down import FIELDS, TopDown
from posecv.geometry import Box
from posecv.result import Result
from posecv.skeletons import Skeleton, Thresholds, maximized
from posecv.terminal import quiet_stderr

__all__ = [
    "Above", "Bodies", "Either", "Hand", "HandsAlong", "NetworkChoice", "OneOrAll", "Part", "Person", "SeveralHands",
    "Within", "above",
]  # fmt: skip

Loaded = Callable[[Network], None]  # is called with each network after loading


@dataclass(frozen=True)
class NetworkChoice:
    """The parameters of `posecv.load_network`."""

    model: str
    caffemodel: str | None = None
    skeleton: str | None = None
    device: str = "auto"
    engine: str = "auto"
    net_size: str | None = None
    stages: int | None = None
    scale: Scale | None = None
    mean: tuple[float, float, float] | None = None
    swap_rb: bool | None = None
    detector: str | None = None
    detector_scale: Scale | None = None
    detector_mean: tuple[float, float, float] | None = None
    detector_swap_rb: bool | None = None

    def load(self, loaded: Loaded) -> Network:
        """The network, ready to run."""
        network = load_network(**vars(self))
        loaded(network)
        return network


@dataclass(frozen=True)
class Person:
    """Configuration of `posecv.estimators.single_pass.OnePerson`: one person per frame."""

    network: NetworkChoice
    net_size: str | None = None
    threshold: float | None = None
    scale_number: int = 1
    scale_gap: float = SCALE_GAP
    every: int = 1
    best: bool = False

    def build(self, loaded: Loaded) -> Estimator:
        """The estimator; without a threshold, hands and faces keep all keypoints, however weak."""
        network = self.network.load(loaded)
        size, number, gap = self.net_size, self.scale_number, self.scale_gap
        return _one(network, size, self.threshold, number, gap, self.every, best=self.best)


@dataclass(frozen=True)
class Part:
    """Hands or faces along with bodies: `kind` is "hand" or "face"."""

    kind: str
    network: NetworkChoice
    net_size: str | None = None
    scale_number: int = 1
    scale_range: float = HAND_RANGE
    merge: str = MERGES[0]

    def build(self, loaded: Loaded) -> Hands | Faces:
        """The estimator of hands or faces."""
        network = self.network.load(loaded)
        made = Hands if self.kind == "hand" else Faces
        return made(network, None, self.net_size, self.scale_number, self.scale_range, self.merge)


@dataclass(frozen=True)
class Bodies:
    """Everybody in a frame, optionally with hands and faces."""

    network: NetworkChoice
    net_size: str | None = None
    scale_number: int = 1
    scale_gap: float = SCALE_GAP
    maximize_positives: bool = False
    most: int | None = None
    person_threshold: float | None = None
    person_keypoints: int = 0
    person_height: float = 0.0
    every: int = 1
    parts: tuple[Part, ...] = ()

    def build(self, loaded: Loaded) -> Estimator:
        """The estimator."""
        everybody = _everybody(self, self.network.load(loaded))
        return WithParts(everybody, tuple(part.build(loaded) for part in self.parts)) if self.parts else everybody


@dataclass(frozen=True)
class Hand:
    """Configuration of `posecv.estimators.single_pass.OneHand`: one hand per frame."""

    network: NetworkChoice
    box: Box | None = None
    left: bool = False
    net_size: str | None = None
    scale_number: int = 1
    scale_range: float = HAND_RANGE
    merge: str = MERGES[0]

    def build(self, loaded: Loaded) -> OneHand:
        """The estimator."""
        settings = {name: value for name, value in vars(self).items() if name != "network"}
        return OneHand(self.network.load(loaded), **settings)


@dataclass(frozen=True)
class SeveralHands:
    """A hand in each of several boxes; each box with whether its hand is a left one."""

    hand: Hand
    places: tuple[tuple[Box, bool], ...]

    def build(self, loaded: Loaded) -> Estimator:
        """The estimator; its hands share one network."""
        one = self.hand.build(loaded)
        return Several(tuple(replace(one, box=box, left=left) for box, left in self.places))


@dataclass(frozen=True)
class HandsAlong:
    """The hands of the people in a frame."""

    bodies: Bodies
    hands: Part

    def build(self, loaded: Loaded) -> Estimator:
        """The estimator; ModelError if the body network can find only one person."""
        hands = self.hands.build(loaded)
        assert isinstance(hands, Hands)
        choice = self.bodies.network
        network = choice.load(loaded)
        if not network.finds_everybody:
            named = ",".join(filter(None, (choice.model, choice.caffemodel)))
            raise ModelError(f"body_model={named} cannot tell people apart, so it cannot find their arms")
        return HandsOfBodies(_everybody(self.bodies, network), hands)


@dataclass(frozen=True)
class Either:
    """One person or everybody with the same network; each call chooses. For the live demo."""

    bodies: Bodies
    threshold: float | None = None

    def build(self, loaded: Loaded) -> OneOrAll:
        """The estimator."""
        bodies = self.bodies
        network = bodies.network.load(loaded)
        parts = tuple(part.build(loaded) for part in bodies.parts)
        choice = replace(bodies, parts=())

        def complete(estimator: Estimator) -> Estimator:
            return above(WithParts(estimator, parts) if parts else estimator, self.threshold)

        one = complete(_one(network, None, self.threshold, bodies.scale_number, bodies.scale_gap, bodies.every))
        everybody = complete(_everybody(choice, network)) if network.finds_everybody else None
        return OneOrAll(network, one, everybody)


@dataclass(frozen=True)
class Within:
    """Another estimator's configuration, and the part of the frame in which to search: a box, or an image as a mask."""

    people: Person | Bodies
    box: Box | None = None
    mask: str | None = None

    def build(self, loaded: Loaded) -> Estimator:
        """The estimator; UsageError if the mask cannot be read."""
        mask = None if self.mask is None else read_mask(self.mask)
        return Region(self.people.build(loaded), self.box, mask)


def read_mask(path: str) -> NDArray[np.uint8]:
    """The (h, w) grey values of an image file; UsageError if it cannot be read, or is black."""
    with quiet_stderr():
        mask = cv2.imread(path, cv2.IMREAD_GRAYSCALE) if os.path.isfile(path) else None
    if mask is None:
        raise UsageError(f"mask={path} is not an image that can be read; give one that is black where nobody is wanted")
    if not mask.any():
        raise UsageError(f"mask={path} is black everywhere; it must be white where people are wanted")
    return mask.astype(np.uint8, copy=False)


@dataclass(frozen=True)
class OneOrAll:
    """Finds everybody; or one person, if it is called with `single=True` or the network can find only one."""

    network: Network
    one: Estimator
    everybody: Estimator | None

    @property
    def skeleton(self) -> Skeleton:
        """The network's skeleton."""
        return self.network.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """One person or everybody; overrides other than `single` go to the estimator used."""
        single = bool(overrides.pop("single", False))
        estimator = self.one if single or self.everybody is None else self.everybody
        return estimator(frame, before, **overrides)


@dataclass(frozen=True)
class Above:
    """Removes keypoints that score `threshold` or less, and people without any left."""

    estimator: Estimator
    threshold: float

    @property
    def skeleton(self) -> Skeleton:
        """The estimator's skeleton."""
        return self.estimator.skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The result with the remaining people."""
        result = self.estimator(frame, before, **overrides)
        return replace(result, people=result.people.above(self.threshold))


def above(estimator: Estimator, threshold: float | None) -> Estimator:
    """The estimator, wrapped in `Above` if there is a threshold."""
    return estimator if threshold is None else Above(estimator, threshold)


def _one(
    network: Network, net_size: str | None, threshold: float | None, number: int, gap: float, every: int, *,
    best: bool = False,
) -> Estimator:  # fmt: skip
    if network.crops:
        one = TopDown.of(network, net_size, scale_number=number, most=1, every=every)
        return above(one, SINGLE_THRESHOLD if threshold is None else threshold)
    usual = 0.0 if network.skeleton.name in ("hand", "face") else SINGLE_THRESHOLD
    return OnePerson(network, net_size, usual if threshold is None else threshold, number, gap, best)


def _everybody(bodies: Bodies, network: Network) -> Estimator:
    if network.crops:
        if bodies.maximize_positives:
            raise UsageError(f"maximize_positives=True: {network.model.name} has no part affinity fields; {FIELDS}")
        kept = {**_kept(bodies), "person_threshold": bodies.person_threshold or 0.0}
        number = bodies.scale_number
        return TopDown.of(network, bodies.net_size, scale_number=number, most=bodies.most, every=bodies.every, **kept)
    limits = network.model.thresholds
    if bodies.maximize_positives:
        limits = Thresholds(**(vars(limits) | maximized(limits)))
    scales = bodies.scale_number, bodies.scale_gap
    return Everybody(network, bodies.net_size, *scales, limits, bodies.most, **_kept(bodies))


def _kept(bodies: Bodies) -> dict[str, Any]:
    """The settings of who is left out."""
    names = "person_threshold", "person_keypoints", "person_height"
    return {name: getattr(bodies, name) for name in names}
