"""Muon (Keller Jordan and others, 2024): the mean gradient of a layer with all singular values made equal.

With Adam, a layer learns mainly the dominant direction of its gradient; with Muon, all directions at the same speed.
The factor of Moonlight (arXiv:2502.16982) matches the rate to Adam's, so that both optimisers share one schedule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
QUINTIC = 3.4445, -4.7750, 2.0315  # of the iteration; five rounds bring singular values to about 1
ROUNDS = 5
ADAMS = 0.2  # root mean square of an update of Adam's, as a share of its rate


class Muon(torch.optim.Optimizer):
    """Optimiser for the weights of convolutions over several channels, each as a matrix with a row for each output."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Move the weights."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight)
                state["mean"].mul_(MOMENTUM).add_(weight.grad)
                ahead = weight.grad + MOMENTUM * state["mean"]
                update = orthogonal(ahead.reshape(len(weight), -1))
                weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * ADAMS * math.sqrt(max(update.shape)))


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximate the nearest matrix with orthonormal rows or columns, by Newton and Schulz's iteration in bfloat16."""
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)
