"""Frozen backbones for computing: batch normalisation folded into the convolutions before it."""

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Placement = tuple[torch.device, torch.dtype]


class FrozenBackbone:
    """A backbone that stays as it is, called like it: images N×3×H×W to features N×C, as in eval mode.

    It computes with a folded copy on the backbone's device, which belongs to no state dict. In bf16 on a GPU,
    convolution, residual addition and ReLU are one operation there.

    Args:
        backbone: whose weights no longer change. Networks that cannot be folded are called as they are.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._folded: nn.Module | None = None

    def __call__(self, images: Tensor) -> Tensor:
        if self._folded is None or _placement(self._folded) != _placement(self._backbone):
            self._folded = folded(self._backbone)
        return cast(Tensor, self._folded(images))


def folded(backbone: nn.Module) -> nn.Module:
    """A copy in eval mode whose normalisations are part of the convolutions before them; it cannot be trained.

    A network that has other normalisations than those of our ResNets is returned as it is, in eval mode.
    """
    if not is_residual(backbone):
        return backbone.eval()
    frozen = copy.deepcopy(backbone).eval().requires_grad_(False)
    for module in list(frozen.modules()):
        for convolution, norm in _pairs(module):
            setattr(module, norm, FoldedConvolution(getattr(module, convolution), getattr(module, norm)))
            setattr(module, convolution, nn.Identity())
    return frozen


def is_residual(network: nn.Module) -> bool:
    """Whether a network is one of our ResNets."""
    from trainers.networks.resnets import ResidualMaps  # imports torchvision, which takes a second

    return isinstance(network, ResidualMaps)


class FoldedConvolution(nn.Module):
    """A convolution with the normalisation after it, in that one's place: the convolution's own becomes the identity.

    y = γ (w ∗ x − μ) / √(σ² + ε) + β = w' ∗ x + b'.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = (convolution.weight.double() * scale.view(-1, 1, 1, 1)).to(convolution.weight.dtype)
        bias = (norm.bias.double() - norm.running_mean.double() * scale).to(convolution.weight.dtype)
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.detach())
        self._form: Any = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
        self._rounded: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        """Convolves and normalises, adds a residual, and takes the positive part, as `SplitBatchNorm2d` does."""
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled(x.device.type):
            precision = torch.get_autocast_dtype(x.device.type)
            weight, bias = self._in(precision)
            x = x.to(precision)
            if relu and x.is_cuda and precision == torch.bfloat16:
                return self._fused(x, residual, weight, bias)
        y = F.conv2d(x, weight, bias, *self._form)
        if residual is not None:
            y += residual
        return F.relu_(y) if relu else y

    def _in(self, precision: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weight and bias in another precision; autocast would round them in every pass."""
        if self._rounded is None or self._rounded[0].dtype != precision:
            self._rounded = self.weight.to(precision), self.bias.to(precision)
        return self._rounded

    def _fused(self, x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
        if residual is None:
            return torch.cudnn_convolution_relu(x, weight, bias, *self._form)
        return torch.cudnn_convolution_add_relu(x, weight, residual.to(x.dtype), 1.0, bias, *self._form)


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names of a module's convolutions and of the normalisations after them."""
    if isinstance(module, nn.Sequential):
        shortcut = len(module) == 2 and isinstance(module[0], nn.Conv2d) and isinstance(module[1], nn.BatchNorm2d)
        return [("0", "1")] if shortcut else []
    names = [name for name, child in module.named_children() if isinstance(child, nn.Conv2d)]
    return [(name, name.replace("conv", "bn")) for name in names]


def _placement(network: nn.Module) -> Placement:
    first = next(iter([*network.parameters(), *network.buffers()]))
    return first.device, first.dtype
