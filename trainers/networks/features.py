"""Inputs and outputs of a backbone: normalised images and pooled features."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from trainers.data.frames import Frames
from trainers.data.loading import plain_batches
from trainers.fields import Precision
from trainers.networks.folding import FrozenBackbone

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FEATURE_BATCH = 256


def features_of(
    backbone: nn.Module | FrozenBackbone,
    frames: Frames,
    size_px: int,
    device: torch.device,
    threads: int,
    precision: Precision = "fp32",
) -> Tensor:
    """Pooled features of every frame, in row order: float32 on the CPU, N×C. There must be a frame.

    Args:
        backbone: the network.
        frames: whose rows are read.
        size_px: side of the square input.
        device: to compute on.
        threads: how many decode at once.
        precision: of the forward pass.
    """
    network = frozen(backbone, precision)
    on_gpu = device.type == "cuda"
    rows: list[Tensor] = []
    for batch in plain_batches(frames, size_px, FEATURE_BATCH, threads, pin_memory=on_gpu):
        found = forward(network, network_input(batch, device), precision)
        rows.append(torch.empty(found.shape, pin_memory=on_gpu).copy_(found, non_blocking=True))
    if on_gpu:
        torch.cuda.synchronize(device)  # no batch waits for the copy of the one before it
    return torch.cat(rows)


def frozen(backbone: nn.Module | FrozenBackbone, precision: Precision) -> nn.Module | FrozenBackbone:
    """A backbone that stays as it is, in eval mode; in bf16 its normalisations are folded into its convolutions."""
    if isinstance(backbone, FrozenBackbone):
        return backbone
    return FrozenBackbone(backbone.eval()) if precision == "bf16" else backbone.eval()


@torch.inference_mode()
def forward(network: Callable[[Tensor], Tensor], inputs: Tensor, precision: Precision) -> Tensor:
    """What a network gives for inputs, without a gradient: float32, on their device."""
    with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        found: Tensor = network(inputs)
    return found.float()


def network_input(images: Tensor, device: torch.device) -> Tensor:
    """Images (N×3×S×S, uint8 RGB) as a backbone takes them: on the device, normalised, channels last.

    From page-locked memory the copy goes on beside the GPU's work.
    """
    return normalise(images.to(device, non_blocking=True)).contiguous(memory_format=torch.channels_last)


def normalise(images: Tensor) -> Tensor:
    """Images (…×3×H×W, uint8 RGB) as float32 with ImageNet's mean and standard deviation, on their own device."""
    scale, shift = _normalisation(images.device)
    return images.float().mul_(scale).add_(shift)  # on a CPU faster than a product of mixed types


@cache
def _normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return 1 / (255 * std), -mean / std
