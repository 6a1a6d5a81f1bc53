"""Crops that are used once or twice, together with the teacher's maps.

Painted maps are hard to learn from: the image does not show where a hidden shoulder's maximum belongs, and most of a
small network's squared error is of that kind. A teacher's maps contain the uncertainty; the mean of its maps for a crop
and for the mirror image is better than one of them. They cost about as much as a training step, so they are computed
once for each crop. The crop is used again after some steps, mirrored and distorted in another way: batch divided by
`fresh` times on average. If that is more than twice, a small network memorises the crops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from posecv.skeletons import Skeleton
from training.batches import Batch, Batches
from training.data import network_input
from training.network import computed_in
from training.targets import flipped

STAYS = 64  # steps that a crop is there


class Replay:
    """Makes the batch of any step from crops of this step and of many before.

    Parameters
    ----------
    batches : Batches
        Makes the crops.
    teacher : callable
        A network with the same maps as the trained one, as a function from input to maps.
    trust : float
        Weight of the teacher's maps in the target; the rest is painted from the keypoints. Where there are no labels,
        only the teacher's maps count.
    fresh : int
        New crops in each step; a batch holds at most `STAYS` times as many.
    precision : torch.dtype
        The precision of the teacher.
    """

    def __init__(
        self, batches: Batches, teacher: Callable[[Tensor], Tensor], trust: float, fresh: int, precision: torch.dtype
    ) -> None:
        self.batches, self.teacher, self.trust, self.fresh, self.precision = batches, teacher, trust, fresh, precision
        size = batches.recipe.size
        device = batches.device
        channels = batches.skeleton.channels
        self.room = STAYS * fresh
        self.crops = torch.empty(self.room, 3, size, size, dtype=torch.uint8, device=device)
        self.maps = torch.empty(self.room, channels, size // 8, size // 8, dtype=torch.float16, device=device)
        self.made = 0
        self.new: Batch | None = None

    def fill(self, step: int) -> None:
        """Make the first crops; a run that continues at a step makes other crops than at its start."""
        while self.made < self.room:
            # Seeds are padded with zeros: without the 1 the first crops would be made again in this step's batch.
            rng = np.random.default_rng((self.batches.seed, step, 1 + self.made))
            self.add(self.batches.plain(rng, self.fresh))

    @torch.no_grad()
    def add(self, lessons: Batch) -> None:
        """Compute the teacher's maps, and store crops and maps in place of the oldest ones."""
        crops = lessons.crops.round()
        with computed_in(self.precision, crops.device):
            answer = seen(self.teacher, network_input(crops), self.batches.skeleton, self.batches.mirrored)
        painted = lessons.weight * (1 - self.trust)
        places = torch.arange(self.made, self.made + len(crops), device=crops.device) % self.room
        self.crops[places] = crops.to(torch.uint8)
        self.maps[places] = torch.lerp(answer, lessons.maps, painted).half()
        self.made += len(crops)

    def ask(self) -> None:
        """Compute the teacher's maps for the new crops of the last `batch`."""
        if self.new:
            self.add(self.new)

    def batch(self, step: int, count: int) -> Batch:
        """`count` crops to learn from; also makes a few new ones, which wait for `ask`."""
        rng = np.random.default_rng((self.batches.seed, step))
        self.new = self.batches.plain(rng, self.fresh)
        places = torch.from_numpy(rng.choice(min(self.made, self.room), count, replace=False))
        crops, maps = self.crops[places].float(), self.maps[places].float()
        half = count // 2
        maps[:half] = flipped(maps[:half], self.batches.skeleton, self.batches.mirrored)
        crops[:half] = crops[:half].flip(3)
        weight = maps.new_ones(count, 1, *maps.shape[2:])
        return self.batches.finished(Batch(crops, maps, weight), rng)


def seen(teacher: Callable[[Tensor], Tensor], crops: Tensor, skeleton: Skeleton, mirrored: Sequence[int]) -> Tensor:
    """(B, C, s/8, s/8) maps: the mean of a teacher's maps for (B, 3, s, s) crops and for their mirror images."""
    both = torch.cat([crops, crops.flip(3)]).contiguous(memory_format=torch.channels_last)
    here, there = teacher(both).float().chunk(2)
    return (here + flipped(there, skeleton, mirrored)) / 2
