"""Begin with a wide trained network: keep the channels that matter, and fit the weights between them.

    python -m training.slim light_body --wide ../shared/models/light-coco --shards cache/body --to start.caffemodel

Layer by layer from the end, the channels are chosen that predict the next layer best; then, from the front, each 1x1
convolution is fitted by least squares to give what the wide network has at the chosen channels, from what the slim one
has so far, so that errors do not add up (He, Zhang and Sun: Channel Pruning, arXiv:1707.06168, with a greedy choice).
Depthwise convolutions keep the filters of their channels. Nothing is trained here; it takes two minutes.

The wide network is Lightweight OpenPose, or one of ours of an earlier shape, whose side branch may be narrower too: its
new channels say nothing at first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from posecv.caffe import read_pair, write_caffemodel
from training.batches import Batches
from training.data import load_shards
from training.designs import (
    CONTEXT,
    CONTEXT_BLOCKS,
    DEEP,
    DESIGNS,
    EARLY,
    FEATURES,
    HEAD,
    OUTPUT,
    TEACHERS_FEATURES,
    Design,
)
from training.network import CaffeNet
from training.recipes import RECIPES, mirrored

CELLS = 160  # of a crop, drawn at random, whose channels are looked at
RIDGE = 1e-4  # of the mean square, added to each channel's
ROUNDS = 4  # of fitting what lies behind a ReLU
CALM = 0.3  # what new channels of the side branch's blocks add at first, as a share of what random weights would


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the first weights of a network out of a wide one's.")
    parser.add_argument("network", choices=DESIGNS)
    parser.add_argument("--wide", type=Path, required=True, help="folder of Lightweight OpenPose's pair, or of ours")
    parser.add_argument("--shards", type=Path, required=True, help="what training.pack wrote; some of it is looked at")
    parser.add_argument("--crops", type=int, default=320)
    parser.add_argument("--to", type=Path, required=True, help="caffemodel to write")
    args = parser.parse_args()
    torch.manual_seed(0)
    design = DESIGNS[args.network]
    wide = CaffeNet(*read_pair(args.wide / "pose.prototxt", args.wide / "pose.caffemodel")).eval()
    pictures = [picture for picture in load_shards(args.shards, share=0.1) if picture.split == "train"]
    batches = Batches(pictures, design.skeleton, mirrored(design.skeleton), RECIPES[args.network], torch.device("cpu"))
    crops = [batches.batch(step, 16).crops for step in range(args.crops // 16)]
    with torch.inference_mode():
        slim = slimmed(wide, design, crops)
    args.to.write_bytes(write_caffemodel(slim.weights()))


class Looks:
    """What a network has at the same random cells of the same crops, at any layer."""

    def __init__(self, crops: Sequence[Tensor], cells: int = CELLS) -> None:
        self.crops = [batch.contiguous(memory_format=torch.channels_last) for batch in crops]
        self.count = cells

    def at(self, network: CaffeNet, top: str, kernel: int = 1) -> Tensor:
        """(n, C) values of a top; with a kernel of 3, (n, 9 C) of the cells round each, as a convolution takes them."""
        found = []
        for number, batch in enumerate(self.crops):
            with torch.autocast("cpu", torch.bfloat16, enabled=False):
                values = network.tops(batch, [top])[top]
            generator = torch.Generator().manual_seed(number)
            places = values[0, 0].numel()
            cells = torch.stack([torch.randperm(places, generator=generator)[: self.count] for _ in batch])
            if kernel == 3:
                values = torch.nn.functional.unfold(values, 3, padding=1)
            values = values.flatten(2)
            found.append(values.gather(2, cells[:, None].expand(-1, values.shape[1], -1)).transpose(1, 2).flatten(0, 1))
        return torch.cat(found)


def slimmed(wide: CaffeNet, design: Design, crops: Sequence[Tensor]) -> CaffeNet:
    """The network of a design with weights after those of a wide one."""
    slim = CaffeNet(design.prototxt("slim"))
    slim.load_weights(wide.weights(), strict=False)
    looks = Looks(crops)
    ours = FEATURES in wide.channels
    features = FEATURES if ours else TEACHERS_FEATURES
    chosen = _channels(wide, slim, looks, features)
    before, whole = list(range(slim.channels["conv1"])), True
    for block in (*EARLY, *DEEP):
        kept, layer = chosen[block], f"conv{block}/sep"
        whole = whole and len(kept) == wide.channels[layer]
        if not whole:
            own, other = slim.convolutions[f"conv{block}/dw"], wide.convolutions[f"conv{block}/dw"]
            own.weight.copy_(other.weight[before])
            own.bias.copy_(other.bias[before])
            wanted = _before_relu(wide, looks, f"conv{block}")[:, kept]
            _fit(slim, layer, looks.at(slim, f"conv{block}/dw"), wanted, relu=True)
            _tell(layer, looks.at(slim, layer), wanted.clamp(min=0))
        before = kept
    if not (whole and ours):
        wanted = looks.at(wide, features)
        _fit(slim, FEATURES, looks.at(slim, f"conv{DEEP[-1]}/sep"), wanted)
        _tell(FEATURES, looks.at(slim, FEATURES), wanted)
    if ours:
        _widen(slim, wide)
        return slim
    if CONTEXT in slim.convolutions:
        slim.convolutions[CONTEXT].weight.zero_()
    bottom = FEATURES
    for layer in HEAD[: design.head]:
        inputs = looks.at(wide, TEACHERS_FEATURES if bottom == FEATURES else bottom, 3)
        wanted = inputs @ wide.convolutions[layer].weight.flatten(1).T + wide.convolutions[layer].bias
        _fit(slim, layer, looks.at(slim, bottom, 3), wanted, relu=True)
        _tell(layer, looks.at(slim, layer), wanted.clamp(min=0))
        bottom = layer
    if design.skeleton.channels == wide.channels["net_output"]:
        _fit_maps(slim, wide, looks, bottom)
    return slim


def _widen(slim: CaffeNet, wide: CaffeNet) -> None:
    """Give the side branch what a narrower one knows; its new channels change neither the old ones nor the features."""
    blocks = [f"context{number}{part}" for number in range(1, CONTEXT_BLOCKS + 1) for part in ("", "/2")]
    for name in ("context", *blocks, CONTEXT):
        own, other = slim.convolutions[name], wide.convolutions[name]
        outputs, inputs = other.weight.shape[:2]
        if name.endswith("/2"):
            own.weight[outputs:] *= CALM
        own.weight[:outputs] = 0
        own.weight[:outputs, :inputs] = other.weight
        own.bias[:outputs] = other.bias


def _fit_maps(slim: CaffeNet, wide: CaffeNet, looks: Looks, bottom: str) -> None:
    """The two branches' last hidden layers, reduced to one, and the maps from it."""
    hidden = ("conv5_4_CPM_L1", "conv5_4_CPM_L2")
    both = torch.cat([looks.at(wide, layer) for layer in hidden], dim=1)
    maps = torch.cat([looks.at(wide, f"conv5_5_CPM_L{branch}") for branch in (2, 1)], dim=1)
    kept = choose(both, maps, slim.convolutions["wide"].out_channels)
    weight = torch.cat([wide.convolutions[layer].weight.flatten(1) for layer in hidden])[kept]
    bias = torch.cat([wide.convolutions[layer].bias for layer in hidden])[kept]
    wanted = looks.at(wide, "conv5_3_CPM_L1") @ weight.T + bias
    _fit(slim, "wide", looks.at(slim, bottom), wanted, relu=True)
    # The teacher's last word, not its first.
    final = looks.at(wide, "net_output")
    _fit(slim, OUTPUT, looks.at(slim, "wide"), final)
    _tell(OUTPUT, looks.at(slim, OUTPUT), final)


def _channels(wide: CaffeNet, slim: CaffeNet, looks: Looks, features: str) -> dict[str, list[int]]:
    """For each block the channels to keep, chosen from the last block to the first."""
    blocks = [*EARLY, *DEEP]
    chosen: dict[str, list[int]] = {}
    for block, following in zip(reversed(blocks), [None, *reversed(blocks[1:])], strict=True):
        count, full = (network.channels[f"conv{block}/sep"] for network in (slim, wide))
        if count == full:
            chosen[block] = list(range(full))
            continue
        # A channel serves the next block through its own depthwise filter.
        if following is None:
            inputs, wanted = looks.at(wide, f"conv{block}/sep"), looks.at(wide, features)
        else:
            inputs = looks.at(wide, f"conv{following}/dw")
            wanted = _before_relu(wide, looks, f"conv{following}")[:, chosen[following]]
        chosen[block] = choose(inputs, wanted, count)
    return chosen


def _before_relu(wide: CaffeNet, looks: Looks, block: str) -> Tensor:
    layer = wide.convolutions[f"{block}/sep"]
    return looks.at(wide, f"{block}/dw") @ layer.weight.flatten(1).T + layer.bias


def choose(inputs: Tensor, wanted: Tensor, count: int) -> list[int]:
    """The `count` columns of (n, C) inputs that, one after the other, explain most of (n, D) wanted values."""
    x = (inputs - inputs.mean(dim=0)).double()
    y = (wanted - wanted.mean(dim=0)).double()
    gram, cross = x.T @ x, x.T @ y
    floor = 1e-6 * float(gram.diagonal().mean())
    kept: list[int] = []
    for _ in range(count):
        gain = cross.square().sum(dim=1) / gram.diagonal().clamp(min=floor)
        gain[gram.diagonal() < floor] = 0
        gain[kept] = -1
        best = int(gain.argmax())
        kept.append(best)
        row, power = gram[best].clone(), max(float(gram[best, best]), floor)
        cross = cross - torch.outer(row, cross[best]) / power
        gram = gram - torch.outer(row, row) / power
    return sorted(kept)


def _fit(slim: CaffeNet, layer: str, inputs: Tensor, wanted: Tensor, *, relu: bool = False) -> None:
    """Weights and bias of a convolution by least squares; behind a ReLU, all that is below zero is equally right."""
    target = wanted.double()
    x = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1).double()
    gram = x.T @ x
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    factor = torch.linalg.cholesky(gram)
    for _ in range(ROUNDS if relu else 1):
        solution = torch.cholesky_solve(x.T @ target, factor)
        if relu:
            target = torch.where(wanted > 0, wanted.double(), (x @ solution).clamp(max=0))
    convolution = slim.convolutions[layer]
    convolution.weight.copy_(solution[:-1].T.reshape(convolution.weight.shape))
    convolution.bias.copy_(solution[-1])


def _tell(layer: str, values: Tensor, wanted: Tensor) -> None:
    share = (values - wanted).square().sum() / (wanted - wanted.mean(dim=0)).square().sum()
    print(f"{layer}: {float(share):.3f} of the variance unexplained", flush=True)


if __name__ == "__main__":
    main()
