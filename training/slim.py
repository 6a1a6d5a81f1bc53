"""Make a smaller network from a trained one: keep the best channels, and fit the weights between them.

    python -m training.slim light_body --wide ../shared/models/light-coco --shards cache/body --to start.caffemodel

Layer by layer from the end, it chooses the channels that predict the next layer best. Then, from the front, it fits
each 1x1 convolution by least squares: from the outputs of the small network so far to those of the wide network at the
chosen channels, so that errors do not add up (He, Zhang and Sun: Channel Pruning, arXiv:1707.06168, with a greedy
choice). Depthwise convolutions keep the filters of their channels. There is no training; it takes two minutes.

The wide network is Lightweight OpenPose, or one of ours with another shape. If that one is narrower, the new channels
get random weights; new channels of the side branch output nothing at first, and new layers of the head pass on their
input.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from posecv.formats.caffe import read_pair, write_caffemodel
from posecv.terminal import ends_unread
from training.batches import Batches, Recipe
from training.data import load_shards
from training.designs import (
    CONTEXT,
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

BLOCKS = (*EARLY, *DEEP)
CELLS = 160  # of a crop, drawn at random, whose channels are looked at
RIDGE = 1e-4  # of the mean square, added to each channel's
ROUNDS = 4  # of fitting what lies behind a ReLU
CALM = 0.3  # what new channels of the side branch's blocks add at first, as a share of what random weights would


@ends_unread
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the first weights of a network out of a wide one's.")
    parser.add_argument("network", choices=DESIGNS)
    parser.add_argument("--wide", type=Path, required=True, help="folder of Lightweight OpenPose's pair, or of ours")
    parser.add_argument("--shards", type=Path, required=True, help="what training.pack wrote; some of it is looked at")
    parser.add_argument("--crops", type=int, default=384)
    parser.add_argument("--to", type=Path, required=True, help="caffemodel to write")
    args = parser.parse_args()
    torch.manual_seed(0)
    design, recipe = DESIGNS[args.network], RECIPES[args.network]
    if not (isinstance(design, Design) and isinstance(recipe, Recipe)):
        raise SystemExit(f"{args.network} looks at one person's crop: nothing wide has its layers")
    wide = CaffeNet(*read_pair(args.wide / "pose.prototxt", args.wide / "pose.caffemodel")).eval()
    pictures = [picture for picture in load_shards(args.shards, share=0.1) if picture.split == "train"]
    batches = Batches(pictures, design.skeleton, mirrored(design.skeleton), recipe, torch.device("cpu"))
    crops = [batches.batch(step, 16).crops for step in range(args.crops // 16)]
    with torch.inference_mode():
        slim = slimmed(wide, design, crops)
    args.to.write_bytes(write_caffemodel(slim.weights()))


class Looks:
    """The outputs of any layer of a network, at the same random cells of the same crops."""

    def __init__(self, crops: Sequence[Tensor], cells: int = CELLS) -> None:
        self.crops = [batch.contiguous(memory_format=torch.channels_last) for batch in crops]
        self.count = cells

    def at(self, network: CaffeNet, top: str, kernel: int = 1, stride: int = 1) -> Tensor:
        """(n, C) values of a top; with a kernel of 3, (n, 9 C) of the cells round each, as a convolution takes them."""
        found = []
        for number, batch in enumerate(self.crops):
            with torch.autocast("cpu", torch.bfloat16, enabled=False):
                values = network.tops(batch, [top])[top]
            if kernel == 3:
                values = torch.nn.functional.unfold(values, 3, padding=1, stride=stride)
            values = values.flatten(2)
            generator = torch.Generator().manual_seed(number)
            cells = torch.stack([torch.randperm(values.shape[2], generator=generator)[: self.count] for _ in batch])
            found.append(values.gather(2, cells[:, None].expand(-1, values.shape[1], -1)).transpose(1, 2).flatten(0, 1))
        return torch.cat(found)

    def before(self, network: CaffeNet, layer: str) -> Tensor:
        """(n, C) or (n, 9 C) values that a convolution computes with."""
        convolution = network.convolutions[layer]
        return self.at(network, network.bottoms[layer], convolution.kernel_size[0], convolution.stride[0])

    def behind(self, network: CaffeNet, layer: str) -> Tensor:
        """(n, C) values that a convolution over all channels gives, before its ReLU."""
        convolution = network.convolutions[layer]
        return self.before(network, layer) @ convolution.weight.flatten(1).T + convolution.bias


def slimmed(wide: CaffeNet, design: Design, crops: Sequence[Tensor]) -> CaffeNet:
    """The network of a design, with weights from a wide one."""
    slim = CaffeNet(design.prototxt("slim"))
    slim.load_weights(wide.weights(), strict=False)
    looks = Looks(crops)
    ours = FEATURES in wide.channels
    features = FEATURES if ours else TEACHERS_FEATURES
    chosen = _channels(slim, wide, looks, features)
    before, whole = list(range(slim.channels["conv1"])), True
    for block in BLOCKS:
        layer, kept = f"conv{block}/sep", chosen[block]
        whole = whole and slim.channels[layer] == wide.channels[layer]
        if not whole:
            own, other = slim.convolutions[f"conv{block}/dw"], wide.convolutions[f"conv{block}/dw"]
            own.weight[: len(before)] = other.weight[before]
            own.bias[: len(before)] = other.bias[before]
            _fit(slim, layer, looks, looks.behind(wide, layer)[:, kept], relu=True)
        before = kept
    if not (whole and ours):
        _fit(slim, FEATURES, looks, looks.at(wide, features))
    if ours:
        _keep_context(slim, wide, looks)
        for layer in HEAD[: design.head]:
            if layer not in wide.convolutions:
                nn.init.dirac_(slim.convolutions[layer].weight)
        if slim.channels["wide"] < wide.channels["wide"]:
            _fit_wide(slim, wide, looks, looks.behind(wide, "wide"), looks.at(wide, OUTPUT))
    else:
        _fit_head(slim, wide, looks, HEAD[: design.head])
    return slim


def _keep_context(slim: CaffeNet, wide: CaffeNet, looks: Looks) -> None:
    """Copy the weights of a narrower or shorter side branch; new channels and blocks change nothing at first."""
    for name, own in slim.convolutions.items():
        if not name.startswith("context") or own.bias is None:
            continue
        if name not in wide.convolutions:
            own.weight *= not name.endswith("/2")
            continue
        weight, bias = wide.convolutions[name].weight, wide.convolutions[name].bias
        if isinstance(own, nn.ConvTranspose2d) and weight.shape[2:] == (1, 1):
            weight = weight.transpose(0, 1).expand(-1, -1, 2, 2)  # four cells alike, where it was interpolated
        rows, columns = weight.shape[:2]
        if name.endswith("/2"):
            own.weight[rows:] *= CALM
        own.weight[: None if name == CONTEXT else rows] = 0
        own.weight[:rows, :columns] = weight
        own.bias[: len(bias)] = bias
    if slim.bottoms["context"] != wide.bottoms["context"]:
        _fit(slim, "context", looks, looks.behind(wide, "context"), relu=True)


def _fit_head(slim: CaffeNet, wide: CaffeNet, looks: Looks, head: Sequence[str]) -> None:
    """The layers after the features, where the side branch outputs nothing, and the maps if they are the same."""
    if CONTEXT in slim.convolutions:
        slim.convolutions[CONTEXT].weight.zero_()
    for layer in head:
        _fit(slim, layer, looks, looks.behind(wide, layer), relu=True)
    if slim.channels[OUTPUT] != wide.channels[OUTPUT]:
        return
    # The two branches' last hidden layers, reduced to one.
    hidden = torch.cat([looks.behind(wide, f"conv5_4_CPM_L{branch}") for branch in (1, 2)], dim=1)
    maps = torch.cat([looks.at(wide, f"conv5_5_CPM_L{branch}") for branch in (2, 1)], dim=1)
    _fit_wide(slim, wide, looks, hidden, maps)


def _fit_wide(slim: CaffeNet, wide: CaffeNet, looks: Looks, hidden: Tensor, maps: Tensor) -> None:
    """The last hidden layer, of the (n, C) channels that explain (n, D) maps best, and the wide network's last maps."""
    kept = choose(hidden.clamp(min=0), maps, slim.channels["wide"])
    _fit(slim, "wide", looks, hidden[:, kept], relu=True)
    _fit(slim, OUTPUT, looks, looks.at(wide, OUTPUT))


def _channels(slim: CaffeNet, wide: CaffeNet, looks: Looks, features: str) -> dict[str, list[int]]:
    """For each block the wide network's channels to keep, chosen from the last block to the first."""
    chosen: dict[str, list[int]] = {}
    for block, following in zip(reversed(BLOCKS), [None, *reversed(BLOCKS[1:])], strict=True):
        layer = f"conv{block}/sep"
        count, full = slim.channels[layer], wide.channels[layer]
        if count >= full:
            chosen[block] = list(range(full))
        elif following is None:
            chosen[block] = choose(looks.at(wide, layer), looks.at(wide, features), count)
        else:
            # A channel serves the next block through its own depthwise filter.
            wanted = looks.behind(wide, f"conv{following}/sep")[:, chosen[following]]
            chosen[block] = choose(looks.at(wide, f"conv{following}/dw"), wanted, count)
    return chosen


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


def _fit(slim: CaffeNet, layer: str, looks: Looks, wanted: Tensor, *, relu: bool = False) -> None:
    """Weights and bias of a layer's first channels by least squares; where a ReLU gives 0, all below is as right."""
    inputs = looks.before(slim, layer)
    target = wanted.double()
    x = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1).double()
    gram = x.T @ x
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    factor = torch.linalg.cholesky(gram)
    for _ in range(ROUNDS if relu else 1):
        solution = torch.cholesky_solve(x.T @ target, factor)
        if relu:
            target = torch.where(wanted > 0, wanted.double(), (x @ solution).clamp(max=0))
    convolution, count = slim.convolutions[layer], wanted.shape[1]
    convolution.weight[:count] = solution[:-1].T.reshape(count, *convolution.weight.shape[1:])
    convolution.bias[:count] = solution[-1]
    given = x @ solution
    if relu:
        given, wanted = given.clamp(min=0), wanted.clamp(min=0)
    share = (given - wanted).square().sum() / (wanted - wanted.mean(dim=0)).square().sum()
    print(f"{layer}: {float(share):.3f} of the variance unexplained", flush=True)


if __name__ == "__main__":
    main()
