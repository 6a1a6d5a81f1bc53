"""A Caffe network in PyTorch, built from the layers of a prototxt, so that the published network is the trained one.

>>> net = CaffeNet(parse_prototxt('''layer { name: "image" type: "Input" top: "image" }
... layer { name: "conv" type: "Convolution" bottom: "image" top: "conv"
...   convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }'''))
>>> net(torch.zeros(1, 3, 8, 8)).shape
torch.Size([1, 2, 8, 8])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from posecv.formats.caffe import Message, layers_of, parse_prototxt
from training.designs import LARGEST_OF_4

__all__ = ["CaffeNet", "computed_in", "parse_prototxt"]

Weights = Mapping[str, Sequence[NDArray[np.float32]]]

UNCHANGED = "ReLU", "ELU", "Sigmoid", "Eltwise"  # types of layers with as many channels as their first bottom


def computed_in(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which networks compute with this precision; float32 changes nothing."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def bilinear(factor: int) -> Tensor:
    """(2 factor, 2 factor) kernel of a deconvolution that enlarges by linear interpolation."""
    line = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    return line[:, None] * line


class CaffeNet(nn.Module):
    """The network of a prototxt: Convolution, Deconvolution, Pooling (the largest of 2 x 2), ReLU, ELU,
    Sigmoid, Eltwise (sum) and Concat.

    Parameters
    ----------
    message : Message
        As `posecv.formats.caffe.parse_prototxt` gives it.
    weights : mapping, optional
        As `posecv.formats.caffe.read_caffemodel` gives them. Layers without weights get random ones (He); depthwise
        deconvolutions enlarge by linear interpolation and stay fixed.
    inputs : int
        Channels of the image.
    """

    def __init__(self, message: Message, weights: Weights | None = None, *, inputs: int = 3) -> None:
        super().__init__()
        self.steps: list[tuple[str, str, list[str], str]] = []
        self.convolutions = nn.ModuleDict()
        channels: dict[str, int] = {}
        for layer in layers_of(message):
            name, kind, bottoms, top = layer["name"][0], layer["type"][0], layer.get("bottom", []), layer["top"][0]
            if kind == "Input":
                channels[top] = inputs
                self.input = top
                continue
            if kind.endswith("onvolution"):
                made = _convolution(kind, layer["convolution_param"][0], channels[bottoms[0]])
                self.convolutions[_key(name)] = made
                channels[top] = made.out_channels
            elif kind == "Concat":
                channels[top] = sum(channels[bottom] for bottom in bottoms)
            elif kind in UNCHANGED or (kind == "Pooling" and layer["pooling_param"] == [LARGEST_OF_4]):
                channels[top] = channels[bottoms[0]]
            else:
                raise ValueError(f"layer {name}: type {kind} is not among those that can be trained here")
            self.steps.append((name, kind, bottoms, top))
        self.channels = channels
        self.bottoms = {name: bottoms[0] for name, _, bottoms, _ in self.steps}
        if weights is not None:
            self.load_weights(weights)

    def load_weights(self, weights: Weights, *, strict: bool = True) -> list[str]:
        """Load the weights of layers with the same name and shape; return the names of the other layers."""
        missing = []
        for key, module in self.convolutions.items():
            blobs = weights.get(_name(key), [])
            wanted = [parameter for parameter in (module.weight, module.bias) if parameter is not None]
            shapes = [tuple(parameter.shape) for parameter in wanted]
            if [blob.shape for blob in blobs] != shapes:
                if strict:
                    raise ValueError(f"layer {_name(key)} wants {shapes}, not {[blob.shape for blob in blobs]}")
                missing.append(_name(key))
                continue
            with torch.no_grad():
                for parameter, blob in zip(wanted, blobs, strict=True):
                    parameter.copy_(torch.from_numpy(np.array(blob)))
        return missing

    def weights(self) -> dict[str, list[NDArray[np.float32]]]:
        """The weights as `posecv.formats.caffe.write_caffemodel` takes them."""
        return {
            _name(key): [blob.detach().float().cpu().numpy() for blob in (each.weight, each.bias) if blob is not None]
            for key, each in self.convolutions.items()
        }

    def tops(self, picture: Tensor, wanted: Sequence[str] = ()) -> dict[str, Tensor]:
        """The last layer's output under "", and the named outputs; computes only what they need."""
        left, kept = set(wanted), {}
        values = {self.input: picture}
        for position, (name, kind, bottoms, top) in enumerate(self.steps):
            x = values[bottoms[0]]
            if kind.endswith("onvolution"):
                x = _convolved(self.convolutions[_key(name)], x)
            elif kind == "ReLU":
                x = torch.relu(x)
            elif kind == "ELU":
                x = nn.functional.elu(x)
            elif kind == "Sigmoid":
                x = torch.sigmoid(x)
            elif kind == "Pooling":
                x = nn.functional.max_pool2d(x, 2)
            elif kind == "Eltwise":
                x = sum((values[bottom] for bottom in bottoms[1:]), start=x)
            else:
                x = torch.cat([values[bottom] for bottom in bottoms], dim=1)
            values[top] = x
            if top in left and all(top != later[3] for later in self.steps[position + 1 :]):
                kept[top] = x
                left.discard(top)
                if not left and "" not in wanted and wanted:
                    return kept
        return {**kept, "": x}

    def forward(self, picture: Tensor) -> Tensor:
        return self.tops(picture)[""]


def _convolved(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer's output; a CPU computes strided layers of single channels two to three times as fast in float32."""
    if x.device.type == "cpu" and layer.groups > 1 and layer.stride[0] > 1:
        with torch.autocast("cpu", enabled=False):
            return layer(x.float())
    return layer(x)


def _convolution(kind: str, param: Mapping[str, Sequence[Any]], inputs: int) -> nn.Conv2d | nn.ConvTranspose2d:
    def of(name: str, default: int) -> int:
        return int(param.get(name, [default])[-1])

    kernel, groups = of("kernel_size", 1), of("group", 1)
    options = {"stride": of("stride", 1), "padding": of("pad", 0), "dilation": of("dilation", 1), "groups": groups}
    bias = bool(param.get("bias_term", [True])[-1])
    if kind == "Convolution":
        made = nn.Conv2d(inputs, of("num_output", 0), kernel, bias=bias, **options)
        nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    else:
        made = nn.ConvTranspose2d(inputs, of("num_output", 0), kernel, bias=bias, **options)
        if groups == inputs > 1:
            made.weight.data[:] = bilinear(options["stride"])
            made.weight.requires_grad_(False)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def _key(name: str) -> str:
    return name.replace(".", "\\")


def _name(key: str) -> str:
    return key.replace("\\", ".")
