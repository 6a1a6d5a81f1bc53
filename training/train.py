"""Train one of our networks, on a CPU or a GPU; a run can stop and continue at any checkpoint.

    python -m training.train light_body --shards cache/body --start ../shared/models/light-coco --to runs/light_body

The folder `--to` gets `checkpoint.pt` (all that is needed to go on), `log.tsv` (a line every hundred steps: step, loss,
crops a second and, every five hundred, the loss on held-out images) and `weights.caffemodel`, which `training.export`
makes a model of. The loss is a share of the loss of predicting nobody: a collapsed network has 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from posecv.degrade import EFFECTS
from posecv.formats.caffe import read_caffemodel, read_pair, write_caffemodel
from posecv.terminal import ends_unread
from training.batches import Batch, Batches
from training.boxes import BoxBatches, BoxRecipe
from training.data import Picture, load_shards
from training.designs import CENTRE, CONTEXT, DESIGNS, LOGITS, OUTPUT, SIDES, Boxes, Design, Residual
from training.loss import boxes_cost, cross_entropy, squared_error
from training.muon import Muon
from training.network import CaffeNet, computed_in
from training.persons import PersonRecipe, Persons
from training.recipes import RECIPES, mirrored
from training.replay import Replay

AVERAGED = 0.4  # of a run's steps are in the running mean of the weights, the last ones most
RARE = -4.0  # before a sigmoid: a keypoint is in one cell of fifty
HALF_A_BOX = 4.0  # cells from a centre to a side, to begin with
CALIBRATED = 128  # crops whose means and variances normalisations begin with
LOG_EVERY = 100
JUDGE_EVERY = 500
SAVE_SECONDS = 120
# glibc gives the memory of large arrays back to the system at once, and zeroing it anew takes a third of the time.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(1 << 28),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


@ends_unread
def main() -> None:
    """The command line."""
    args = _arguments()
    device = torch.device(args.device)
    torch.manual_seed(args.seed)
    design = DESIGNS[args.network]
    message = design.prototxt(args.network)
    network = CaffeNet(message, normalised_except=design.learnt if args.normalise else None)
    if args.start:
        untouched = network.load_weights(_weights(args.start), strict=False)
        print(f"new layers: {', '.join(untouched)}", flush=True)
    _quiet(network, design)
    network.to(device, memory_format=torch.channels_last)

    pictures = load_shards(args.shards)
    parts = {part: [picture for picture in pictures if picture.split == part] for part in ("train", "val")}
    print({part: len(some) for part, some in parts.items()}, flush=True)
    batches, held_out, size = _batches(args, design, parts["train"], parts["val"], device)
    precision = _precision(args.precision, device, network, size)
    print(f"computes in {str(precision).removeprefix('torch.')}", flush=True)
    if args.normalise and args.start:
        network.calibrate(batches.batch(0, CALIBRATED).crops.contiguous(memory_format=torch.channels_last))
    run = Run(network, args, precision)
    replay = None
    if args.teacher:
        if not isinstance(batches, Batches):
            raise SystemExit(f"--teacher: no teacher has the maps of {args.network}")
        teacher = CaffeNet(*read_pair(args.teacher / "pose.prototxt", args.teacher / "pose.caffemodel"))
        teacher.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        replay = Replay(batches, teacher, args.trust, args.fresh, run.precision)
        replay.fill(run.step)
    run.to_end(replay or batches, held_out)


Maker = Batches | Persons | BoxBatches
AnyDesign = Design | Residual | Boxes


def _batches(
    args: argparse.Namespace, design: AnyDesign, taught: list[Picture], held_out: list[Picture], device: torch.device
) -> tuple[Maker, Maker, tuple[int, int]]:
    """What makes the batches to learn from and those to be judged by, and the size of a crop."""
    recipe = RECIPES[args.network]
    later = 1 << 20  # another seed
    if isinstance(recipe, BoxRecipe):
        return (
            BoxBatches(taught, recipe, device, seed=args.seed),
            BoxBatches(held_out, recipe, device, seed=later),
            recipe.size,
        )
    assert not isinstance(design, Boxes)
    opposite = mirrored(design.skeleton)
    if isinstance(recipe, PersonRecipe):
        assert isinstance(design, Residual)
        recipe = replace(recipe, size=_shrunk(design.size, args.shrink))
        return (
            Persons(taught, design.skeleton, opposite, recipe, device, seed=args.seed),
            Persons(held_out, design.skeleton, opposite, recipe, device, seed=later),
            recipe.size,
        )
    return (
        Batches(taught, design.skeleton, opposite, recipe, device, seed=args.seed, effect=args.effect),
        Batches(held_out, design.skeleton, opposite, recipe, device, seed=later, effect=args.effect),
        (recipe.size, recipe.size),
    )


def _cost_of(design: AnyDesign) -> Callable[[Tensor, Batch], tuple[Tensor, Tensor, Tensor]]:
    """What maps cost."""
    if isinstance(design, Boxes):
        return boxes_cost
    cost = cross_entropy if isinstance(design, Residual) else squared_error
    return partial(cost, background=design.skeleton.heatmaps - 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train one of the project's networks.")
    parser.add_argument("network", choices=DESIGNS)
    parser.add_argument("--shards", type=Path, required=True, help="what training.pack wrote")
    parser.add_argument("--to", type=Path, required=True, help="folder of checkpoint and log; goes on where it stopped")
    parser.add_argument("--start", type=Path, help="folder of a pair, or a caffemodel, to begin with")
    parser.add_argument("--teacher", type=Path, help="folder of a pair with the same maps, which are learnt too")
    parser.add_argument("--trust", type=float, default=0.5, help="share of the teacher's maps in what is learnt")
    parser.add_argument("--fresh", type=int, default=8, help="new crops a step where a teacher looks at them")
    parser.add_argument("--frozen", nargs="*", default=[], metavar="LAYER", help="beginnings of names of fixed layers")
    parser.add_argument("--thaw", type=float, default=2.0, help="share of the steps after which nothing is fixed")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=6e-4, help="highest learning rate")
    parser.add_argument("--muon", type=float, help="highest learning rate of the layers' matrices (default: --rate)")
    parser.add_argument("--normalise", action="store_true", help="normalise layers over each batch while they learn")
    parser.add_argument("--hold", type=float, default=0, help="share of the steps at the full rate, before it falls")
    parser.add_argument("--averaged", type=float, default=math.inf, help="at most so many steps in the running mean")
    parser.add_argument("--shrink", type=float, default=1, help="crops of one person: share of the size that ships")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effect", choices=EFFECTS, help="train on images degraded so")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop then, with a checkpoint")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("auto", "bfloat16", "float32"), default="auto")
    return parser.parse_args()


def _weights(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    return read_caffemodel((path / "pose.caffemodel" if path.is_dir() else path).read_bytes())


def _shrunk(size: tuple[int, int], share: float) -> tuple[int, int]:
    """A share of a size, in whole sixteenths."""
    height, width = (16 * round(share * side / 16) for side in size)
    return height, width


def _quiet(network: CaffeNet, design: AnyDesign) -> None:
    """Let maps begin near nobody: small last weights, 1 for the background; from there training does not collapse."""
    layers = network.convolutions
    fresh = not any(layers[name].bias.any() for name in design.learnt)
    if fresh:
        for name in design.learnt:
            nn.init.normal_(layers[name].weight, std=0.002)
    if fresh and isinstance(design, Boxes):
        nn.init.constant_(layers[CENTRE].bias, RARE)
        nn.init.constant_(layers[SIDES].bias, HALF_A_BOX)
    elif fresh:
        assert not isinstance(design, Boxes)
        maps, background = layers[design.learnt[0]], design.skeleton.heatmaps - 1
        linear = isinstance(design, Design)
        nn.init.constant_(maps.bias, 0 if linear else RARE)
        nn.init.constant_(maps.bias[background : background + 1], 1 if linear else -RARE)
    if fresh and not isinstance(design, Design):  # each block begins as the way past it
        for name, layer in layers.items():
            if name.endswith("/2"):
                last = network.normalisations[name] if name in network.normalisations else layer  # noqa: SIM401
                nn.init.zeros_(last.weight)
    if CONTEXT in layers and not layers[CONTEXT].bias.any():
        nn.init.zeros_(layers[CONTEXT].weight)


def _precision(wanted: str, device: torch.device, network: CaffeNet, size: tuple[int, int]) -> torch.dtype:
    """bfloat16 where the machine is faster in it; some emulate it and take minutes a step."""
    if wanted != "auto":
        return getattr(torch, wanted)
    if device.type == "cuda":
        return torch.bfloat16
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        return torch.float32
    crops = torch.zeros(2, 3, *size).contiguous(memory_format=torch.channels_last)
    seconds = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    for _ in range(3):  # in turn, and the least counts: other work on the machine comes and goes
        for precision in seconds:
            begin = time.perf_counter()
            with computed_in(precision, device):
                network(crops).float().sum().backward()
            seconds[precision] = min(seconds[precision], time.perf_counter() - begin)
    network.zero_grad()
    return min(seconds, key=seconds.__getitem__)


Learnt = Maker | Replay


class Run:
    """A training run: network, its running mean, optimiser, step."""

    def __init__(self, network: CaffeNet, args: argparse.Namespace, precision: torch.dtype) -> None:
        self.network, self.args, self.precision = network, args, precision
        self.device = torch.device(args.device)
        self.design = DESIGNS[args.network]
        self.cost = _cost_of(self.design)
        self.step = 0
        self.trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        self.frozen = [name for name in self.trained if name.split(".")[1].startswith(tuple(args.frozen or ["\0"]))]
        self._thaw()
        parameters = dict(network.named_parameters())
        matrices = [name for name in self.trained if _is_matrix(name, parameters[name])]
        others = [parameters[name] for name in self.trained if name not in matrices]
        adam = torch.optim.Adam(others, lr=args.rate, betas=(0.9, 0.99))
        self.optimisers = Muon([parameters[name] for name in matrices], args.rate), adam
        self.mean = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.path = args.to / "checkpoint.pt"
        args.to.mkdir(parents=True, exist_ok=True)
        told = {key: str(value) for key, value in vars(args).items()}
        (args.to / "arguments.json").write_text(json.dumps(told, indent=1))
        if self.path.exists():
            saved = torch.load(self.path, map_location=self.device, weights_only=True)
            self.network.load_state_dict(saved["network"])
            for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
            self.mean, self.step = saved["mean"], saved["step"]
            print(f"goes on at step {self.step}", flush=True)

    def to_end(self, batches: Learnt, held_out: Maker) -> None:
        """Train until the last step or the last minute."""
        args = self.args
        begin = saved = logged = time.monotonic()
        first = self.step
        total = nobody = 0.0
        for batch in self._ahead(batches):
            self._thaw()
            a, b = self._learn(batch)
            total, nobody, self.step = total + a, nobody + b, self.step + 1
            now = time.monotonic()
            last = self.step == args.steps or now - begin > 60 * args.minutes
            if self.step % LOG_EVERY == 0 or last:
                rate = args.batch * (self.step - first) / (now - logged)
                line = f"{self.step}\t{total / nobody:.4f}\t{rate:.1f}"
                if self.step % JUDGE_EVERY == 0 or last:
                    line += f"\t{self.judged(held_out):.4f}"
                print(line, flush=True)
                with (args.to / "log.tsv").open("a") as log:
                    log.write(line + "\n")
                total, nobody, first, logged = 0.0, 0.0, self.step, time.monotonic()
            if last or now - saved > SAVE_SECONDS:
                self._save()
                saved = now
            if last:
                return

    def _ahead(self, batches: Learnt) -> Iterator[Batch]:
        """The batches of the steps to come, each made while the one before is learnt from."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(batches.batch, self.step, self.args.batch)
            for step in range(self.step + 1, self.args.steps + 1):
                made = coming.result()
                if isinstance(batches, Replay):
                    batches.ask()
                coming = pool.submit(batches.batch, step, self.args.batch)
                yield made

    def _thaw(self) -> None:
        frozen = set(self.frozen) if self.step < self.args.thaw * self.args.steps else set()
        parameters = dict(self.network.named_parameters())
        for name in self.trained:
            parameters[name].requires_grad_(name not in frozen)

    def _learn(self, batch: Batch) -> tuple[float, float]:
        """One step; its squared error, and that of nobody."""
        args = self.args
        falling = max(0, self.step / args.steps - args.hold) / max(1 - args.hold, 1e-9)
        share = max(min(1, (self.step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * falling)), 0.01)
        for optimiser, rate in zip(self.optimisers, (args.muon or args.rate, args.rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = share * rate
        loss, plain, nobody = self._cost(batch)
        (loss / nobody).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self._average()
        return float(plain), float(nobody)

    def _cost(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """As `training.loss` gives it for what the network makes of a batch."""
        crops = batch.crops.contiguous(memory_format=torch.channels_last)
        with computed_in(self.precision, self.device):
            tops = self.network.tops(crops, self.design.learnt)
        maps = torch.cat([tops[name].float() for name in self.design.learnt], dim=1)
        return self.cost(maps, batch)

    @torch.no_grad()
    def _average(self) -> None:
        steps = 1 + min(AVERAGED * self.args.steps, self.args.averaged)
        keep = min(1 - 1 / steps, (self.step + 1) / (self.step + 10))
        state = self.network.state_dict()
        torch._foreach_lerp_(list(self.mean.values()), [state[name] for name in self.mean], 1 - keep)

    @torch.no_grad()
    def judged(self, held_out: Maker, count: int = 6) -> float:
        """The mean network's squared error on held-out images as a share of nobody's."""
        total = nobody = 0.0
        with self._as_mean():
            for step in range(count):
                batch = held_out.batch(step, 64)
                _, a, b = self._cost(batch)
                total, nobody = total + float(a), nobody + float(b)
        return total / nobody

    @contextmanager
    def _as_mean(self) -> Iterator[None]:
        """Let the network be the mean one, as it ships, for a while."""
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.mean)
        self.network.eval()
        yield
        self.network.train()
        self.network.load_state_dict(own)

    def _save(self) -> None:
        state = {"network": self.network.state_dict(), "mean": self.mean, "step": self.step}
        state["optimisers"] = [optimiser.state_dict() for optimiser in self.optimisers]
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)
        part = self.args.to / "weights.part"
        with self._as_mean():
            part.write_bytes(write_caffemodel(self.network.weights()))
        part.replace(self.args.to / "weights.caffemodel")


def _is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon takes it: weights over several channels, but not those of the maps, each of another kind."""
    return parameter.dim() == 4 and parameter.shape[1] > 1 and name.split(".")[1] not in (OUTPUT, LOGITS, CENTRE, SIDES)


if __name__ == "__main__":
    if sys.platform == "linux" and not KEEP_MEMORY.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | KEEP_MEMORY)
    main()
