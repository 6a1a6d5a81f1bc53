"""The loss of a network's maps: a weighted squared error, and the distances of maxima from their right positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.batches import Batch

BUMPS_COUNT = 2.0  # how much more a cell counts where something is painted
HEAT_COUNTS = 4.0  # how much more a keypoint's map counts than a field: fields are more and cover more cells
PLACES_COUNT = 3.0  # what a bump costs that lies one cell elsewhere; one that is missing costs 22
REACH = 2  # cells round a wanted peak, in which its bump is looked for
LOWEST_PEAK = 0.2  # of the wanted maps, whose place counts
FAINT = 0.02  # mass that keeps a bump that is hardly there from having a place
SMALLEST_COST = 1e-6
SIDES_COUNT = 2.0  # of a detector: what a box costs that lies elsewhere
BACKGROUND_COUNTS = 0.25  # of one person's maps: nothing is decoded from it


def squared_error(maps: Tensor, batch: Batch, background: int) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, the plain squared error, and the error of predicting nobody: 1 in the background's channel."""
    error = batch.weight * (maps - batch.maps).square()
    felt = error * (1 + BUMPS_COUNT * batch.maps.abs())
    loss = felt.sum() + (HEAT_COUNTS - 1) * felt[:, :background].sum()
    loss = loss + PLACES_COUNT * misplaced(maps[:, :background], batch.maps[:, :background])
    empty = batch.maps.clone()
    empty[:, background] -= 1
    return loss, error.detach().sum(), (batch.weight * empty.square()).sum() + SMALLEST_COST


def misplaced(heatmaps: Tensor, wanted: Tensor) -> Tensor:
    """Distances of maxima from their right positions: squared, in cells, summed over the target peaks.

    The squared error hardly contains them: a maximum that is three pixels off costs a tenth of a missing one. The
    position is the centre of mass of the squared cells around the target peak, weighted by the peak's height.
    """
    highest = nn.functional.max_pool2d(wanted, 3, 1, 1)
    peaks = ((wanted == highest) & (wanted > LOWEST_PEAK)).nonzero()
    step = torch.arange(2 * REACH + 1, device=wanted.device)
    crop, keypoint, row, column = (index[:, None, None] for index in peaks.T)
    around = crop, keypoint, row + step[:, None], column + step
    places = []
    for maps in (heatmaps, wanted):
        mass = nn.functional.pad(maps.clamp(min=0), (REACH,) * 4)[around].square()
        offset = (step - REACH).to(mass.dtype)
        x, y = (mass.sum(dim=axis) @ offset for axis in (1, 2))
        places.append(torch.stack([x, y], dim=1) / (mass.sum(dim=(1, 2)) + FAINT)[:, None])
    given, right = places
    return (wanted[tuple(peaks.T)] * (given - right).square().sum(dim=1)).sum()


def cross_entropy(logits: Tensor, batch: Batch, background: int) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of one person's maps before the sigmoid, its part for positions, and that part for uniform maps.

    Each keypoint's map is used twice: as a distribution over the cells (softmax), which learns positions, and as a
    probability for each cell (sigmoid), which learns the confidence, and that keypoints outside the crop are
    nowhere.
    """
    shape = logits.shape
    maps, wanted = logits.flatten(2), batch.maps.flatten(2)                           # (B, C, cells)
    weight = batch.weight.flatten(1)                                                  # (B, C)
    heat = wanted[:, :background]
    mass = heat.sum(dim=2)
    placed = weight[:, :background] * (heat.amax(dim=2) > LOWEST_PEAK)
    target = heat / mass.clamp(min=SMALLEST_COST)[..., None]
    surprise = -(target * maps[:, :background].log_softmax(dim=2)).sum(dim=2)
    least = torch.special.entr(target).sum(dim=2)
    places = (placed * (surprise - least)).sum()
    anywhere = (placed * (math.log(shape[2] * shape[3]) - least)).sum()

    # Where a keypoint is not known, what the network says of it is what the background has to go with.
    said = maps[:, :background].detach().sigmoid()
    taken = torch.where(weight[:, :background, None] > 0, heat, said).amax(dim=1, keepdim=True)
    probabilities = torch.cat([heat, 1 - taken], dim=1)
    cells = nn.functional.binary_cross_entropy_with_logits(maps, probabilities, reduction="none").sum(dim=2)
    typical = mass.amax().clamp(min=1)
    sure = (weight[:, :background] * cells[:, :background]).sum() / typical
    beside = BACKGROUND_COUNTS * cells[:, background].sum() / typical
    return places + sure + beside, places.detach(), anywhere + SMALLEST_COST


def boxes_cost(maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a detector's maps, the centre before its sigmoid; the loss again; how much all boxes count.

    Centres: the focal loss of Zhou et al., Objects as Points (arXiv:1904.07850); the nearer a cell lies to a centre,
    the less it counts. Sides: 1 minus the generalised intersection over union (Rezatofighi et al., CVPR 2019).
    """
    heat, counts = batch.maps[:, :1], batch.maps[:, 5]
    logit = maps[:, :1]
    probability = logit.sigmoid()
    centre = heat == 1
    found = -nn.functional.logsigmoid(logit) * (1 - probability).square()
    nobody = -nn.functional.logsigmoid(-logit) * probability.square() * (1 - heat) ** 4
    centres = (batch.weight * torch.where(centre, found, nobody)).sum()

    left, top, right, bottom = maps[:, 1:5].clamp(min=0).unbind(1)
    a, b, c, d = batch.maps[:, 1:5].unbind(1)
    own, wanted = (left + right) * (top + bottom), (a + c) * (b + d)
    width = (left.minimum(a) + right.minimum(c)).clamp(min=0)
    height = (top.minimum(b) + bottom.minimum(d)).clamp(min=0)
    both = width * height
    union = own + wanted - both
    around = (left.maximum(a) + right.maximum(c)) * (top.maximum(b) + bottom.maximum(d))
    overlap = both / union.clamp(min=SMALLEST_COST) - (around - union) / around.clamp(min=SMALLEST_COST)
    size = (a + c + b + d).clamp(min=1)[:, None]
    apart = (maps[:, 1:5] - batch.maps[:, 1:5]).abs().sum(dim=1) / size[:, 0]    # leads back from beyond the middle too
    sides = (counts * (SIDES_COUNT * (1 - overlap) + apart)).sum()
    loss = centres + sides
    return loss, loss.detach(), (batch.weight * centre).sum() + 1
