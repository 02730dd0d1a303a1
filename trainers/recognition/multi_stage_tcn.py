"""Causal multi-stage temporal convolutional network, and its loss."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.data.frames import UNLABELLED
from trainers.fields import Channels, Layers, Probability
from trainers.runtime import randomness
from trainers.stage import Config

SMOOTHING_CLAMP = 16.0


@dataclass(frozen=True, kw_only=True)
class TemporalNetwork(Config):
    """MS-TCN with causal convolutions (Farha & Gall, arXiv 1903.01945; causal as in TeCNO, arXiv 2003.10751).

    Attributes:
        num_stages: the first reads features, each later one refines the phases of the one before it.
        num_layers: dilated layers per stage; layer i looks 2·2^i steps back.
        num_maps: channels inside a stage.
        dropout: on whole channels of the features, and inside every layer.
    """

    num_stages: Layers = 2
    num_layers: Layers = 12
    num_maps: Channels = 64
    dropout: Probability = 0.5

    def build(self, num_features: int, num_phases: int, seed: int) -> "MultiStageTCN":
        with randomness.torch_seeded(seed, "temporal"):
            return MultiStageTCN(self, num_features, num_phases)


class MultiStageTCN(nn.Module):
    """Features 1×C×T to phase logits of every stage, S×1×P×T."""

    def __init__(self, config: TemporalNetwork, num_features: int, num_phases: int) -> None:
        super().__init__()
        inputs = [num_features] + [num_phases] * (config.num_stages - 1)
        self.channel_dropout = nn.Dropout1d(config.dropout)
        self.stages = nn.ModuleList(_stage(config, channels, num_phases) for channels in inputs)

    def forward(self, features: Tensor) -> Tensor:
        first, *refinements = self.stages
        outputs = [first(self.channel_dropout(features))]
        for stage in refinements:
            outputs.append(stage(outputs[-1].softmax(1)))
        return torch.stack(outputs)


class CausalLayer(nn.Module):
    """A dilated residual layer that sees the past only: B×M×T to B×M×T."""

    def __init__(self, num_maps: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.padding = 2 * dilation
        self.dilated = nn.Conv1d(num_maps, num_maps, 3, dilation=dilation)
        self.pointwise = nn.Conv1d(num_maps, num_maps, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        past = F.relu(self.dilated(F.pad(x, (self.padding, 0))))
        change: Tensor = self.dropout(self.pointwise(past))
        return x + change


def temporal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus a truncated smoothing term, averaged over the stages.

    Source: Farha & Gall, arXiv 1903.01945, eqs. 7 to 11, with weight 1. Steps without a label have no cross-entropy;
    smoothing needs no label, and goes on over them.

    Args:
        logits: S×1×P×T.
        labels: phase of every step, T; -1 where it is unknown. One at least is known.
    """
    per_stage = [F.cross_entropy(stage, labels[None], ignore_index=UNLABELLED) + smoothing(stage) for stage in logits]
    return torch.stack(per_stage).mean()


def smoothing(logits: Tensor) -> Tensor:
    """Mean over phases and steps of min((log p_t − stopgrad(log p_{t−1}))², 16), for logits B×P×T."""
    log_p = logits.log_softmax(1)
    change = log_p[..., 1:] - log_p[..., :-1].detach()
    return change.square().clamp(max=SMOOTHING_CLAMP).mean()


def _stage(config: TemporalNetwork, inputs: int, num_phases: int) -> nn.Module:
    layers = [CausalLayer(config.num_maps, 2**i, config.dropout) for i in range(config.num_layers)]
    return nn.Sequential(nn.Conv1d(inputs, config.num_maps, 1), *layers, nn.Conv1d(config.num_maps, num_phases, 1))
