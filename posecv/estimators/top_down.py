"""Top-down: first find people's boxes, then the keypoints of each person in its own crop.

frame ──detector──▶ boxes ──Fit.of_person──▶ crops ──pose network──▶ maps ──decode_crops──▶ People
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array, Frame, checked_frame
from posecv.decoding.crops import decode_boxes, decode_crops, decode_distributions, distinct
from posecv.engines.engine import Engine
from posecv.engines.layouts import CropLayout
from posecv.engines.network import Boxes, Network
from posecv.errors import ModelError, UsageError
from posecv.estimators import Estimator, Setting, adjusted
from posecv.estimators.single_pass import Size
from posecv.geometry import Fit, NetSize, Preprocessing
from posecv.oks import likeness, sigmas_of
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import COCO, Skeleton

__all__ = ["BoxList", "BoxMaps", "BoxesOfBodies", "CropNetwork", "Detector", "TopDown"]

PAD = 1.25  # sides of a crop relative to the person's box, as is usual
OWN_PAD = 1.05  # for our own network
LEAST_BOX = 0.3  # minimum score of a box
OWN_LEAST_BOX = 0.2  # of a detector with maps
MULTIPLE = 32  # the sides of a detector's input are multiples of this
LEAST_KEYPOINT = 0.1  # weaker keypoints are often right: writing those above 0.05 gains 0.005 of AP
BEYOND = 0.05  # of the box's longer side: keypoints that lie farther outside the frame are missing
SAME_PERSON = 0.7  # if the object keypoint similarity of two people is higher, the weaker one is dropped
SURE = 0.2  # a person's score is the mean of the keypoints above this
AROUND = 1.12  # sides of a person's box relative to the extent of its keypoints
FIELDS = "use model=light_body, which has maps of the whole frame"
SHOULDERS = "right_shoulder", "left_shoulder"


class Detector(Protocol):
    """Finds the boxes of people."""

    def __call__(self, frame: Frame, net_size: NetSize | None = None) -> Array:
        """(N, 5) float32 array: x, y, width, height in pixels of the frame, score; best first."""


@dataclass(frozen=True)
class BoxMaps:
    """A detector whose network outputs maps for `decode_boxes`.

    Attributes
    ----------
    engine : Engine
        Runs the network.
    preprocessing : Preprocessing
    net_size : NetSize
        Default size of its input.
    stride : int
        Pixels of its input per cell.
    threshold : float
        Lowest score of a box.
    """

    engine: Engine
    preprocessing: Preprocessing
    net_size: NetSize
    stride: int = 8
    threshold: float = OWN_LEAST_BOX

    def __call__(self, frame: Frame, net_size: NetSize | None = None) -> Array:
        """The boxes of a frame."""
        fit = Fit.of_frame(frame, net_size or self.net_size, stride=self.stride)
        width, height = (math.ceil(side / MULTIPLE) * MULTIPLE for side in (fit.width, fit.height))
        fit = replace(fit, width=width, height=height)
        (maps,) = self.engine.forward(fit.blob(frame, self.preprocessing))
        boxes = decode_boxes(maps, threshold=self.threshold)
        boxes[:, :2] = fit.to_frame(boxes[:, :2])
        boxes[:, 2:4] *= self.stride / fit.scale
        return boxes


@dataclass(frozen=True)
class BoxList:
    """A detector whose network outputs lists, like exports of PicoDet, RTMDet and YOLOX.

    Attributes
    ----------
    engine : Engine
        Runs the network. One output holds (1, N, 4) corners x0, y0, x1, y1 in pixels of its input and the other the
        scores, (1, N) or (1, classes, N); or one holds (1, N, 5) corners and scores, and the other (1, N) classes.
        Class 0 is a person.
    preprocessing : Preprocessing
    size : (int, int)
        Height and width of its input; frames keep their aspect ratio.
    threshold : float
        Lowest score of a box.
    same_box : float
        If the intersection over union of two boxes exceeds this, the weaker one is dropped.
    """

    engine: Engine
    preprocessing: Preprocessing
    size: tuple[int, int]
    threshold: float = LEAST_BOX
    same_box: float = 0.55

    def __call__(self, frame: Frame, net_size: NetSize | None = None) -> Array:
        """The boxes of a frame; `net_size` is ignored, since the network has a fixed size."""
        height, width = self.size
        fit = Fit.of_frame(frame, NetSize(width, height))
        corners, scores = _of_people(self.engine.forward(fit.blob(frame, self.preprocessing)))
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > self.threshold]
        corners, scores = corners[order], scores[order]
        kept = distinct(corners, self.same_box)
        corners = corners[kept] / fit.scale
        sizes = corners[:, 2:] - corners[:, :2]
        return np.concatenate([corners[:, :2], sizes, scores[kept, None]], axis=1).astype(np.float32)


def _of_people(outputs: Sequence[Array]) -> tuple[Array, Array]:
    """(N, 4) corners and (N,) scores of people from a detector's two outputs."""
    one, two = map(np.asarray, outputs)
    boxes, other = (one, two) if one.shape[2:] in ((4,), (5,)) and one.shape[1] == two.shape[-1] else (two, one)
    corners = np.asarray(boxes[0], np.float32)
    if corners.shape[1] == 5:
        people = other.reshape(-1) == 0
        return corners[people, :4], corners[people, 4]
    return corners, other.reshape(-1)[: len(corners)]  # of several classes the first


@dataclass(frozen=True)
class BoxesOfBodies:
    """A detector that uses the boxes of another estimator's people, to refine each person."""

    estimator: Estimator

    def __call__(self, frame: Frame, net_size: NetSize | None = None) -> Array:
        """The boxes of a frame, with the people's scores."""
        result = self.estimator(frame, net_size=net_size) if net_size else self.estimator(frame)
        return boxes_of(result.people)


@dataclass(frozen=True)
class CropNetwork:
    """A network that finds one person's keypoints in a crop.

    Attributes
    ----------
    engine : Engine
        Runs the network. It outputs one heatmap per keypoint, optionally followed by a background, or two
        distributions per keypoint, along x and along y.
    preprocessing : Preprocessing
    layout : CropLayout
        What the outputs mean.
    """

    engine: Engine
    preprocessing: Preprocessing
    layout: CropLayout

    @property
    def skeleton(self) -> Skeleton:
        """The layout of the people's keypoints.

        Those that the network does not find are missing, except for the neck, which is the middle of the shoulders.
        """
        return self.layout.skeleton

    def __call__(self, frame: Frame, boxes: Array, pad: float | None = None) -> tuple[Array, Array]:
        """Find the keypoints of the people in (N, 4 or more) boxes.

        Parameters
        ----------
        frame : (H, W, 3) uint8 array
        boxes : (N, 4 or more) array
            x, y, width, height in pixels of the frame.
        pad : float
            Sides of a crop relative to those of the box; by default what the network was trained with.

        Returns
        -------
        keypoints : (N, K, 3) float32 array
            Of the skeleton, in pixels of the frame.
        scores : (N,) float32 array
            How well the keypoints of each person were found, 0 to 1.
        """
        layout = self.layout
        height, width = layout.size
        pad = pad or (OWN_PAD if layout.odds else PAD)
        fits = [Fit.of_person(box, (width, height), pad, stride=layout.stride or 1) for box in boxes[:, :4]]
        if not fits:
            return np.zeros((0, len(self.skeleton.keypoints), 3), np.float32), np.zeros(0, np.float32)
        blobs = [fit.blob_of_part(frame, self.preprocessing) for fit in fits]
        found = np.concatenate([self._decoded(blob) for blob in self._batches(blobs)])
        found[..., :2] = [fit.to_frame(cells) for fit, cells in zip(fits, found[..., :2], strict=True)]
        return self._arranged(found[..., :3]), _quality(found[..., 2:], odds=layout.odds)

    def _batches(self, blobs: Sequence[Array]) -> Sequence[Array]:
        """The crops as the network takes them."""
        return [np.concatenate(blobs)] if self.layout.batches else blobs

    def _decoded(self, blob: Array) -> Array:
        """(N, K, 4) keypoints of a batch in cells, as from `decode_crops`."""
        layout, outputs = self.layout, self.engine.forward(blob)
        if not layout.stride:
            found = decode_distributions(outputs[0], outputs[1], layout.size)
            return np.concatenate([found, found[..., 2:]], axis=2)
        maps = next(output for output in outputs if np.ndim(output) == 4)[:, : len(layout.keypoints)]
        if layout.odds:
            return decode_crops(maps)
        found = decode_crops(maps, refinement="parabola")
        found[..., :2] -= (layout.stride - 1) / 2 / layout.stride  # such a network's cell stands for its first pixel
        return found

    def _arranged(self, found: Array) -> Array:
        """The keypoints in the skeleton's order."""
        names = {name: index for index, name in enumerate(self.layout.keypoints)}
        arranged = np.zeros((len(found), len(self.skeleton.keypoints), 3), np.float32)
        for index, name in enumerate(self.skeleton.keypoints):
            if name in names:
                arranged[:, index] = found[:, names[name]]
            elif name == "neck":
                shoulders = found[:, [names[shoulder] for shoulder in SHOULDERS]]
                arranged[:, index, :2] = shoulders[..., :2].mean(axis=1)
                arranged[:, index, 2] = shoulders[..., 2].min(axis=1)
        return arranged


@dataclass(frozen=True)
class TopDown:
    """Finds all people of a frame: boxes with a detector, then keypoints in crops.

    Attributes
    ----------
    detector : Detector
    network : CropNetwork
    net_size : str, int, (int, int) or NetSize
        Size of the detector's input; by default the detector's own.
    threshold : float
        Keypoints that score this or less are missing.
    pad : float
        Sides of a crop relative to the box; by default what suits the network.
    same_person : float
        If the object keypoint similarity of two people is higher than this, the weaker one is dropped.
    most : int
        Maximum number of boxes to use, best first; by default all.
    person_threshold, person_keypoints, person_height
        As in `posecv.estimators.single_pass.Everybody`; by default everybody is kept.
    every : int
        Run the detector once in as many frames of a video; in between, use the people's previous positions.
    """

    detector: Detector
    network: CropNetwork
    net_size: Size | None = None
    threshold: float = LEAST_KEYPOINT
    pad: float | None = None
    same_person: float = SAME_PERSON
    most: int | None = None
    person_threshold: float = 0.0
    person_keypoints: int = 0
    person_height: float = 0.0
    every: int = 1

    @property
    def skeleton(self) -> Skeleton:
        """That of the people."""
        return self.network.skeleton

    @classmethod
    def of(
        cls, network: Network, net_size: Size | None = None, *, scale_number: int = 1, **settings: Any
    ) -> TopDown:
        """The estimator for a network that looks at crops, with attributes above as settings.

        ModelError for another network; UsageError for several scales, which such a network does not have.
        """
        if network.crops is None:
            raise ModelError(f"{network.model.name} needs a detector to find the people that it looks at one at a time")
        if scale_number != 1:
            name = network.model.name
            raise UsageError(f"scale_number={scale_number}: {name} looks at people one at a time; {FIELDS}")
        boxes, layout = network.crops.boxes, network.crops.layout
        pose = CropNetwork(network.engine, network.model.preprocessing, layout)
        return cls(_detector(boxes), pose, net_size, **settings)

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """Everybody, best first; a person's score is the box's score times that of the keypoints."""
        return adjusted(self, overrides)._found(checked_frame(frame), before)

    def _found(self, frame: Frame, before: Result | None) -> Result:
        start = perf_counter()
        kept = before is not None and len(before.people) > 0 and before.age + 1 < self.every
        boxes = boxes_of(before.people) if before and kept else self._detected(frame)
        boxes = boxes[: self.most]
        middle = perf_counter()
        keypoints, quality = self.network(frame, boxes, self.pad)
        end = perf_counter()
        people = self._people(keypoints, quality * boxes[:, 4], boxes, frame)
        seconds = {"detector": middle - start, "network": end - middle, "decoding": perf_counter() - end}
        return Result(people, frame, seconds=seconds, age=before.age + 1 if before and kept else 0)

    def _detected(self, frame: Frame) -> Array:
        return self.detector(frame, None if self.net_size is None else NetSize.parse(self.net_size))

    def _people(self, keypoints: Array, scores: Array, boxes: Array, frame: Frame) -> People:
        """The people, best first, without duplicates and without keypoints far outside the frame."""
        height, width = frame.shape[:2]
        edge = np.array([width - 1, height - 1])
        outside = np.maximum(-keypoints[..., :2], keypoints[..., :2] - edge).max(axis=2)
        kept = (keypoints[..., 2] > self.threshold) & (outside < BEYOND * boxes[:, 2:4].max(axis=1)[:, None])
        keypoints[..., :2] = np.clip(keypoints[..., :2], 0, edge)
        found = np.where(kept[..., None], keypoints, 0).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        order = order[_distinct_people(found[order], self.skeleton, self.same_person)]
        order = order[kept[order].any(axis=1)]
        people = People(found[order], scores[order].astype(np.float32), self.skeleton)
        return people.certain(self.person_threshold, self.person_keypoints, self.person_height)


def _detector(boxes: Boxes) -> Detector:
    """The detector for its network."""
    engine, preprocessing = boxes.engine, boxes.model.preprocessing
    if boxes.layout.stride:
        return BoxMaps(engine, preprocessing, NetSize.parse(boxes.usual_size), boxes.layout.stride)
    return BoxList(engine, preprocessing, boxes.layout.size)


def _quality(scores: Array, *, odds: bool) -> Array:
    """(N,) scores of people from (N, K, 2) scores and highest values of their keypoints."""
    if odds:
        return scores.prod(axis=2).mean(axis=1)
    sure = scores[..., 0] > SURE
    return np.where(sure, scores[..., 0], 0).sum(axis=1) / np.maximum(sure.sum(axis=1), 1)


def boxes_of(people: People) -> Array:
    """(N, 5) boxes x, y, width, height, score round people's keypoints, like those of a detector."""
    boxes = people.boxes
    middle, size = boxes[:, :2] + boxes[:, 2:] / 2, AROUND * boxes[:, 2:]
    return np.concatenate([middle - size / 2, size, people.scores[:, None]], axis=1).astype(np.float32)


def _distinct_people(keypoints: Array, skeleton: Skeleton, same_person: float) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the (N, K, 3) people, best first, that are kept."""
    common = [index for index, name in enumerate(skeleton.keypoints) if name in COCO.keypoints]
    sigmas = sigmas_of([skeleton.keypoints[index] for index in common])
    people = keypoints[:, common]
    kept: list[int] = []
    for index in range(len(people)):
        if all(likeness(people[index], people[other], sigmas) <= same_person for other in kept):
            kept.append(index)
    return np.array(kept, np.intp)
