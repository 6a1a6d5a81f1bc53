"""Training images in memory, and crops of them by affine maps, on a CPU or on a GPU."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]

GREY = 128  # beyond the image, as the network's padding
FINEST = 0.7  # pixels of a crop for one of the image, below which linear interpolation passes over some of these


@dataclass
class Picture:
    """An image with its labels, in its own pixels.

    people : (P, K, 3) x, y and height of the Gaussian of each keypoint, 0 for an unknown one
    ignore : (B, 4) boxes x, y, width, height that the loss ignores
    hand : "left" or "right" for a crop of a hand of known side
    boxes : (N, 5) boxes of people, x, y, width, height from the corner of the first pixel, and height of the bump in
        the middle; 0 where a detector learns nothing
    """

    file: str
    source: str
    split: str
    frame: Frame
    people: Array
    ignore: Array
    hand: str | None = None
    boxes: Array = field(default_factory=lambda: np.zeros((0, 5), np.float32))


def load_shards(folder: Path, *, share: float = 1.0) -> list[Picture]:
    """Read the shards of `training.pack`, or only a `share` of them."""
    pictures = []
    rng = np.random.default_rng(0)
    paths = sorted(folder.glob("shard-*.tar"))
    if not paths:
        raise FileNotFoundError(f"no shards in {folder}: write them with python -m training.pack")
    for path in paths:
        with tarfile.open(path) as tar:
            labels, *members = tar
            lines = _content(tar, labels).decode().splitlines()
            for line, member in zip(lines, members, strict=True):
                if rng.random() > share:
                    continue
                record = json.loads(line)
                frame = decoded(_content(tar, member))
                people = np.array(record["people"], np.float32)
                boxes = np.array(record["ignore"], np.float32).reshape(-1, 4)
                known = record["file"], record["source"], record["split"]
                found = np.array(record.get("boxes", []), np.float32).reshape(-1, 5)
                pictures.append(Picture(*known, frame, people, boxes, record.get("hand"), found))
    return pictures


def chances(pictures: Sequence[Picture], weights: Iterable[tuple[str, float]]) -> NDArray[np.float64]:
    """How often each photograph is taken, as a share: by its source's weight, 1 where it is not named."""
    share = dict(weights)
    each = np.array([share.get(picture.source, 1.0) for picture in pictures])
    return each / each.sum()


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """The labels in the shards of a folder, without the images."""
    for path in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            yield from map(json.loads, _content(tar, tar.getmember("labels.jsonl")).decode().splitlines())


def decoded(content: bytes) -> Frame:
    """The image in an encoded file's bytes."""
    frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError("an image that OpenCV cannot read")
    return frame.astype(np.uint8, copy=False)


def network_input(crops: Tensor) -> Tensor:
    """The network's input, from values of 0 to 255."""
    return (crops - GREY) / 256


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return file.read()


class Cropper:
    """Cuts crops from images: on a CPU one by one, on a GPU a whole batch from images in its memory."""

    def __init__(self, pictures: list[Picture], device: torch.device) -> None:
        self.pictures = pictures
        self.device = device
        self.canvas: Tensor | None = None
        if device.type == "cuda":
            height, width = np.max([picture.frame.shape[:2] for picture in pictures], axis=0)
            self.canvas = torch.full((len(pictures), height, width, 3), GREY, dtype=torch.uint8, device=device)
            for canvas, picture in zip(self.canvas, pictures, strict=True):
                height, width = picture.frame.shape[:2]
                canvas[:height, :width] = torch.from_numpy(picture.frame).to(device)

    def crops(self, indices: NDArray[np.intp], matrices: Array, size: tuple[int, int]) -> Tensor:
        """(B, 3, height, width) float32 crops, BGR 0 to 255; means of finer crops where images shrink a lot.

        Parameters
        ----------
        indices : (B,) of the images
        matrices : (B, 2, 3) from pixels of the image to pixels of the crop
        size : (int, int)
            Height and width of a crop.
        """
        height, width = size
        shrunk = np.abs(np.linalg.det(matrices[:, :, :2])) < FINEST**2
        if shrunk.all():
            twice = 2 * matrices + np.array([0, 0, 0.5], np.float32)  # pixels' middles have whole coordinates
            return torch.nn.functional.avg_pool2d(self.crops(indices, twice, (2 * height, 2 * width)), 2)
        if shrunk.any():
            crops = torch.empty(len(indices), 3, height, width, device=self.device)
            for some in (shrunk, ~shrunk):
                crops[torch.from_numpy(some)] = self.crops(indices[some], matrices[some], size)
            return crops
        if self.canvas is not None:
            return _sampled(self.canvas[torch.from_numpy(indices).to(self.device)], matrices, size)
        crops = np.empty((len(indices), height, width, 3), np.uint8)
        for crop, index, matrix in zip(crops, indices, matrices, strict=True):
            frame = self.pictures[index].frame
            cv2.warpAffine(frame, matrix, (width, height), crop, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, (GREY,) * 3)
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float()


def _sampled(canvas: Tensor, matrices: Array, size: tuple[int, int]) -> Tensor:
    """Like `cv2.warpAffine`, for a batch at once."""
    _, height, width, _ = canvas.shape
    square = np.tile(np.array([0, 0, 1], np.float64), (len(matrices), 1, 1))
    back = np.linalg.inv(np.concatenate([matrices, square], axis=1))[:, :2]
    down, across = (torch.arange(side, device=canvas.device, dtype=torch.float32) for side in size)
    x, y = across.expand(size), down[:, None].expand(size)
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    where = pixels @ torch.from_numpy(back.astype(np.float32)).to(canvas.device).transpose(1, 2)[:, None]
    scale = torch.tensor([2 / width, 2 / height], device=canvas.device)
    grid = (where + 0.5) * scale - 1
    values = canvas.permute(0, 3, 1, 2).float() - GREY
    return torch.nn.functional.grid_sample(values, grid, align_corners=False) + GREY
