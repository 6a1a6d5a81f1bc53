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

EPSILON = 1e-5  # is added to variances
MOMENTUM = 0.02  # share of the newest batch in the running means and variances
UNCHANGED = "ReLU", "ELU", "Sigmoid", "Eltwise"  # types of layers with as many channels as their first bottom


def computed_in(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which networks compute with this precision; float32 changes nothing."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def bilinear(factor: int) -> Tensor:
    """(2 factor, 2 factor) kernel of a deconvolution that enlarges by linear interpolation."""
    line = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    return line[:, None] * line


class Normalisation(nn.Module):
    """Batch normalisation of a layer's output while it learns; what ships has it folded into the layer's weights.

    PyTorch's own counts batches in an integer, which has no running mean.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_var
        return nn.functional.batch_norm(x, *statistics, self.weight, self.bias, self.training, MOMENTUM, EPSILON)

    def folded(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
        """Weights and bias with which the layer alone gives what both give when they do not learn."""
        gain = self.weight / torch.sqrt(self.running_var + EPSILON)
        outputs = (-1, 1, 1, 1) if isinstance(layer, nn.Conv2d) else (1, -1, 1, 1)
        return layer.weight * gain.reshape(outputs), (layer.bias - self.running_mean) * gain + self.bias

    def be_neutral(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Take over mean and variance of this output, and give it back as it is: a hook of the layer."""
        self.running_mean.copy_(output.mean((0, 2, 3)))
        self.running_var.copy_(output.var((0, 2, 3)))
        self.bias.data.copy_(self.running_mean)
        self.weight.data.copy_(torch.sqrt(self.running_var + EPSILON))


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
    normalised_except : sequence of str, optional
        Normalise the output of every layer that learns (Ioffe and Szegedy, 2015), except of these; by default of none.
    """

    def __init__(
        self,
        message: Message,
        weights: Weights | None = None,
        *,
        inputs: int = 3,
        normalised_except: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.normalisations = nn.ModuleDict()
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
                if normalised_except is not None and name not in normalised_except and made.bias is not None:
                    self.normalisations[_key(name)] = Normalisation(made.out_channels)
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
        """The weights as `posecv.formats.caffe.write_caffemodel` takes them, with the normalisations in them."""
        made = {}
        for key, layer in self.convolutions.items():
            blobs = self.normalisations[key].folded(layer) if key in self.normalisations else (layer.weight, layer.bias)
            made[_name(key)] = [blob.detach().float().cpu().numpy() for blob in blobs if blob is not None]
        return made

    @torch.no_grad()
    def calibrate(self, crops: Tensor) -> None:
        """Let the normalisations change nothing on these crops, so that weights learnt without them can go on."""
        hooks = [
            self.convolutions[key].register_forward_hook(norm.be_neutral) for key, norm in self.normalisations.items()
        ]
        learning = self.training
        self.eval()(crops)
        self.train(learning)
        for hook in hooks:
            hook.remove()

    def tops(self, picture: Tensor, wanted: Sequence[str] = ()) -> dict[str, Tensor]:
        """The last layer's output under "", and the named outputs; computes only what they need."""
        left, kept = set(wanted), {}
        values = {self.input: picture}
        for position, (name, kind, bottoms, top) in enumerate(self.steps):
            x = values[bottoms[0]]
            if kind.endswith("onvolution"):
                key = _key(name)
                x = _convolved(self.convolutions[key], x)
                x = self.normalisations[key](x) if key in self.normalisations else x
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
