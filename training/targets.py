"""The maps that a network should output: Gaussians at keypoints, unit vectors along limbs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from posecv.skeletons import Skeleton

STRIDE = 8
SIGMA = 7 / STRIDE  # cells; Lightweight OpenPose's bump, 7 pixels
THICKNESS = 1.0  # cells on either side of a limb's line


def paint(
    people: Tensor, owner: Tensor, count: int, size: tuple[int, int], skeleton: Skeleton, sigma: float = SIGMA
) -> Tensor:
    """Maps of everybody.

    Parameters
    ----------
    people : (P, K, 3) float tensor
        x, y in pixels of the crops, the centre of the first one 0, 0; height of the Gaussian, 0 for not known.
    owner : (P,) int tensor
        The crop that each person is in.
    count : int
        Number of crops.
    size : (int, int)
        Height and width of a crop in pixels.
    skeleton : Skeleton
    sigma : float
        Standard deviation of the Gaussians, in cells.

    Returns
    -------
    (count, channels, height / 8, width / 8) float tensor
        Where people overlap, a heatmap contains the highest Gaussian, a field the mean of its limbs.
    """
    height, width = (side // STRIDE for side in size)
    maps = people.new_zeros(count, skeleton.channels, height, width)
    cells = (people[..., :2] + 0.5) / STRIDE - 0.5
    known = people[..., 2]
    y, x = (torch.arange(side, device=people.device, dtype=people.dtype) for side in (height, width))
    across = torch.exp(-((x - cells[..., :1]) ** 2) / (2 * sigma**2))              # (P, K, w)
    down = torch.exp(-((y - cells[..., 1:]) ** 2) / (2 * sigma**2)) * known[..., None]
    heat = maps[:, : len(skeleton.keypoints)]
    bumps = down[..., :, None] * across[..., None, :]                             # (P, K, h, w)
    heat.scatter_reduce_(0, owner[:, None, None, None].expand_as(bumps), bumps, "amax")
    maps[:, skeleton.heatmaps - 1] = 1 - heat.amax(dim=1)
    if not skeleton.paf_channels:
        return maps
    starts, ends = (list(side) for side in zip(*skeleton.limbs, strict=True))
    sure = torch.minimum(known[:, starts], known[:, ends])                        # (P, L)
    vectors = cells[:, ends] - cells[:, starts]
    lengths = vectors.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    units = vectors / lengths
    dx = x - cells[:, starts, :1]                                                 # (P, L, w)
    dy = y - cells[:, starts, 1:]                                                 # (P, L, h)
    along = dx[..., None, :] * units[..., 0, None, None] + dy[..., :, None] * units[..., 1, None, None]
    beside = dx[..., None, :] * units[..., 1, None, None] - dy[..., :, None] * units[..., 0, None, None]
    on = (beside.abs() <= THICKNESS) & (along >= -THICKNESS / 2) & (along <= lengths[..., None] + THICKNESS / 2)
    share = on * sure[..., None, None]                                            # (P, L, h, w)
    limbs = people.new_zeros(count, len(starts), height, width).index_add_(0, owner, (share > 0).to(share.dtype))
    for axis in range(2):
        field = people.new_zeros(limbs.shape).index_add_(0, owner, share * units[..., axis, None, None])
        maps[:, [channel + axis for channel in skeleton.paf_channels]] = field / limbs.clamp(min=1)
    return maps


def flipped(maps: Tensor, skeleton: Skeleton, mirrored: Sequence[int]) -> Tensor:
    """(B, C, h, w) maps of the mirrored image: left and right exchanged, the fields' x reversed."""
    order, sign = list(range(maps.shape[1])), [1.0] * maps.shape[1]
    order[: len(mirrored)] = mirrored
    channels = dict(zip(skeleton.limbs, skeleton.paf_channels, strict=False))
    for (start, end), channel in channels.items():
        source = channels[mirrored[start], mirrored[end]]
        order[channel : channel + 2] = source, source + 1
        sign[channel] = -1.0
    return maps[:, order].flip(3) * maps.new_tensor(sign)[:, None, None]


def heard(boxes: Tensor, owner: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    """(count, 1, h, w) weights: 0 in the cells of the boxes to ignore (x, y, width, height in pixels), 1 elsewhere."""
    height, width = (side // STRIDE for side in size)
    x = (torch.arange(width, device=boxes.device) + 0.5) * STRIDE
    y = (torch.arange(height, device=boxes.device) + 0.5) * STRIDE
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    across, down = (x > left[:, None]) & (x < right[:, None]), (y > top[:, None]) & (y < bottom[:, None])
    inside = across[:, None] & down[..., None]
    hidden = torch.zeros(count, height, width, device=boxes.device).index_add_(0, owner, inside.float())
    return (hidden == 0).float()[:, None]
