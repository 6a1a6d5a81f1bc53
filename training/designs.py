"""The architectures of our networks, written as prototxts.

The networks for everybody, hands or faces are slimmed forms of Lightweight OpenPose (Osokin, arXiv:1811.12004). They
have the same layers with the same names, but fewer channels in the wide ones, no side branches, and one chain of 3x3
convolutions for all maps instead of two. So `training.slim` can choose their channels among Lightweight OpenPose's and
fit their weights, and training starts with a network that already finds people. A side branch of our own, at a
sixteenth of the resolution, enlarges the receptive field: without it the network sees 219 pixels, and larger people
fall apart.

The networks for one person's crop, and those for people's boxes, are residual (He et al., 2016): dense 3x3
convolutions, which are fast in OpenCV, most of them at low resolutions, and upsampling to a quarter or an eighth of
the resolution for the maps.

Run in the repository's folder: `python -m training.designs` writes `models/NAME/pose.prototxt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posecv.formats.caffe import Message, Word, format_prototxt
from posecv.skeletons import COCO, FACE, HAND, Skeleton
from posecv.terminal import ends_unread

MODELS = Path(__file__).resolve().parents[1] / "models"
EARLY = ("2_1", "2_2", "3_1", "3_2")
DEEP = ("4_1", "4_2", "5_1", "5_2", "5_3", "5_4", "5_5")
FEATURES = "features"
TEACHERS_FEATURES = "conv4_3_CPM/res"  # Lightweight OpenPose's layer that it takes after
HEAD = ("conv4_4_CPM", "conv5_1_CPM_L1", "conv5_2_CPM_L1", "conv5_3_CPM_L1")
CONTEXT = "context/out"  # the last layer of the side branch; at 0 the branch changes nothing
OUTPUT = "net_output"
LOGITS = "logits"  # one person's maps before the sigmoid
CENTRE, SIDES = "centre", "sides"  # a detector's maps: the first before the sigmoid
LARGEST_OF_4 = {"pool": [Word("MAX")], "kernel_size": [2], "stride": [2]}  # the one pooling there is
SIDE = 368  # of the input as written; OpenCV reshapes the network to each blob


@dataclass(frozen=True)
class Design:
    """The size of a network.

    Attributes
    ----------
    skeleton : Skeleton
        Its keypoints and limbs.
    early : (int, int, int, int)
        Channels of the first four blocks, at 1/2, 1/4, 1/4 and 1/8 of the resolution; by default those of Lightweight
        OpenPose.
    width : int
        Channels of the deep layers; Lightweight OpenPose has 512.
    head : int
        3x3 convolutions between features and maps.
    wide : int
        Channels of the layer before the maps.
    context : int
        Channels of a side branch at 1/16, which sees most of the image and is added to the features.
    blocks : int
        Residual blocks in the side branch.
    quick : bool
        Whether the side branch starts with a pooling and ends with a deconvolution over all channels, which is faster
        than a convolution of stride 2 and linear interpolation.
    learnt : tuple of str
        The layers with a loss.
    """

    skeleton: Skeleton
    early: tuple[int, int, int, int] = (64, 128, 128, 256)
    width: int = 192
    head: int = 4
    wide: int = 192
    context: int = 64
    blocks: int = 3
    quick: bool = False
    learnt: tuple[str, ...] = (OUTPUT,)

    def prototxt(self, name: str) -> Message:
        """The layers of the network."""
        layers = _Layers()
        x = layers.convolution("conv1", "image", 32, 3, stride=2)
        for block, outputs, stride in zip(EARLY, self.early, (1, 2, 1, 2), strict=True):
            x = layers.separable(block, x, outputs, stride)
        for block in DEEP:
            x = layers.separable(block, x, self.width)
        x = layers.convolution(FEATURES, x, 128, act=False)
        x = layers.context(x, self.context, self.blocks, quick=self.quick) if self.context else x
        for layer in HEAD[: self.head]:
            x = layers.convolution(layer, x, 128, 3)
        x = layers.convolution("wide", x, self.wide)
        layers.convolution(OUTPUT, x, self.skeleton.channels, act=False)
        return {"name": [name], "layer": [_input(), *layers.made]}


@dataclass(frozen=True)
class Residual:
    """The size of a network whose input is one person's crop.

    Attributes
    ----------
    skeleton : Skeleton
        Its keypoints; the network has no fields.
    size : (int, int)
        Height and width of its input in pixels.
    stem : int
        Channels at halves.
    down : tuple of (int, int)
        Channels and residual blocks at quarters, eighths, sixteenths.
    up : tuple of (int, int)
        Channels and residual blocks on the way back; the channels are those of the same resolution on the way down.
    learnt : tuple of str
        The layers with a loss: the maps before the sigmoid.
    """

    skeleton: Skeleton
    size: tuple[int, int] = (256, 192)
    stem: int = 16
    down: tuple[tuple[int, int], ...] = ((32, 1), (64, 2), (128, 4))
    up: tuple[tuple[int, int], ...] = ((64, 2),)
    learnt: tuple[str, ...] = (LOGITS,)

    def prototxt(self, name: str) -> Message:
        """The layers of the network."""
        layers = _Layers()
        x = layers.hourglass("image", self.stem, self.down, self.up)
        x = layers.doubled(LOGITS, x, self.skeleton.heatmaps)
        layers.sigmoid(OUTPUT, x)
        return {"name": [name], "layer": [_input(self.size), *layers.made]}


@dataclass(frozen=True)
class Boxes:
    """The size of a network that finds people's boxes, with maps for `posecv.decoding.crops.decode_boxes` at eighths.

    Attributes
    ----------
    size : (int, int)
        Height and width of its input in pixels.
    stem, down, up, learnt
        As of `Residual`; the way down ends at thirty-seconds.
    """

    size: tuple[int, int] = (320, 320)
    stem: int = 16
    down: tuple[tuple[int, int], ...] = ((24, 1), (48, 1), (96, 2), (128, 2))
    up: tuple[tuple[int, int], ...] = ((96, 0), (48, 1))
    learnt: tuple[str, ...] = (CENTRE, SIDES)

    def prototxt(self, name: str) -> Message:
        """The layers of the network."""
        layers = _Layers()
        x = layers.hourglass("image", self.stem, self.down, self.up)
        centre = layers.sigmoid("probability", layers.convolution(CENTRE, x, 1, act=False))
        layers.concat(OUTPUT, centre, layers.convolution(SIDES, x, 4, act=False))
        return {"name": [name], "layer": [_input(self.size), *layers.made]}


class _Layers:
    """A list of layers, each with its activation."""

    def __init__(self) -> None:
        self.made: list[Message] = []
        self.channels = {"image": 3}

    def convolution(
        self, name: str, bottom: str, outputs: int, kernel: int = 1, *, stride: int = 1, group: int = 1,
        act: bool = True,
    ) -> str:  # fmt: skip
        options = {"num_output": outputs, "kernel_size": kernel, "pad": kernel // 2, "stride": stride, "group": group}
        defaults = {"pad": 0, "stride": 1, "group": 1}
        kept = {key: [value] for key, value in options.items() if value != defaults.get(key)}
        self._add(name, "Convolution", [bottom], outputs, convolution_param=[kept])
        if act:
            self.relu(name)
        return name

    def relu(self, top: str) -> None:
        self.made.append({"name": [f"relu/{top}"], "type": ["ReLU"], "bottom": [top], "top": [top]})

    def separable(self, block: str, bottom: str, outputs: int, stride: int = 1) -> str:
        group = self.channels[bottom]
        x = self.convolution(f"conv{block}/dw", bottom, group, 3, stride=stride, group=group)
        return self.convolution(f"conv{block}/sep", x, outputs)

    def context(self, bottom: str, inner: int, blocks: int, *, quick: bool) -> str:
        """The side branch, at half the resolution."""
        x = self.pooled("context/pool", bottom) if quick else bottom
        x = self.convolution("context", x, inner, 3, stride=1 if quick else 2)
        for number in range(1, blocks + 1):
            x = self.residual(f"context{number}", x)
        outputs = self.channels[bottom]
        if quick:
            x = self.doubled(CONTEXT, x, outputs)
        # Both layers that lead back are linear, so that the one with fewer channels can be the enlargement.
        elif inner < outputs:
            x = self.convolution(CONTEXT, self._enlarged(x), outputs, act=False)
        else:
            x = self._enlarged(self.convolution(CONTEXT, x, outputs, act=False))
        return self.sum("around", bottom, x)

    def residual(self, name: str, bottom: str) -> str:
        """Two 3x3 convolutions and a shortcut."""
        channels = self.channels[bottom]
        inside = self.convolution(name, bottom, channels, 3)
        inside = self.convolution(f"{name}/2", inside, channels, 3, act=False)
        x = self.sum(f"{name}/res", bottom, inside)
        self.relu(x)
        return x

    def hourglass(
        self, bottom: str, stem: int, down: Sequence[tuple[int, int]], up: Sequence[tuple[int, int]]
    ) -> str:
        """Residual blocks at quarters, eighths, ..., and at higher resolutions on the way back."""
        x = self.convolution("stem", bottom, stem, 3, stride=2)
        levels = []
        for level, (channels, blocks) in enumerate(down, 2):
            # A pooling and a 3x3 convolution take a third of the time of one of stride 2 in OpenCV 4.
            x = self.convolution(f"down{level}", self.pooled(f"pool{level}", x), channels, 3)
            for block in range(1, blocks + 1):
                x = self.residual(f"down{level}_{block}", x)
            levels.append(x)
        for number, (channels, blocks) in enumerate(up):
            name = f"up{number + 1}" if number else "up"
            x = self.sum(f"{name}/sum", self.doubled(name, x, channels), levels[-2 - number])
            self.relu(x)
            for block in range(1, blocks + 1):
                x = self.residual(f"{name}_{block}", x)
        return x

    def concat(self, name: str, *bottoms: str) -> str:
        return self._add(name, "Concat", bottoms, sum(self.channels[bottom] for bottom in bottoms))

    def doubled(self, name: str, bottom: str, outputs: int) -> str:
        """Twice the resolution: each cell becomes 2 x 2."""
        spread = {"num_output": [outputs], "kernel_size": [2], "stride": [2]}
        return self._add(name, "Deconvolution", [bottom], outputs, convolution_param=[spread])

    def sigmoid(self, name: str, bottom: str) -> str:
        return self._add(name, "Sigmoid", [bottom], self.channels[bottom])

    def pooled(self, name: str, bottom: str) -> str:
        return self._add(name, "Pooling", [bottom], self.channels[bottom], pooling_param=[dict(LARGEST_OF_4)])

    def _enlarged(self, bottom: str) -> str:
        channels = self.channels[bottom]
        param = {"num_output": [channels], "kernel_size": [4], "pad": [1], "stride": [2], "group": [channels]}
        param |= {"bias_term": [False]}
        return self._add("context/up", "Deconvolution", [bottom], channels, convolution_param=[param])

    def sum(self, name: str, *bottoms: str) -> str:
        total = [{"operation": [Word("SUM")]}]
        return self._add(name, "Eltwise", bottoms, self.channels[bottoms[0]], eltwise_param=total)

    def _add(self, name: str, kind: str, bottoms: Sequence[str], channels: int, **options: list[Any]) -> str:
        self.made.append({"name": [name], "type": [kind], "bottom": list(bottoms), "top": [name], **options})
        self.channels[name] = channels
        return name


def _input(size: tuple[int, int] = (SIDE, SIDE)) -> Message:
    shape = {"shape": [{"dim": [1, 3, *size]}]}
    return {"name": ["image"], "type": ["Input"], "top": ["image"], "input_param": [shape]}


DESIGNS: dict[str, Design | Residual | Boxes] = {
    "light_body": Design(COCO, early=(32, 64, 96, 192), wide=160, context=128, quick=True),
    "light_body_large": Design(COCO, width=384, wide=256, context=128, quick=True),
    "light_hand": Design(HAND, width=128, wide=128, context=96, blocks=5),
    "light_face": Design(FACE, width=128, head=2, wide=128),
    "light_pose": Residual(COCO),
    "light_detect": Boxes(),
}


@ends_unread
def main() -> None:
    """Write the prototxts of the networks that have a folder."""
    for name, design in DESIGNS.items():
        folder = MODELS / name
        if folder.is_dir():
            (folder / "pose.prototxt").write_text(format_prototxt(design.prototxt(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
