"""Write models/NAME/pose.prototxt of OpenPose's networks from a description of their families.

Three families share a front, the first layers of VGG-19, which shrinks the picture to an eighth:

- COCO and MPI (Cao et al., CVPR 2017): two branches side by side, L1 for part affinity fields and L2 for heatmaps;
  each later stage sees both branches' last maps and the front's features again.
- BODY_25 (Cao et al., TPAMI 2021): first the stages of the fields, then those of the heatmaps; 7x7 convolutions are
  replaced by dense blocks of three 3x3 convolutions whose outputs are concatenated; PReLU instead of ReLU.
- Hand (Simon et al., CVPR 2017) and face: one branch of heatmaps, as in Convolutional Pose Machines.

A caffemodel finds its place by layer names, so these are the trained networks' own. Run from the
repository's folder: `python -m tools.make_prototxts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from posecv.terminal import ends_unread

MODELS = Path(__file__).resolve().parents[1] / "models"

FEATURES = "conv4_4_CPM"  # what the front of the body networks hands on, 128 channels
FRONT = (64, 128, 256, 512, 512)  # outputs of VGG-19's blocks
BODY_FRONT = (2, 2, 4, 2)  # convolutions of each block that is used
DETAIL_FRONT = (2, 2, 4, 4, 2)
SIDE = 368  # of the input as written; OpenCV reshapes the network to each blob

Naming = Callable[[str], str]


@dataclass(frozen=True)
class Layer:
    """A layer with the parameters that occur; convolutions keep the size (padding kernel // 2, stride 1)."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    top: str
    outputs: int = 0
    kernel: int = 0


def convolution(name: str, bottom: str, outputs: int, kernel: int, activation: Naming | None = None) -> list[Layer]:
    """A convolution and, in place, its activation, whose name tells ReLU from PReLU."""
    layer = Layer(name, "Convolution", (bottom,), name, outputs, kernel)
    if activation is None:
        return [layer]
    act = activation(name)
    return [layer, Layer(act, "PReLU" if "prelu" in act else "ReLU", (name,), name)]


def concat(name: str, *bottoms: str, top: str | None = None) -> Layer:
    """Channels of all bottoms, one after the other."""
    return Layer(name, "Concat", bottoms, top or name)


def vgg(blocks: Sequence[int], activation: Naming, pool: str = "pool{}_stage1") -> list[Layer]:
    """Picture to features: blocks of 3x3 convolutions, the first three followed by a pooling that halves the size."""
    layers = [Layer("image", "Input", (), "image")]
    for block, (count, outputs) in enumerate(zip(blocks, FRONT, strict=False), start=1):
        for number in range(1, count + 1):
            layers += convolution(f"conv{block}_{number}", layers[-1].top, outputs, 3, activation)
        if block <= 3:
            name = pool.format(block)
            layers.append(Layer(name, "Pooling", (layers[-1].top,), name, kernel=2))
    return layers


def body_front(activation: Naming) -> list[Layer]:
    """VGG's first ten convolutions and two that reduce 512 channels to 128."""
    layers = vgg(BODY_FRONT, activation)
    layers += convolution("conv4_3_CPM", "conv4_2", 256, 3, activation)
    return layers + convolution(FEATURES, "conv4_3_CPM", 128, 3, activation)


def stage(
    pattern: str, bottom: str, hidden: Iterable[tuple[int, int]], maps: Mapping[str, int], activation: Naming
) -> list[Layer]:
    """Chains of convolutions from one bottom, a chain a branch, layer beside layer.

    `pattern` makes a name of number and branch, `hidden` has outputs and kernel of the inner convolutions, `maps` the
    channels of each branch's last one, which is 1x1 and has no activation.
    """
    layers: list[Layer] = []
    tops = dict.fromkeys(maps, bottom)
    last = len(tuple(hidden)) + 1
    for number, (outputs, kernel) in enumerate((*hidden, (0, 1)), start=1):
        for branch, channels in maps.items():
            name = pattern.format(number, branch)
            if number == last:
                layers += convolution(name, tops[branch], channels, kernel)
            else:
                layers += convolution(name, tops[branch], outputs, kernel, activation)
            tops[branch] = name
    return layers


FIRST = ((128, 3), (128, 3), (128, 3), (512, 1))
REFINEMENT = ((128, 7),) * 5 + ((128, 1),)


def relu(name: str) -> str:
    """conv4_2 -> relu4_2, Mconv1_stage2_L1 -> Mrelu1_stage2_L1."""
    return name.replace("conv", "relu")


def two_branches(heatmaps: int, fields: int, stages: int = 6) -> list[Layer]:
    """COCO and MPI."""
    maps = {"L1": fields, "L2": heatmaps}
    layers = body_front(relu) + stage("conv5_{}_CPM_{}", FEATURES, FIRST, maps, relu)
    last = "conv5_5_CPM"
    for number in range(2, stages + 1):
        layers.append(concat(f"concat_stage{number}", f"{last}_L1", f"{last}_L2", FEATURES))
        layers += stage(f"Mconv{{}}_stage{number}_{{}}", layers[-1].top, REFINEMENT, maps, relu)
        last = f"Mconv7_stage{number}"
    # Called stage 7 in the network of four stages too.
    return [*layers, concat("concat_stage7", f"{last}_L2", f"{last}_L1", top="net_output")]


def prelu(name: str) -> str:
    """BODY_25 keeps VGG's ReLU up to conv4_1."""
    trained_by_vgg = name.startswith(("conv1", "conv2", "conv3", "conv4_1"))
    return name.replace("conv", "relu" if trained_by_vgg else "prelu")


def dense_stage(name: str, bottom: str, width: int, hidden: int, channels: int) -> list[Layer]:
    """Five dense blocks, then two 1x1 convolutions; `name` is like stage0_L2."""
    layers: list[Layer] = []
    for block in range(1, 6):
        parts = [f"Mconv{block}_{name}_{number}" for number in range(3)]
        for part in parts:
            layers += convolution(part, bottom, width, 3, prelu)
            bottom = part
        bottom = f"Mconv{block}_{name}_concat"
        layers.append(concat(bottom, *parts))
    layers += convolution(f"Mconv6_{name}", bottom, hidden, 1, prelu)
    return layers + convolution(f"Mconv7_{name}", f"Mconv6_{name}", channels, 1)


def body_25(heatmaps: int = 26, fields: int = 52) -> list[Layer]:
    """Four stages of fields (L2), then two of heatmaps (L1), which see the last fields."""
    layers = body_front(prelu)
    layers += dense_stage("stage0_L2", FEATURES, 96, 256, fields)
    for number in (1, 2, 3):
        layers.append(concat(f"concat_stage{number}_L2", FEATURES, f"Mconv7_stage{number - 1}_L2"))
        layers += dense_stage(f"stage{number}_L2", layers[-1].top, 128, 512, fields)
    final = "Mconv7_stage3_L2"
    layers.append(concat("concat_stage0_L1", FEATURES, final))
    layers += dense_stage("stage0_L1", "concat_stage0_L1", 96, 256, heatmaps)
    layers.append(concat("concat_stage1_L1", FEATURES, "Mconv7_stage0_L1", final))
    layers += dense_stage("stage1_L1", "concat_stage1_L1", 128, 512, heatmaps)
    return [*layers, concat("net_output", "Mconv7_stage1_L1", final)]


def one_branch(heatmaps: int, activation: Naming, pool: str, join: str) -> list[Layer]:
    """Hand and face: six stages; VGG up to conv5_2."""
    features = "conv5_3_CPM"
    layers = vgg(DETAIL_FRONT, activation, pool)
    layers += convolution(features, "conv5_2", 128, 3, activation)
    layers += stage("conv6_{}_CPM", features, ((512, 1),), {"": heatmaps}, activation)
    for number in range(2, 7):
        layers.append(concat(join.format(number), layers[-1].top, features))
        layers += stage(f"Mconv{{}}_stage{number}", layers[-1].top, REFINEMENT, {"": heatmaps}, activation)
    last = layers.pop()
    return [*layers, Layer(last.name, last.type, last.bottoms, "net_output", last.outputs, last.kernel)]


def hand_relu(name: str) -> str:
    """The hand network counts its activations in a way of its own: Mconv1_stage2 -> Mrelu1_2_stage2_1."""
    odd = {"conv5_3_CPM": "relu5_4_stage1_3", "conv6_1_CPM": "relu6_4_stage1_1"}
    if not name.startswith("Mconv"):
        return odd.get(name) or relu(name)
    number, stage_name = name.removeprefix("Mconv").split("_")
    return f"Mrelu1_{int(number) + 1}_{stage_name}_{number}"


def face_relu(name: str) -> str:
    """conv4_2 -> conv4_2_re."""
    return f"{name}_re"


NETWORKS: dict[str, list[Layer]] = {
    "coco": two_branches(heatmaps=19, fields=38),
    "mpi": two_branches(heatmaps=16, fields=28),
    "mpi_4_stages": two_branches(heatmaps=16, fields=28, stages=4),
    "body_25": body_25(),
    "hand": one_branch(22, hand_relu, pool="pool{}_stage1", join="concat_stage{}"),
    "face": one_branch(71, face_relu, pool="pool{}", join="features_in_stage_{}"),
}


def channels(layers: Iterable[Layer]) -> dict[str, int]:
    """Channels of every top."""
    counts = {"image": 3}
    for layer in layers:
        counts[layer.top] = layer.outputs or sum(counts[bottom] for bottom in layer.bottoms) or counts[layer.top]
    return counts


def parameters(layers: Sequence[Layer]) -> dict[str, int]:
    """Number of weights, biases and slopes of each layer that has any."""
    counts = channels(layers)
    sizes = {}
    for layer in layers:
        if layer.type == "Convolution":
            sizes[layer.name] = layer.outputs * (counts[layer.bottoms[0]] * layer.kernel**2 + 1)
        elif layer.type == "PReLU":
            sizes[layer.name] = counts[layer.top]
    return sizes


def options(layer: Layer) -> str:
    """The block of a layer's own parameters."""
    pad = f" pad: {layer.kernel // 2}" if layer.kernel > 1 else ""
    return {
        "Input": f" input_param {{ shape {{ dim: 1 dim: 3 dim: {SIDE} dim: {SIDE} }} }}",
        "Convolution": f" convolution_param {{ num_output: {layer.outputs} kernel_size: {layer.kernel}{pad} }}",
        "Pooling": f" pooling_param {{ pool: MAX kernel_size: {layer.kernel} stride: 2 }}",
        "Concat": " concat_param { axis: 1 }",
    }.get(layer.type, "")


def prototxt(name: str, layers: Sequence[Layer]) -> str:
    """The network as Caffe's text, a line a layer."""
    lines = [
        f"# {name}: {channels(layers)[layers[-1].top]} maps at an eighth of the input's size.",
        "# Input: blue, green, red, v / 256 - 0.5. Written by tools/make_prototxts.py, where the network is explained.",
        f'name: "{name}"',
    ]
    for layer in layers:
        bottoms = "".join(f' bottom: "{bottom}"' for bottom in layer.bottoms)
        ends = f'{bottoms} top: "{layer.top}"'
        lines.append(f'layer {{ name: "{layer.name}" type: "{layer.type}"{ends}{options(layer)} }}')
    return "\n".join(lines) + "\n"


@ends_unread
def main(target: Path = MODELS) -> None:
    """Write all of them to a folder."""
    for name, layers in NETWORKS.items():
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pose.prototxt").write_text(prototxt(name, layers), encoding="utf-8", newline="\n")
        print(f"{folder / 'pose.prototxt'}: {len(layers)} layers, {sum(parameters(layers).values()):,} parameters")


if __name__ == "__main__":
    main()
