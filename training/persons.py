"""Batches for a network that processes one person: crops around a person, and the positions of the keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posecv.skeletons import Skeleton
from training.batches import Batch, disturbed
from training.data import Cropper, Picture, network_input

Array = NDArray[np.float32]

KNOWN = 4  # fewest keypoints of somebody to learn from


@dataclass(frozen=True)
class PersonRecipe:
    """How people become crops.

    Attributes
    ----------
    size : (int, int)
        Height and width of a crop in pixels.
    stride : int
        Pixels of the crop a cell of the maps.
    sigma : float
        Standard deviation of the Gaussians, in cells.
    pad : float
        Side of a crop over the extent of the person's keypoints; a detector's box, which shows hair and feet as well,
        is 1.12 times as large as that extent.
    scale, most_scale : float
        Standard deviation and limit of the logarithm of the crop's size.
    shift : float
        Standard deviation of the crop's place, as a share of its sides.
    turn, most_turn : float
        Standard deviation and limit of the rotation, degrees.
    half : float
        How often a crop shows only the upper or the lower body.
    longer : float
        How often a crop of a person with unknown legs is extended downwards, like a detector's box.
    cut : float
        How often a patch of the person is covered.
    disturbance : float
        As in `training.batches.Recipe`.
    human : float
        How often a person with human labels is used, as a multiple of the others.
    weights : mapping
        How often a source's images are used; 1 if it is not listed.
    """

    size: tuple[int, int] = (256, 192)
    stride: int = 4
    sigma: float = 2.0
    pad: float = 1.4
    scale: float = 0.18
    most_scale: float = 0.5
    shift: float = 0.05
    turn: float = 15
    most_turn: float = 45
    half: float = 0.15
    longer: float = 0.5
    cut: float = 0.2
    disturbance: float = 0.5
    human: float = 1.5
    weights: tuple[tuple[str, float], ...] = ()


class Persons:
    """Makes the batch of any step; the same seed and step give the same batch.

    A batch's maps are bumps, 0 where a keypoint is known to lie outside the crop, and the background last; `weight` is
    (B, K + 1, 1, 1), 0 for the keypoints that are not known.
    """

    def __init__(
        self, pictures: Sequence[Picture], skeleton: Skeleton, mirrored: Sequence[int], recipe: PersonRecipe,
        device: torch.device, *, seed: int = 0,
    ) -> None:  # fmt: skip
        self.skeleton, self.mirrored, self.recipe = skeleton, list(mirrored), recipe
        self.device, self.seed = device, seed
        self.cropper = Cropper(list(pictures), device)
        share = dict(recipe.weights)
        people, weights = [], []
        for place, picture in enumerate(pictures):
            for points in picture.people:
                if np.count_nonzero(points[:, 2]) >= KNOWN:
                    people.append((place, points))
                    human = bool(np.isin(points[:, 2], (0, 1)).all())
                    weights.append(share.get(picture.source, 1.0) * (recipe.human if human else 1.0))
        self.places = np.array([place for place, _ in people])
        self.people = np.stack([points for _, points in people])
        self.chances = np.array(weights) / np.sum(weights)

    def batch(self, step: int, count: int) -> Batch:
        """`count` crops of a step."""
        rng = np.random.default_rng((self.seed, step))
        return self.of(rng.choice(len(self.people), count, p=self.chances), rng)

    def of(self, chosen: NDArray[np.intp], rng: np.random.Generator | None) -> Batch:
        """Crops of the chosen people, distorted if a generator is given."""
        points = self.people[chosen].copy()
        matrices = np.empty((len(chosen), 2, 3), np.float32)
        for at, person in enumerate(points):
            matrices[at] = self._matrix(person, rng)
            person[:, :2] = person[:, :2] @ matrices[at, :, :2].T + matrices[at, :, 2]
            if np.linalg.det(matrices[at, :, :2]) < 0:
                points[at] = person[self.mirrored]
        crops = self.cropper.crops(self.places[chosen], matrices, self.recipe.size)
        if rng is not None:
            self._cut(crops, points, rng)
            crops = disturbed(crops, rng, self.recipe.disturbance)
        maps, weight = bumps(torch.from_numpy(points).to(self.device), self.recipe)
        return Batch(network_input(crops), maps, weight)

    def _matrix(self, points: Array, rng: np.random.Generator | None) -> Array:
        """(2, 3) from the image's pixels to the crop's."""
        recipe = self.recipe
        height, width = recipe.size
        known = points[:, 2] > 0
        shown = known
        longer = 0.0
        if rng is not None:
            shown = self._half(known, rng)
            legs = [name.endswith(("knee", "ankle")) for name in self.skeleton.keypoints]
            if not (known & legs).any() and rng.random() < recipe.longer:
                longer = rng.random()
        low, high = points[shown, :2].min(axis=0), points[shown, :2].max(axis=0)
        high[1] += longer * max(high - low)
        middle = (low + high) / 2
        side = max((high - low)[1], (high - low)[0] * height / width, 8) * recipe.pad
        angle, mirror = 0.0, 1
        if rng is not None:
            side *= np.exp(np.clip(rng.normal(0, recipe.scale), -recipe.most_scale, recipe.most_scale))
            middle = middle + rng.normal(0, recipe.shift, 2) * side * np.array([width / height, 1])
            angle = np.deg2rad(np.clip(rng.normal(0, recipe.turn), -recipe.most_turn, recipe.most_turn))
            mirror = rng.choice((1, -1))
        scale = height / side
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[mirror * cosine, -mirror * sine], [sine, cosine]])
        target = np.array([width, height]) / 2 - 0.5
        return np.concatenate([linear, (target - linear @ middle)[:, None]], axis=1).astype(np.float32)

    def _half(self, known: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """The keypoints that determine a crop: sometimes those of one half of the body."""
        if rng.random() >= self.recipe.half:
            return known
        lower = np.array([name.endswith(("hip", "knee", "ankle")) for name in self.skeleton.keypoints])
        half = known & (lower if rng.random() < 0.3 else ~lower)
        return half if np.count_nonzero(half) >= KNOWN else known

    def _cut(self, crops: Tensor, points: Array, rng: np.random.Generator) -> None:
        """Cover a patch near a keypoint with one colour, in some crops; in place."""
        height, width = self.recipe.size
        for at in np.flatnonzero(rng.random(len(crops)) < self.recipe.cut).tolist():
            known = points[at, points[at, :, 2] > 0, :2]
            x, y = known[rng.integers(len(known))] + rng.normal(0, 8, 2)
            reach = rng.uniform(0.05, 0.16, 2) * height
            rows = slice(*np.clip(np.array([y - reach[0], y + reach[0]]), 0, height).astype(int).tolist())
            columns = slice(*np.clip(np.array([x - reach[1], x + reach[1]]), 0, width).astype(int).tolist())
            color = torch.as_tensor(rng.uniform(0, 255, 3), dtype=crops.dtype, device=crops.device)
            crops[at, :, rows, columns] = color[:, None, None]


def bumps(points: Tensor, recipe: PersonRecipe) -> tuple[Tensor, Tensor]:
    """Maps and weights of a batch.

    Parameters
    ----------
    points : (B, K, 3) float tensor
        x, y in pixels of the crops, the centre of the first one 0, 0; 0 where a keypoint is not known.
    recipe : PersonRecipe

    Returns
    -------
    maps : (B, K + 1, h, w) float tensor
        Bumps of height 1 round the keypoints inside the crop, and what they leave for the background.
    weight : (B, K + 1, 1, 1) float tensor
        How sure it is where the keypoint lies; 0 for not known.
    """
    height, width = (side // recipe.stride for side in recipe.size)
    cells = (points[..., :2] + 0.5) / recipe.stride - 0.5
    inside = ((cells > -0.5) & (cells < cells.new_tensor([width - 0.5, height - 0.5]))).all(dim=-1)
    y, x = (torch.arange(side, device=points.device, dtype=points.dtype) for side in (height, width))
    across = torch.exp(-((x - cells[..., :1]) ** 2) / (2 * recipe.sigma**2))
    down = torch.exp(-((y - cells[..., 1:]) ** 2) / (2 * recipe.sigma**2))
    known = points[..., 2]
    heat = down[..., :, None] * across[..., None, :] * ((known > 0) & inside)[..., None, None]
    background = 1 - heat.amax(dim=1, keepdim=True)
    weight = torch.cat([known, torch.ones_like(known[:, :1])], dim=1)[..., None, None]
    return torch.cat([heat, background], dim=1), weight
