"""Batch normalisation over all workers' rows, on any device: N workers compute what one process computes."""

import functools
import importlib.util
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.runtime import distributed


class SyncBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation of N×C features whose training statistics are those of all workers' rows."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        return normalise_together(self, x)


def normalise_together(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalises this worker's rows (N×C or N×C×H×W) by the statistics of all workers' and moves the running ones.

    Torch's SyncBatchNorm does the same, but on GPUs alone.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    y, mean, variance = _Normalise.apply(x, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        count = distributed.global_batch(x.numel() // x.shape[1])
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
        norm.running_var.lerp_((variance * count / (count - 1)).to(norm.running_var.dtype), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
    return cast(Tensor, y)


@functools.cache
def kernels_available() -> bool:
    """Whether the kernels of `batch_norm_kernels` can be compiled here: torch for CUDA comes with Triton on Linux."""
    return importlib.util.find_spec("triton") is not None


def normalise_in_parts(
    x: Tensor, weight: Tensor, bias: Tensor, means: Tensor, variances: Tensor, momentum: float, epsilon: float
) -> Tensor:
    """Normalises consecutive parts of a batch by the statistics of each, and moves each part's running statistics.

    Args:
        x: N×C×H×W; S, the number of parts, divides N.
        weight: γ, C.
        bias: β, C.
        means: running means of the parts, S×C; changed in place. `variances` likewise.
        variances: running variances.
        momentum: of the running statistics.
        epsilon: ε.
    """
    return cast(Tensor, _NormaliseParts.apply(x, weight, bias, means, variances, momentum, epsilon))


class _NormaliseParts(torch.autograd.Function):
    """Torch's own batch normalisation of each part, written into one tensor: nothing is copied together."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        means: Tensor,
        variances: Tensor,
        momentum: float,
        epsilon: float,
    ) -> Tensor:
        y, num_parts = torch.empty_like(x), len(means)
        centres, scales = torch.empty_like(means), torch.empty_like(means)
        for index, (part, out) in enumerate(zip(x.chunk(num_parts), y.chunk(num_parts), strict=True)):
            moving = means[index], variances[index]
            kept = {"save_mean": centres[index], "save_invstd": scales[index]}
            torch.ops.aten.native_batch_norm.out(part, weight, bias, *moving, True, momentum, epsilon, out=out, **kept)
        ctx.save_for_backward(x, weight, centres, scales)
        ctx.epsilon = epsilon
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, centres, scales = ctx.saved_tensors
        num_parts, x_gradient = len(centres), torch.empty_like(x)
        gradient = _laid_out_as(x, gradients[0])
        own = torch.empty_like(centres), torch.empty_like(centres)
        for index, (part, out, of_part) in enumerate(
            zip(x.chunk(num_parts), x_gradient.chunk(num_parts), gradient.chunk(num_parts), strict=True)
        ):
            kept = centres[index], scales[index]
            results = {"out0": out, "out1": own[0][index], "out2": own[1][index]}
            torch.ops.aten.native_batch_norm_backward.out(
                of_part, part, weight, None, None, *kept, True, ctx.epsilon, [True, True, True], **results
            )
        weight_gradient, bias_gradient = (sum(reversed(each.unbind())) for each in own)  # in autograd's order
        return x_gradient, cast(Tensor, weight_gradient), cast(Tensor, bias_gradient), None, None, None, None


def _laid_out_as(x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the memory format of x, which the parts' kernels ask for."""
    return gradient if gradient.stride() == x.stride() else torch.empty_like(x).copy_(gradient)


class _Normalise(torch.autograd.Function):
    """x ↦ γ (x − μ) / √(σ² + ε) + β, with μ and σ² over all workers' rows; the gradient goes through both."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = _at_least_single(x)
        variance, mean = torch.var_mean(own, dim=_rows(x), correction=0)
        means, variances = distributed.all_gather(torch.stack([mean, variance])[None]).unbind(1)  # workers×C
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)  # every worker has equally many rows
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.epsilon = epsilon
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, epsilon), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, variance = ctx.saved_tensors
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale = torch.rsqrt(variance + ctx.epsilon)
        gradient = _at_least_single(gradients[0])
        normalised = (_at_least_single(x) - mean.view(shape)) * scale.view(shape)
        product = gradient * normalised
        weight_gradient = bias_gradient = None
        if weight is not None:
            weight_gradient = product.sum(_rows(x)).to(weight.dtype)
            bias_gradient = gradient.sum(_rows(x)).to(weight.dtype)
            scale = scale * weight
        through = torch.stack([gradient.mean(_rows(x)), product.mean(_rows(x))])
        distributed.average_([through])
        shift, slope = (each.view(shape) for each in through)
        x_gradient = (gradient - shift - normalised * slope) * scale.view(shape)
        return x_gradient.to(x.dtype), weight_gradient, bias_gradient, None


def _rows(x: Tensor) -> list[int]:
    """The dimensions that statistics are taken over: all but the channels."""
    return [dimension for dimension in range(x.dim()) if dimension != 1]


def _at_least_single(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
