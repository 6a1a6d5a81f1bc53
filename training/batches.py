"""Batches: crops of people at all sizes, rotated, mirrored and distorted, with the maps to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posecv.degrade import EFFECTS, degrade
from posecv.skeletons import Skeleton
from training.data import Cropper, Picture, chances, network_input
from training.targets import heard, paint

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """How images become crops.

    Attributes
    ----------
    size : int
        Side of a crop in pixels.
    least, most : float
        Height of the person in the middle, as a share of the crop's side.
    zoom : float
        The maximum enlargement of an image.
    cover : float
        The minimum size of an image as a share of the crop (square root of the areas), for any height of the person.
    shift : float
        How far from the crop's middle the person may be, as a share of its side.
    turn : float
        Standard deviation of the rotation, degrees; at most `most_turn`.
    other_side : float
        How often a right hand is mirrored and a left one is not. A network for right hands needs to learn left ones
        only as often as callers make mistakes. Half of the hands of unknown side are mirrored.
    mosaics : float
        Share of the crops that consist of four smaller ones.
    weights : mapping
        How often a source's images are used; 1 if it is not listed.
    sigma : float
        Standard deviation of the Gaussians, in cells.
    gloves : float
        Share of the crops in which the skin around the keypoints gets another colour.
    disturbance : float
        How often crops are distorted, as a share of the default of `disturbed`.
    """

    size: int = 256
    least: float = 0.2
    most: float = 1.1
    zoom: float = 2.5
    cover: float = 0.9
    shift: float = 0.22
    turn: float = 15
    most_turn: float = 40
    other_side: float = 0.5
    mosaics: float = 0.25
    weights: tuple[tuple[str, float], ...] = ()
    sigma: float = 7 / 8
    gloves: float = 0
    disturbance: float = 1


class Batch(NamedTuple):
    """crops (B, 3, s, s) as the network's input; maps (B, C, s/8, s/8); weight (B, 1, s/8, s/8)."""

    crops: Tensor
    maps: Tensor
    weight: Tensor


class Batches:
    """Makes the batch of any step; the same seed and step give the same batch."""

    def __init__(
        self, pictures: Sequence[Picture], skeleton: Skeleton, mirrored: Sequence[int], recipe: Recipe,
        device: torch.device, *, effect: str | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.pictures, self.skeleton, self.mirrored, self.recipe = list(pictures), skeleton, list(mirrored), recipe
        self.cropper = Cropper(self.pictures, device)
        self.device, self.effect, self.seed = device, effect, seed
        self.chances = chances(self.pictures, recipe.weights)

    def batch(self, step: int, count: int) -> Batch:
        """`count` crops of a step."""
        rng = np.random.default_rng((self.seed, step))
        return self.finished(self.plain(rng, count), rng)

    def plain(self, rng: np.random.Generator, count: int) -> Batch:
        """`count` crops, 0 to 255, without distortion."""
        mosaics = int(rng.binomial(count, self.recipe.mosaics))
        parts = []
        if mosaics < count:
            parts.append(self._simple(rng, count - mosaics, self.recipe.size))
        if mosaics:
            quarters = self._simple(rng, 4 * mosaics, self.recipe.size // 2)
            parts.append(Batch(*map(_joined, quarters)))
        return Batch(*map(torch.cat, zip(*parts, strict=True)))

    def finished(self, plain: Batch, rng: np.random.Generator) -> Batch:
        """Plain crops with distortions, as the network's input."""
        if self.effect:
            degraded(plain.crops, self.effect, rng)
        return plain._replace(crops=network_input(disturbed(plain.crops, rng, self.recipe.disturbance)))

    def _simple(self, rng: np.random.Generator, count: int, size: int) -> Batch:
        indices = rng.choice(len(self.pictures), count, p=self.chances)
        matrices, people, owners, boxes, box_owners = [], [], [], [], []
        for place, index in enumerate(indices):
            picture = self.pictures[index]
            matrix = self._matrix(rng, picture, size)
            matrices.append(matrix)
            for points in picture.people:
                points = points.copy()
                points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
                if np.linalg.det(matrix[:, :2]) < 0:
                    points = points[self.mirrored]
                people.append(points)
                owners.append(place)
            for x, y, width, height in picture.ignore:
                corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]]) @ matrix[:, :2].T
                corners += matrix[:, 2]
                boxes.append(np.concatenate([corners.min(axis=0), np.ptp(corners, axis=0)]))
                box_owners.append(place)
        crops = self.cropper.crops(indices, np.stack(matrices), (size, size))
        points = np.array(people, np.float32).reshape(-1, len(self.skeleton.keypoints), 3)
        square = size, size
        owner = self._put(owners, torch.long)
        maps = paint(self._put(points), owner, count, square, self.skeleton, self.recipe.sigma)
        ignored = np.array(boxes, np.float32).reshape(-1, 4)
        weight = heard(self._put(ignored), self._put(box_owners, torch.long), count, square)
        if self.recipe.gloves:
            gloved(crops, maps[:, : len(self.skeleton.keypoints)], rng, self.recipe.gloves)
        # A painted person counts even where somebody unknown stands.
        painted = maps[:, : len(self.skeleton.keypoints)].amax(dim=1, keepdim=True) > 0.1
        return Batch(crops, maps, torch.maximum(weight, painted.to(weight.dtype)))

    def _put(self, values: object, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(values, dtype=dtype).to(self.device)

    def _matrix(self, rng: np.random.Generator, picture: Picture, size: int) -> Array:
        """(2, 3) from the image's pixels to the crop's: a person with a random height, near the centre."""
        recipe = self.recipe
        height, width = picture.frame.shape[:2]
        least = recipe.cover * size / np.sqrt(height * width)
        people = [points[points[:, 2] > 0, :2] for points in picture.people]
        people = [points for points in people if len(points) >= 3]
        if people and rng.random() < 0.85:
            points = people[rng.integers(len(people))]
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            tall = max(1.15 * np.ptp(points, axis=0).max(), 8)
            scale = size * np.exp(rng.uniform(np.log(recipe.least), np.log(recipe.most))) / tall
        else:
            middle = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
            scale = least * np.exp(rng.uniform(0, 0.7))
        scale = np.clip(scale, least, max(recipe.zoom, least))
        angle = np.deg2rad(np.clip(rng.normal(0, recipe.turn), -recipe.most_turn, recipe.most_turn))
        stretch = np.exp(rng.normal(0, 0.06))
        cosine, sine = np.cos(angle), np.sin(angle)
        linear = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([stretch, 1 / stretch])
        mirrored = {"right": recipe.other_side, "left": 1 - recipe.other_side}
        if rng.random() < mirrored.get(picture.hand or "", 0.5):
            linear = linear @ np.diag([-1, 1])
        target = size / 2 + rng.uniform(-recipe.shift, recipe.shift, 2) * size
        return np.concatenate([linear, (target - linear @ middle)[:, None]], axis=1).astype(np.float32)


def _joined(quarters: Tensor) -> Tensor:
    """(4 B, C, s, s) to (B, C, 2 s, 2 s)."""
    a, b, c, d = quarters.chunk(4)
    return torch.cat([torch.cat([a, b], dim=3), torch.cat([c, d], dim=3)], dim=2)


def gloved(crops: Tensor, bumps: Tensor, rng: np.random.Generator, share: float) -> None:
    """Colour the skin near keypoints, in place, with one colour per crop; light and shadow stay."""
    for at in np.flatnonzero(rng.random(len(crops)) < share).tolist():
        near = torch.nn.functional.max_pool2d(bumps[at].amax(dim=0)[None, None], 3, 1, 1)
        cover = torch.nn.functional.interpolate(near, size=crops.shape[2:], mode="bilinear")[0].mul_(1.5).clamp_(0, 1)
        color = torch.as_tensor(rng.uniform(0, 1.6, 3), dtype=crops.dtype, device=crops.device)[:, None, None]
        light = crops[at].mean(dim=0, keepdim=True) * float(rng.uniform(0.4, 1.2))
        crops[at].lerp_((light * color).clamp(0, 255), cover)


def degraded(crops: Tensor, effect: str, rng: np.random.Generator) -> None:
    """Degrade two of three crops, in place, with a strength up to the effect's own."""
    kind = EFFECTS[effect]
    for crop in crops:
        if rng.random() < 2 / 3:
            frame = crop.permute(1, 2, 0).round().to(torch.uint8).cpu().numpy()
            low, high = sorted((kind.neutral, kind.default))
            strength = float(rng.uniform(low, high))
            crop.copy_(torch.from_numpy(degrade(frame, effect, strength=strength, rng=rng)).permute(2, 0, 1))


def disturbed(crops: Tensor, rng: np.random.Generator, often: float = 1) -> Tensor:
    """(B, 3, s, s) crops, 0 to 255, with other light and worse cameras; some stay unchanged.

    `often` multiplies the share of crops with each distortion.
    """
    count = len(crops)
    x = crops.div_(255)

    def chosen(share: float) -> list[int]:
        return np.flatnonzero(rng.random(count) < share * often).tolist()

    def drawn(low: float, high: float, share: float, channels: int = 1) -> Tensor:
        """A number for each crop; 0 for unchanged ones."""
        values = rng.uniform(low, high, (count, channels)) * (rng.random((count, 1)) < share * often)
        return torch.as_tensor(values, dtype=x.dtype, device=x.device)[..., None, None]

    for each in chosen(0.25):
        x[each].pow_(float(np.exp(rng.uniform(-0.6, 0.6))))
    for each in chosen(0.2):
        x[each].lerp_(x[each].mean(dim=0, keepdim=True), float(rng.random()))     # colour fades
    contrast = torch.exp(drawn(-0.4, 0.3, 0.5))
    mean = x.mean(dim=(2, 3), keepdim=True)
    dark = 1 - drawn(0.5, 0.9, 0.03)
    gain = torch.exp(drawn(-0.5, 0.4, 0.6)) * torch.exp(drawn(-0.15, 0.15, 0.5, 3)) * dark
    x.mul_(contrast * gain).add_(mean * (1 - contrast) * gain)
    for worsened, share in ((_low_resolution, 0.12), (_motion_blur, 0.08), (_blur, 0.1)):
        for each in chosen(share):
            x[each] = worsened(x[each, None], rng)[0]
    noisy = chosen(0.2)
    if noisy:
        generator = torch.Generator(device=x.device).manual_seed(int(rng.integers(1 << 31)))
        noise = torch.randn((len(noisy), *x.shape[1:]), generator=generator, device=x.device)
        x[noisy] += noise * float(rng.uniform(0.01, 0.07))
    return x.mul_(255).clamp_(0, 255)


def _low_resolution(x: Tensor, rng: np.random.Generator) -> Tensor:
    factor = rng.uniform(1.5, 3)
    small = torch.nn.functional.interpolate(x, scale_factor=1 / factor, mode="bilinear", antialias=True)
    return torch.nn.functional.interpolate(small, size=x.shape[2:], mode="bilinear")


def _motion_blur(x: Tensor, rng: np.random.Generator) -> Tensor:
    length = 2 * int(rng.integers(1, 6)) + 1
    return torch.nn.functional.avg_pool2d(x, (1, length), 1, (0, length // 2), count_include_pad=False)


def _blur(x: Tensor, rng: np.random.Generator) -> Tensor:
    length = 2 * int(rng.integers(1, 3)) + 1
    return torch.nn.functional.avg_pool2d(x, length, 1, length // 2, count_include_pad=False)

