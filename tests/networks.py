"""Tiny Caffe networks whose maps are known exactly, and pictures that they read as people.

Two kinds, both of stride 8 and with all channels of a skeleton:

- A *packed* network is one convolution that reads maps out of a picture which carries them as bytes, a cell in each
  block of 8 x 8 pixels (`pack_maps`). Any maps are possible, exact to 1/32767. The picture must reach the network
  pixel by pixel: sides that are multiples of 16, a net size equal to the picture's, no lossy file format.
- A *painted* network finds coloured dots (`paint_person`) and joins them by where they are. The picture may be
  resized, padded, turned and stored as the user likes, as long as it is black around the dots.

Both take the input v/256 - 0.5, BGR. Each function writes `pose.prototxt` and `pose.caffemodel` into a folder and
returns their paths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Array, Frame
from posecv.formats.caffe import Message, format_prototxt, write_caffemodel
from posecv.formats.conversion import convert_pair
from posecv.models import COLUMNS
from posecv.skeletons import COCO, FACE, HAND, MPI_4_STAGES, Skeleton

Pair = tuple[Path, Path]
Outputs = Literal["joined", "split", "heatmaps"]

STRIDE = 8
RADIUS = 6.0  # network pixels; a dot of this radius has a heat of 1 times its strength
SIGMA = 8.0  # network pixels; width of the Gaussian that a dot becomes
WINDOW = 48  # network pixels; the Gaussian is cut off at half of it
REACH = 11  # cells; how far a keypoint looks for the other end of a limb


@dataclass
class Layers:
    """The layers of a network and their weights, as they are added."""

    layers: list[Message] = field(default_factory=list)
    weights: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, name: str, kind: str, bottoms: Sequence[str], **options: Any) -> str:
        """A layer of any type; `options` are its messages. Its name, which is its top as well."""
        layer = {"name": [name], "type": [kind], "bottom": list(bottoms), "top": [name]}
        self.layers.append({**layer, **{option: [message] for option, message in options.items()}})
        return name

    def convolution(
        self,
        name: str,
        bottom: str,
        kernel: NDArray[Any],
        bias: NDArray[Any],
        *,
        stride: int | tuple[int, int] = 1,
        group: int = 1,
    ) -> str:
        """A convolution with (outputs, inputs / group, rows, columns) weights that keeps size / stride."""
        strides = (stride, stride) if isinstance(stride, int) else stride
        sides = kernel.shape[2:]
        pads = [(side - step + 1) // 2 for side, step in zip(sides, strides, strict=True)]
        option: Message = {"num_output": [len(kernel)], **({"group": [group]} if group > 1 else {})}
        for key, values in (("kernel_size", sides), ("stride", strides), ("pad", pads)):
            option[key] = list(values[:1] if values[0] == values[1] else values)
        self.weights[name] = [np.asarray(kernel, np.float32), np.asarray(bias, np.float32)]
        return self.add(name, "Convolution", [bottom], convolution_param=option)

    def relu(self, bottom: str) -> str:
        """A ReLU in place."""
        self.layers.append({"name": [f"relu_{bottom}"], "type": ["ReLU"], "bottom": [bottom], "top": [bottom]})
        return bottom

    def write(self, folder: Path) -> Pair:
        """The pair of files."""
        folder.mkdir(parents=True, exist_ok=True)
        prototxt, caffemodel = folder / "pose.prototxt", folder / "pose.caffemodel"
        prototxt.write_text(format_prototxt({"name": ["tiny"], "layer": self.layers}), encoding="utf-8")
        caffemodel.write_bytes(write_caffemodel(self.weights, dict.fromkeys(self.weights, "Convolution")))
        return prototxt, caffemodel


def read_by_opencv(prototxt: Path, caffemodel: Path) -> Any:
    """OpenCV's own network of a pair, as ONNX where it has no Caffe importer."""
    if hasattr(cv2.dnn, "readNetFromCaffe"):
        return cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    return cv2.dnn.readNetFromONNX(np.frombuffer(convert_pair(prototxt, caffemodel), np.uint8))


def _with_image() -> Layers:
    network = Layers()
    shape = {"shape": [{"dim": [1, 3, 368, 368]}]}
    network.add("image", "Input", [], input_param=shape)
    del network.layers[0]["bottom"]
    return network


def _finish(network: Layers, folder: Path, stage: str, outputs: Outputs) -> Pair:
    """Join heatmaps and fields, in this order, or leave both as they are; OpenPose's networks have the fields first."""
    parts = [f"{stage}_L2", f"{stage}_L1"]
    if outputs != "split":
        network.add(
            "net_output", "Concat", [part for part in parts if part in network.weights], concat_param={"axis": [1]}
        )
    return network.write(folder)


def _stage(skeleton: Skeleton) -> str:
    return f"Mconv7_stage{4 if skeleton is MPI_4_STAGES else 6}"


# --- maps carried by a picture --------------------------------------------------------------------------------------


def packed_network(folder: Path, skeleton: Skeleton, *, outputs: Outputs = "joined") -> Pair:
    """Write the pair that reads the maps in a picture made by `pack_maps`.

    `outputs`: "joined" gives all channels in one output, "split" two outputs (fields `..._L1`, heatmaps `..._L2`, as
    old conversions have them), "heatmaps" the heatmaps alone.

    Each channel is two bytes of a block, (256 high + low - 32768) / 32767; with bytes v = 256 x + 128 of the input x
    that is a linear function of two input values: one convolution of 8 x 8 with stride 8.
    """
    flat = np.zeros((skeleton.channels, 3 * STRIDE * STRIDE))
    channels = np.arange(skeleton.channels)
    flat[channels, 2 * channels] = 256 * 256 / 32767
    flat[channels, 2 * channels + 1] = 256 / 32767
    kernel = flat.reshape(-1, 3, STRIDE, STRIDE)
    bias = np.full(len(kernel), 128 / 32767)
    heat, stage = skeleton.heatmaps, _stage(skeleton)
    network = _with_image()
    if skeleton.paf_channels and outputs != "heatmaps":
        network.convolution(f"{stage}_L1", "image", kernel[heat:], bias[heat:], stride=STRIDE)
    network.convolution(f"{stage}_L2", "image", kernel[:heat], bias[:heat], stride=STRIDE)
    return _finish(network, folder, stage, outputs)


def pack_maps(maps: NDArray[Any]) -> Frame:
    """A (8 h, 8 w, 3) picture that carries (C, h, w) maps with values from -1 to 1, at most 96 channels.

    The other bytes are 0. Black, as in padding, reads as -1.
    """
    channels, height, width = maps.shape
    codes = np.rint(maps * 32767 + 32768).astype(np.uint16)
    block = np.zeros((3 * STRIDE * STRIDE, height, width), np.uint8)
    block[0 : 2 * channels : 2], block[1 : 2 * channels : 2] = codes >> 8, codes & 255
    picture = block.reshape(3, STRIDE, STRIDE, height, width).transpose(3, 1, 4, 2, 0)  # h, 8, w, 8, colour
    return np.ascontiguousarray(picture.reshape(height * STRIDE, width * STRIDE, 3))


# --- people painted as dots -----------------------------------------------------------------------------------------


def dot_colors(skeleton: Skeleton) -> NDArray[np.float64]:
    """(K, 3) blue, green, red of each keypoint's dot at full strength, 0 to 255.

    Green is the strength; blue and red, as shares of green, are the place of the keypoint in a square table. Mixed
    with black (a soft border, a smaller picture, a weaker dot) a colour keeps its shares.
    """
    side = math.ceil(math.sqrt(len(skeleton.keypoints)))
    rows, columns = np.divmod(np.arange(len(skeleton.keypoints)), side)
    return 255 * np.stack([rows / (side - 1), np.ones(len(rows)), columns / (side - 1)], axis=1)


def black(width: int, height: int) -> Frame:
    """A frame in which there is nobody."""
    return np.zeros((height, width, 3), np.uint8)


def paint_person(frame: Frame, keypoints: NDArray[Any], skeleton: Skeleton, *, radius: float = RADIUS) -> Frame:
    """Paint a person's keypoints as dots that the network of `painted_network` reads, in place; the frame.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        Black, or with other people.
    keypoints : (K, 2) or (K, 3) array
        x, y in pixels (the centre of the first is 0, 0) and strength from 0 to 1; nothing is painted at strength 0.
    radius : float
        In pixels of the frame: 6 for a frame that the network sees in its own size, twice that for one twice as large.

    Notes
    -----
    With dots of radius 6 in network pixels, black gaps of 3 pixels between them, and dots that lie 24 pixels inside:

    - The heat at a keypoint is its strength, within 3 %; around it falls off as a Gaussian of 8 pixels. A dot of
      another radius r has about r * r / 36 of that.
    - The peak of the maps enlarged by 8 (cubic) lies within 0.6 pixels of the keypoint, whose
      greater part is the centroid's pull to the whole pixel in its middle.
    - The field of a limb is larger than 0.2 from its start to half a cell before its end and points along it within
      20 degrees, if the limb is at most 80 pixels long, of two equal strengths and its ends have no neighbours of
      their own kind within 128 pixels. So people are told apart if every start of a limb is at least 128 pixels from
      the ends of the same limb of all other people (`standing_person`: 176 pixels apart side by side).
    """
    points = np.asarray(keypoints, np.float64)
    strengths = points[:, 2] if points.shape[1] > 2 else np.ones(len(points))
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    for (px, py), strength, color in zip(points[:, :2], strengths, dot_colors(skeleton), strict=True):
        if strength > 0:
            cover = strength * np.clip(radius + 0.5 - np.hypot(x - px, y - py), 0, 1)
            np.maximum(frame, np.rint(cover[..., None] * color).astype(np.uint8), out=frame)
    return frame


# Person's right is the picture's left: x of left keypoints, y, in pixels from the nose.
_STANDING = {
    "nose": (0, 0), "head": (0, -10), "neck": (0, 44), "chest": (0, 84), "mid_hip": (0, 126),
    "eye": (16, -16), "ear": (36, -6), "shoulder": (40, 50), "elbow": (56, 104), "wrist": (60, 156),
    "hip": (22, 124), "knee": (26, 192), "ankle": (28, 256), "heel": (14, 276), "big_toe": (30, 292),
    "small_toe": (48, 282),
}  # fmt: skip


def standing_person(skeleton: Skeleton, x: float, y: float, scale: float = 1) -> Array:
    """(K, 3) keypoints of somebody who stands upright with the nose at x, y: 120 wide, 308 high, strength 1.

    Hands and faces are a table of dots instead, 5 or 9 wide and 24 pixels apart, with the first at x, y.
    """
    if not skeleton.paf_channels:
        side = math.ceil(math.sqrt(len(skeleton.keypoints)))
        rows, columns = np.divmod(np.arange(len(skeleton.keypoints)), side)
        places = np.stack([24 * columns, 24 * rows], axis=1)
    else:
        signs = [name.startswith("left_") * 1 - name.startswith("right_") for name in skeleton.keypoints]
        names = [name.removeprefix("left_").removeprefix("right_") for name in skeleton.keypoints]
        places = np.array([_STANDING[name] for name in names]) * np.stack([signs, np.ones(len(signs))], axis=1)
    return np.column_stack([places * scale + (x, y), np.ones(len(places))]).astype(np.float32)


def painted_network(folder: Path, skeleton: Skeleton, *, outputs: Outputs = "joined") -> Pair:
    """Write the pair that reads people painted by `paint_person`; `outputs` as in `packed_network`.

    What it computes, in five steps that are convolutions and ReLUs:

    1. dot[k], full size: the strength g of the pixel (green) where blue / g and red / g are those of keypoint k, by
       two trapezoids over the shares, flat on half of the way to the neighbours' shares and 0 beyond.
    2. heat[k], stride 8: a Gaussian round each pixel, of which the dot of radius 6 gets 1 in its centre.
    3. towards[k]: the sum of the unit vectors from a cell to the heat of k within `REACH` cells, by their heat.
    4. near[k]: 1 where heat of k is within `REACH` cells, 0 where it is not.
    5. The field of a limb from a to b is towards[b] where near[a] is 1. The background is 1 - sum of heat.
    """
    network = _with_image()
    heat = _heat_layers(network, skeleton)
    keypoints, stage = len(skeleton.keypoints), _stage(skeleton)
    kernel = np.concatenate([np.eye(keypoints), -np.ones((1, keypoints))])[:, :, None, None]
    if skeleton.paf_channels and outputs != "heatmaps":
        _field_layers(network, heat, skeleton, f"{stage}_L1")
    network.convolution(f"{stage}_L2", heat, kernel, np.eye(keypoints + 1)[-1])
    return _finish(network, folder, stage, outputs)


def _heat_layers(network: Layers, skeleton: Skeleton) -> str:
    count = len(skeleton.keypoints)
    side = math.ceil(math.sqrt(count))
    step = 1 / (side - 1)
    # A trapezoid that rises from u - step/2 to u - step/4 and falls from u + step/4 to u + step/2 is the sum of four
    # ReLUs, b - (u + m) g, with the signs + - - +: each stays in proportion to g.
    margins = np.array([-step / 2, -step / 4, step / 4, step / 2])
    shares = (np.arange(side)[:, None] * step + margins).ravel()
    codes = np.zeros((1 + 2 * len(shares), 3))
    codes[0, 1] = 1
    codes[1:, 1] = np.tile(-shares, 2)
    codes[1 : 1 + len(shares), 0] = codes[1 + len(shares) :, 2] = 1
    codes *= 256 / 255
    ramps = network.relu(network.convolution("ramps", "image", codes[:, :, None, None], codes.sum(axis=1) / 2))
    both = np.zeros((count, len(codes)))
    both[:, 0] = -1  # blue's trapezoid + red's - g: g where both say yes, 0 where one says no
    for keypoint, (row, column) in enumerate(np.ndindex(side, side)):
        if keypoint < count:
            for place in (row, side + column):
                both[keypoint, 1 + 4 * place : 5 + 4 * place] = np.array([1, -1, -1, 1]) * 4 / step
    dots = network.relu(network.convolution("dots", ramps, both[:, :, None, None], np.zeros(count)))
    away = np.arange(WINDOW) - (WINDOW - 1) / 2
    # The Gaussian is the product of one along y and one along x, which together take a tenth of its time.
    gaussian = np.exp(-(away**2) / (2 * SIGMA**2)) / math.sqrt(_dot_weight())
    down, across = (np.tile(gaussian.reshape(shape), (count, 1, 1, 1)) for shape in ((-1, 1), (1, -1)))
    columns = network.convolution("columns", dots, down, np.zeros(count), stride=(STRIDE, 1), group=count)
    return network.convolution("heat", columns, across, np.zeros(count), stride=(1, STRIDE), group=count)


def _dot_weight() -> float:
    """The integral of the Gaussian over the dot round its centre."""
    return 2 * math.pi * SIGMA**2 * (1 - math.exp(-(RADIUS**2) / (2 * SIGMA**2)))


def dot_mass() -> float:
    """The sum of the heat of one dot over all cells: its area times the sum of the Gaussian over the cells."""
    return math.pi * RADIUS**2 * 2 * math.pi * (SIGMA / STRIDE) ** 2 / _dot_weight()


def _field_layers(network: Layers, heat: str, skeleton: Skeleton, name: str) -> None:
    count, limbs = len(skeleton.keypoints), len(skeleton.limbs)
    dy, dx = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    distance = np.hypot(dx, dy)
    disc = (distance <= REACH) / dot_mass()
    towards = np.stack([dx, dy]) / np.maximum(distance, 1) * disc
    network.convolution("towards", heat, np.tile(towards[:, None], (count, 1, 1, 1)), np.zeros(2 * count), group=count)
    # A quarter of a dot's heat within reach is enough: min(1, 4 n) = ReLU(4 n) - ReLU(4 n - 1).
    within = network.convolution("within", heat, np.tile(disc, (count, 1, 1, 1)), np.zeros(count), group=count)
    fours = np.full((2 * count, 1, 1, 1), 4)
    near = network.relu(network.convolution("near", within, fours, np.tile([0, -1], count), group=count))
    around = network.add("around", "Concat", ["towards", near], concat_param={"axis": [1]})
    # ReLU(t + near - 1) - ReLU(-t + near - 1) is t where near is 1, and 0 where near is 0, as |t| <= 1.
    gates, fields = np.zeros((4 * limbs, 4 * count)), np.zeros((2 * limbs, 4 * limbs))
    for limb, ((start, end), channel) in enumerate(zip(skeleton.limbs, skeleton.paf_channels, strict=True)):
        for axis in (0, 1):
            for way, sign in enumerate((1, -1)):
                gate = 4 * limb + 2 * axis + way
                gates[gate, 2 * end + axis] = sign
                gates[gate, 2 * count + 2 * start : 2 * count + 2 * start + 2] = 1, -1
                fields[channel - skeleton.heatmaps + axis, gate] = sign
    gated = network.relu(network.convolution("gates", around, gates[:, :, None, None], np.full(4 * limbs, -1.0)))
    network.convolution(name, gated, fields[:, :, None, None], np.zeros(2 * limbs))


# --- models by name -------------------------------------------------------------------------------------------------


def write_manifest(folder: Path, *rows: Mapping[str, str]) -> Path:
    """A manifest of these rows; what a row leaves out is that of one of our own networks of bodies."""
    usual: dict[str, str] = dict.fromkeys(COLUMNS, "-") | {
        "skeleton": "coco", "scale": "1/256", "mean": "128", "swap_rb": "no", "padding": "0",
        "person_score": "openpose", "use": "any", "licence": "Apache-2.0",
    }  # fmt: skip
    lines = [list(usual), *([*{**usual, **row}.values()] for row in rows)]
    path = folder / "MANIFEST.tsv"
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    return path


def own_models(folder: Path) -> Path:
    """A folder of painted networks under the names of our own; those of hands and faces are for research."""
    skeletons = {"light_body": COCO, "light_body_large": COCO, "light_hand": HAND, "light_face": FACE}
    for name, skeleton in skeletons.items():
        painted_network(folder / name, skeleton)
    rows = [
        {"name": name, "weights": name, "skeleton": skeleton.name, "use": "any" if skeleton is COCO else "research"}
        for name, skeleton in skeletons.items()
    ]
    write_manifest(folder, *rows)
    return folder


# --- pairs that are no good -----------------------------------------------------------------------------------------


def broken_pairs(folder: Path, pair: Pair) -> dict[str, tuple[Path, Path, str]]:
    """What can be wrong with a pair: name of the fault -> prototxt, caffemodel, words that the error must contain."""
    folder.mkdir(parents=True, exist_ok=True)
    prototxt, caffemodel = pair
    text, data = prototxt.read_bytes(), caffemodel.read_bytes()
    page = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 209274056\n"

    def file(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    other = text.replace(b"num_output: ", b"num_output: 1", 1)
    renamed = text.replace(b'name: "', b'name: "other_')
    return {
        "prototxt missing": (folder / "none.prototxt", caffemodel, "missing"),
        "prototxt empty": (file("empty.prototxt", b""), caffemodel, "empty"),
        "prototxt folder": (folder, caffemodel, "folder"),
        "prototxt binary": (caffemodel, caffemodel, "binary"),
        "prototxt page": (file("page.prototxt", page), caffemodel, "web page"),
        "prototxt mark": (file("mark.prototxt", b"\xef\xbb\xbf" + text), caffemodel, "byte order mark"),
        "prototxt pointer": (file("pointer.prototxt", pointer), caffemodel, "Git-LFS"),
        "prototxt cut short": (
            file("cut.prototxt", text[: len(text) * 2 // 3].rstrip(b"}\n ")),
            caffemodel,
            "not a complete prototxt",
        ),
        "prototxt not a network": (file("text.prototxt", b"net: 'train.prototxt'\n"), caffemodel, "no layers"),
        "caffemodel missing": (prototxt, folder / "none.caffemodel", "missing"),
        "caffemodel empty": (prototxt, file("empty.caffemodel", b""), "empty"),
        "caffemodel folder": (prototxt, folder, "folder"),
        "caffemodel text": (prototxt, prototxt, "text"),
        "caffemodel page": (prototxt, file("page.caffemodel", page), "web page"),
        "caffemodel pointer": (prototxt, file("pointer.caffemodel", pointer), "Git-LFS"),
        "caffemodel archive": (prototxt, file("zip.caffemodel", b"PK\x03\x04" + data), "archive"),
        "caffemodel cut short": (prototxt, file("cut.caffemodel", data[: len(data) * 2 // 3]), "ends early"),
        "swapped": (caffemodel, prototxt, "swapped"),
        "other shapes": (file("other.prototxt", other), caffemodel, "shape"),
        "other names": (file("renamed.prototxt", renamed), caffemodel, "no weights"),
    }
