"""Make a model from a training run: prototxt, caffemodel in half floats, and the list of its COCO images.

    python -m training.export light_body --weights runs/light_body/weights.caffemodel --shards cache/body

writes `models/light_body/pose.prototxt`, `pose.caffemodel` and `trained_on.txt`, and checks that OpenCV and
PyTorch give the same maps.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from posecv.engines import opencv
from posecv.formats.caffe import Message, format_prototxt, read_caffemodel, write_caffemodel
from posecv.models import Model
from posecv.terminal import ends_unread
from training.data import records
from training.designs import DESIGNS, MODELS
from training.network import CaffeNet

Weights = Mapping[str, Sequence[NDArray[np.float32]]]

CLOSE = 1e-3


@ends_unread
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a model of a training run.")
    parser.add_argument("network", choices=DESIGNS)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, metavar="CAFFEMODEL",
                        help="what training.train wrote; of several, like a run's start and end, the mean")  # fmt: skip
    parser.add_argument("--shards", type=Path, help="what it was trained on, to list COCO's images among them")
    parser.add_argument("--to", type=Path, help="folder; models/NAME by default")
    args = parser.parse_args()
    folder = args.to or MODELS / args.network
    folder.mkdir(parents=True, exist_ok=True)
    message = DESIGNS[args.network].prototxt(args.network)
    weights = mean([read_caffemodel(path.read_bytes()) for path in args.weights])
    (folder / "pose.prototxt").write_text(format_prototxt(message), encoding="utf-8")
    (folder / "pose.caffemodel").write_bytes(write_caffemodel(weights, half=True))
    print(f"largest difference of OpenCV's maps from PyTorch's: {difference(message, folder):.1e}")
    if args.shards:
        names = sorted(filter(None, {coco_id(each) for each in records(args.shards) if each["split"] == "train"}))
        (folder / "trained_on.txt").write_text("".join(f"{name}\n" for name in names))
        print(f"{len(names)} images of COCO in {folder / 'trained_on.txt'}")


def mean(runs: Sequence[Weights]) -> Weights:
    """The mean of weights with a common start; its loss is usually lower than that of each run's end.

    Wortsman and others: Model soups, arXiv:2203.05482.
    """
    return {layer: [np.mean(blobs, axis=0) for blobs in zip(*(run[layer] for run in runs), strict=True)]
            for layer in runs[0]}  # fmt: skip


def coco_id(record: Mapping[str, str]) -> str | None:
    """The twelve digits of a COCO image, from its file name or from its crop's origin."""
    numbers = re.findall(r"\d{12}", f"{record['file']} {record.get('origin', '')}")
    return numbers[0] if numbers and record["source"].startswith("coco") else None


def difference(message: Message, folder: Path) -> float:
    """Largest difference between OpenCV's and PyTorch's maps for the same half-float weights; at most `CLOSE`."""
    weights = read_caffemodel((folder / "pose.caffemodel").read_bytes())
    blob = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3, 128, 192)).astype(np.float32)
    (maps,) = opencv.load(Model("trained", folder / "pose.prototxt", folder / "pose.caffemodel"), "cpu").forward(blob)
    with torch.inference_mode():
        expected = CaffeNet(message, weights)(torch.from_numpy(blob)).numpy()
    largest = float(np.abs(maps - expected).max())
    if not largest < CLOSE:
        raise ValueError(f"OpenCV's maps differ by {largest:.1e} from PyTorch's; at most {CLOSE:.0e} is rounding")
    return largest


if __name__ == "__main__":
    main()
