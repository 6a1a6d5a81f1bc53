"""Batches for a network that finds people's boxes: crops of photographs, and where people are in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.batches import Batch, disturbed
from training.data import Cropper, Picture, chances, network_input

Array = NDArray[np.float32]

HALF_PIXEL = 0.5  # boxes count from the corner of the first pixel


@dataclass(frozen=True)
class BoxRecipe:
    """How photographs become crops.

    Attributes
    ----------
    size : (int, int)
        Height and width of a crop in pixels.
    stride : int
        Pixels of the crop a cell of the maps.
    smaller, larger : float
        Limits of the logarithm of the scale at which a photograph is shown; 0 where its longer side is the crop's.
    stretch : float
        Standard deviation of the logarithm of the ratio of the scales along x and y.
    mosaics : float
        Share of the crops that are put together of four smaller ones.
    shown : float
        People of whom a smaller share lies inside the crop teach nothing.
    spread, least_spread : float
        Standard deviation of a bump as a share of the box's sides, and at least in cells.
    disturbance : float
        As in `training.batches.Recipe`.
    weights : mapping
        How often a source's photographs are taken; 1 where it is not named.
    """

    size: tuple[int, int] = (320, 320)
    stride: int = 8
    smaller: float = -0.4
    larger: float = 0.7
    stretch: float = 0.08
    mosaics: float = 0.2
    shown: float = 0.35
    spread: float = 0.1
    least_spread: float = 0.6
    disturbance: float = 0.5
    weights: tuple[tuple[str, float], ...] = ()


class BoxBatches:
    """Makes the batch of any step: the same one for the same seed and step.

    A batch's maps are (B, 6, h, w): the bumps in the middles of boxes; the distances to the left, top, right and bottom
    side of the box in cells; how much these distances count. `weight` is (B, 1, h, w), how much a cell's bump counts.
    """

    def __init__(
        self, pictures: Sequence[Picture], recipe: BoxRecipe, device: torch.device, *, seed: int = 0
    ) -> None:
        self.pictures, self.recipe = list(pictures), recipe
        self.device, self.seed = device, seed
        self.cropper = Cropper(self.pictures, device)
        self.chances = chances(self.pictures, recipe.weights)

    def batch(self, step: int, count: int) -> Batch:
        """`count` crops of a step."""
        rng = np.random.default_rng((self.seed, step))
        height, width = self.recipe.size
        mosaics = int(rng.binomial(count, self.recipe.mosaics))
        crops, owned = self._simple(rng, count - mosaics, (height, width))
        if mosaics:
            quarters, boxes = self._simple(rng, 4 * mosaics, (height // 2, width // 2))
            rows = quarters.reshape(mosaics, 2, 2, 3, height // 2, width // 2).permute(0, 3, 1, 4, 2, 5)
            crops = torch.cat([crops, rows.reshape(mosaics, 3, height, width)])
            for first in range(0, len(boxes), 4):
                corners = [(0, 0), (width // 2, 0), (0, height // 2), (width // 2, height // 2)]
                moved = [some + np.array([x, y, x, y, 0], np.float32)
                         for some, (x, y) in zip(boxes[first : first + 4], corners, strict=True)]  # fmt: skip
                owned.append(np.concatenate(moved))
        maps, weight = centres(owned, self.recipe)
        crops = disturbed(crops, rng, self.recipe.disturbance)
        return Batch(network_input(crops), maps.to(self.device), weight.to(self.device))

    def _simple(self, rng: np.random.Generator, count: int, size: tuple[int, int]) -> tuple[Tensor, list[Array]]:
        """Crops, and the (N, 5) boxes in each: corners in pixels of the crop, height of the bump."""
        indices = rng.choice(len(self.pictures), count, p=self.chances)
        matrices = np.empty((count, 2, 3), np.float32)
        owned = []
        for matrix, index in zip(matrices, indices, strict=True):
            picture = self.pictures[index]
            matrix[:] = self._matrix(rng, picture, size)
            owned.append(inside(picture.boxes, matrix, size, self.recipe.shown))
        if not count:
            return torch.zeros(0, 3, *size, device=self.device), owned
        return self.cropper.crops(indices, matrices, size), owned

    def _matrix(self, rng: np.random.Generator, picture: Picture, size: tuple[int, int]) -> Array:
        """(2, 3) from the photograph's pixels to the crop's: the whole of it, or a part with somebody in it."""
        recipe = self.recipe
        height, width = picture.frame.shape[:2]
        scale = min(size[0] / height, size[1] / width) * np.exp(rng.uniform(recipe.smaller, recipe.larger))
        stretch = np.exp(rng.normal(0, recipe.stretch))
        scales = scale * np.array([stretch, 1 / stretch])
        sides = np.array([width, height])
        seen = np.array(size[::-1]) / scales                                      # pixels of the photograph
        middle = rng.uniform(0, 1, 2) * sides
        real = picture.boxes[picture.boxes[:, 4] > 0]
        if len(real) and rng.random() < 0.8:
            box = real[rng.integers(len(real))]
            middle = box[:2] + box[2:4] * rng.uniform(-0.3, 1.3, 2)
        free = np.abs(sides - seen) / 2  # from the photograph's middle; further away, less of it would be shown
        middle = np.clip(middle, sides / 2 - free, sides / 2 + free)
        mirror = rng.choice((1, -1))
        linear = np.diag(scales * (mirror, 1))
        target = np.array(size[::-1]) / 2 - HALF_PIXEL
        return np.concatenate([linear, (target - linear @ (middle - HALF_PIXEL))[:, None]], axis=1).astype(np.float32)


def inside(boxes: Array, matrix: Array, size: tuple[int, int], shown: float) -> Array:
    """(N, 5) boxes of a photograph that a crop shows: corners x0, y0, x1, y1 in its pixels, and heights of bumps.

    Boxes are cut at the crop's edges; of those that are hardly inside, the height is 0.
    """
    low = (boxes[:, :2] - HALF_PIXEL) @ matrix[:, :2].T + matrix[:, 2]
    high = (boxes[:, :2] + boxes[:, 2:4] - HALF_PIXEL) @ matrix[:, :2].T + matrix[:, 2]
    corners = np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=1)
    height, width = size
    most = np.array([width, height, width, height]) - HALF_PIXEL
    cut = np.clip(corners, -HALF_PIXEL, most)
    whole = np.maximum(corners[:, 2:] - corners[:, :2], 1e-3).prod(axis=1)
    part = (cut[:, 2:] - cut[:, :2]).prod(axis=1) / whole
    heights = np.where(part >= shown, boxes[:, 4], 0)
    return np.concatenate([cut, heights[:, None]], axis=1)[part > 0].astype(np.float32)


def centres(owned: Sequence[Array], recipe: BoxRecipe) -> tuple[Tensor, Tensor]:
    """Maps and weights of a batch, from the (N, 5) corners and heights of the bumps of each crop's boxes."""
    height, width = (side // recipe.stride for side in recipe.size)
    maps = torch.zeros(len(owned), 6, height, width)
    weight = torch.ones(len(owned), 1, height, width)
    y, x = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    for at, boxes in enumerate(owned):
        cells = torch.from_numpy((boxes[:, :4] + HALF_PIXEL) / recipe.stride - HALF_PIXEL)
        heights = torch.from_numpy(boxes[:, 4])
        for left, top, right, bottom in cells[heights == 0].tolist():
            weight[at, 0, max(round(top), 0) : round(bottom) + 1, max(round(left), 0) : round(right) + 1] = 0
        cells, heights = cells[heights > 0], heights[heights > 0]
        if not len(cells):
            continue
        sides = cells[:, 2:] - cells[:, :2]
        middle = ((cells[:, :2] + cells[:, 2:]) / 2).round()
        middle = middle.clamp(min=0).minimum(middle.new_tensor([width - 1, height - 1]))
        spread = (recipe.spread * sides).clamp(min=recipe.least_spread)
        across = torch.exp(-((x - middle[:, :1]) ** 2) / (2 * spread[:, :1] ** 2))
        down = torch.exp(-((y - middle[:, 1:]) ** 2) / (2 * spread[:, 1:] ** 2))
        bumps = down[:, :, None] * across[:, None, :]                            # (N, h, w)
        highest, owner = bumps.max(dim=0)
        maps[at, 0] = highest
        box = cells[owner]                                                       # (h, w, 4)
        column, row = x.expand(height, width), y[:, None].expand(height, width)
        maps[at, 1:5] = torch.stack([column - box[..., 0], row - box[..., 1], box[..., 2] - column, box[..., 3] - row])
        counts = highest * (highest > 0.3) * heights[owner]
        total = torch.zeros(len(cells)).index_add_(0, owner.flatten(), counts.flatten())
        maps[at, 5] = counts * heights[owner] / total.clamp(min=1e-3)[owner]
        sure = torch.where(highest > 0.1, heights[owner], weight[at, 0])
        weight[at, 0] = sure
    return maps, weight
