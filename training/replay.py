"""Crops that are learnt from once or twice, together with what the teacher sees in them.

Painted maps are hard to learn from: where a shoulder is hidden, nobody can say from the image where its bump must
be, and most of a small network's squared error is of that kind. A teacher's maps say how sure one can be, the mean of
what it sees in a crop and in its mirror image better than one look. They cost about as much as a step of the network
that learns, so each crop's are made once, and the crop comes back after some steps, mirrored and disturbed anew: batch
divided by `fresh` times on average. More than twice, and a small network learns the crops by heart.
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
        A network with the same maps as the one that learns, from input to maps.
    trust : float
        Share of the teacher's maps in what is learnt; the rest is painted from the keypoints. Where the labels say
        nothing, the teacher's maps count alone.
    fresh : int
        New crops a step; a batch holds at most `STAYS` times as many.
    precision : torch.dtype
        That the teacher computes in.
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
        """Make the first crops; a run that goes on at a step makes others than it began with."""
        while self.made < self.room:
            # Seeds are padded with zeros: without the 1 the first crops would be made again in this step's batch.
            rng = np.random.default_rng((self.batches.seed, step, 1 + self.made))
            self.add(self.batches.plain(rng, self.fresh))

    @torch.no_grad()
    def add(self, lessons: Batch) -> None:
        """Ask the teacher, and keep crops and maps; the oldest ones go."""
        crops = lessons.crops.round()
        with computed_in(self.precision, crops.device):
            answer = seen(self.teacher, network_input(crops), self.batches.skeleton, self.batches.mirrored)
        painted = lessons.weight * (1 - self.trust)
        places = torch.arange(self.made, self.made + len(crops), device=crops.device) % self.room
        self.crops[places] = crops.to(torch.uint8)
        self.maps[places] = torch.lerp(answer, lessons.maps, painted).half()
        self.made += len(crops)

    def ask(self) -> None:
        """Ask the teacher about the crops that the last `batch` made beside."""
        if self.new:
            self.add(self.new)

    def batch(self, step: int, count: int) -> Batch:
        """`count` crops to learn from; makes a few new ones too, which wait for `ask`."""
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
    """(B, C, s/8, s/8) maps: the mean of what a teacher sees in (B, 3, s, s) crops and in their mirror images."""
    both = torch.cat([crops, crops.flip(3)]).contiguous(memory_format=torch.channels_last)
    here, there = teacher(both).float().chunk(2)
    return (here + flipped(there, skeleton, mirrored)) / 2
