"""Layer-wise adaptive rates: stochastic gradient descent with steps in proportion to the norm of the parameters."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.fields import BatchSize, LearningRate, Positive, Weight
from trainers.networks import schedules
from trainers.ssl.loop import Optimisation

EPSILON = 1e-8
WEIGHT_DECAY = "layer_weight_decay"
"""Key of a group's weight decay, which SGD itself must not add a second time."""


@dataclass(frozen=True, kw_only=True)
class LARCOptimisation(Optimisation):
    """SwAV's optimiser for small batches (Caron et al., arXiv 2006.09882, appendix A.2, and its code).

    The learning rate falls along a cosine, epoch by epoch, without warm-up.

    Attributes:
        final_learning_rate: where the cosine ends.
        trust_coefficient: η, the length of a step relative to the parameter's, at learning rate 1.
    """

    batch_size: BatchSize = 256
    learning_rate: LearningRate = 0.6
    weight_decay: Weight = 1e-6
    final_learning_rate: LearningRate = 0.0006
    trust_coefficient: Positive = 0.001

    def optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return LARC(
            groups,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            trust_coefficient=self.trust_coefficient,
        )

    def learning_rate_at(self, epoch: int) -> float:
        return schedules.cosine(self.learning_rate, epoch, self.epochs, self.final_learning_rate)


class LARC(torch.optim.SGD):
    """SGD on g ← η ‖w‖ / (‖g‖ + λ ‖w‖) · (g + λ w), for every parameter w with gradient g and weight decay λ.

    Where w or g is zero, g stays as it is and nothing decays, as in NVIDIA Apex, which SwAV's authors use.
    Source: You et al., arXiv 1708.03888, eq. 6.

    Args:
        groups: of parameters.
        lr: learning rate.
        momentum: of the scaled gradients.
        weight_decay: λ.
        trust_coefficient: η.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        trust_coefficient: float,
    ) -> None:
        decaying = [{WEIGHT_DECAY: weight_decay, **group} for group in groups]
        super().__init__(decaying, lr=lr, momentum=momentum, weight_decay=0.0, foreach=True)
        self.trust_coefficient = trust_coefficient

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # gradients are there before it is called
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._scale_(weight.grad, weight, group[WEIGHT_DECAY])
        super().step()

    @torch.no_grad()
    def _scale_(self, gradient: Tensor, weight: Tensor, decay: float) -> None:
        weight_norm, gradient_norm = weight.norm(), gradient.norm()
        rate = self.trust_coefficient * weight_norm / (gradient_norm + decay * weight_norm + EPSILON)
        adapts = (weight_norm > 0) & (gradient_norm > 0)
        gradient.copy_(torch.where(adapts, rate * (gradient + decay * weight), gradient))
