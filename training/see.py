"""Find people in all images of some tars with a trained network, and store them.

    python -m training.see --model ../shared/models/light-coco --data ../shared/training/body --to cache/seen.jsonl.gz

`training.pack --seen` reads the result. It paints people that no other source has if their scores are high, and ignores
them otherwise, so that people whom a good network finds do not count as background. It takes half an hour on two cores
without bfloat16, ten minutes with it, seconds on a GPU.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from posecv import decode_people
from posecv.formats.caffe import read_pair
from posecv.models import model_of_pair
from posecv.skeletons import COCO
from posecv.terminal import ends_unread
from training.data import GREY, decoded, network_input
from training.network import CaffeNet
from training.pack import members
from training.targets import STRIDE


@ends_unread
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write down whom a network sees in images.")
    parser.add_argument("--model", type=Path, required=True, help="folder of pose.prototxt and pose.caffemodel")
    parser.add_argument("--data", type=Path, required=True, help="folder of tars")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    network = CaffeNet(*read_pair(args.model / "pose.prototxt", args.model / "pose.caffemodel"))
    network.eval().to(args.device, memory_format=torch.channels_last)
    thresholds = vars(model_of_pair(args.model / "pose.prototxt", args.model / "pose.caffemodel").thresholds)
    with gzip.open(args.to, "wt") as out:
        for name, content in members(args.data):
            picture = decoded(content)
            bottom, right = (-side % 16 for side in picture.shape[:2])
            picture = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
            blob = network_input(torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32)))
            with torch.inference_mode(), torch.autocast(args.device, torch.bfloat16):
                maps = network(blob.to(args.device, memory_format=torch.channels_last))[0].float().cpu().numpy()
            people = decode_people(maps, COCO, **thresholds)
            points = people.keypoints.copy()
            points[..., :2] = (points[..., :2] * STRIDE + (STRIDE - 1) / 2) * (points[..., 2:] > 0)
            found = [
                {"score": round(float(score), 3), "keypoints": each.round(2).tolist()}
                for score, each in zip(people.scores, points, strict=True)
            ]
            out.write(json.dumps({"file": name, "people": found}) + "\n")


if __name__ == "__main__":
    main()
