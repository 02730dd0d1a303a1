"""SwAV: online clustering, in which each view of a frame predicts the cluster assignment of another.

Caron et al., arXiv 2006.09882, Alg. 1 and eq. 2: L(z_t, z_s) = ℓ(z_t, q_s) + ℓ(z_s, q_t), where ℓ is the cross-entropy
between a code q, from the Sinkhorn-Knopp algorithm, and the softmax of prototype scores z·c/τ.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.fields import Channels, Count, CountOrZero, Layers, Positive, Temperature
from trainers.networks.architectures import AnyBackbone
from trainers.networks.batch_norm import SyncBatchNorm1d
from trainers.runtime import distributed, randomness
from trainers.ssl.encoders import Encoder, SingleEncoder, embed
from trainers.ssl.losses import prototype_scores, sinkhorn, swapped_prediction
from trainers.ssl.method import Chance, Method, MethodConfig, Views, check_queue, check_synchronised
from trainers.ssl.queue import Queue
from trainers.stage import InputError

FULL_CROPS = ("first", "second")


class SwAVMethod(Method):
    """SwAV's step, in the order of Caron et al., arXiv 2006.09882, Alg. 1, with multi-crop and queues.

    Codes are of the embeddings of all workers: every worker computes those of the whole batch and takes its own rows.
    """

    advice = "lower the learning rate, or raise epsilon or the temperature of the prototypes"

    def __init__(self, config: "SwAV", encoders: SingleEncoder, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = encoders
        with randomness.torch_seeded(seed, "prototypes"):
            self.prototypes = nn.Linear(config.embedding_size, config.num_prototypes, bias=False)
        self.queue = Queue(config.queue_size, dict.fromkeys(FULL_CROPS, config.embedding_size), seed)

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        config = self.config
        c = self._normalised_prototypes(views.epoch)  # K×C
        z = self._embeddings(views)  # N×C for every crop, the full ones first
        self.note_embeddings(z[0])
        scores = [prototype_scores(z_v, c) for z_v in z]  # N×K
        full = dict(zip(FULL_CROPS, z[:2], strict=True))
        codes = [self._codes(name, z_i, c) for name, z_i in full.items()]  # N×K
        if views.epoch >= config.queue_from_epoch:
            self.queue.enqueue(full, views.frame_ids)
        return {"swapped_prediction": swapped_prediction(scores, codes, config.temperature)}

    def _normalised_prototypes(self, epoch: int) -> Tensor:
        """The prototypes, brought back to unit length; as long as they are frozen, no gradient moves them."""
        weight = self.prototypes.weight
        with torch.no_grad():
            weight.copy_(F.normalize(weight, dim=1))
        return weight if epoch >= self.config.frozen_epochs else weight.detach()

    def _embeddings(self, views: Views) -> Sequence[Tensor]:
        """Embeds all crops: one pass of the backbone for each resolution, one of the head for all."""
        encoder = self.encoders.query
        features = [encoder.backbone(torch.cat([views.query, views.key]))]
        if views.small:
            features.append(encoder.backbone(torch.cat(views.small)))
        return embed(encoder.head, torch.cat(features)).chunk(2 + len(views.small))

    @torch.no_grad()
    def _codes(self, name: str, z: Tensor, c: Tensor) -> Tensor:
        """The codes of this worker's rows of a full crop, among all workers' rows and, once it is full, the queue's."""
        rows = distributed.all_gather(z)
        batch_size = len(rows)
        if self.queue.num_filled == self.queue.size:
            rows = torch.cat([self.queue.bank(name).T, rows])
        config = self.config
        codes = sinkhorn(prototype_scores(rows, c), epsilon=config.epsilon, num_iterations=config.num_iterations)
        return distributed.local_rows(codes[-batch_size:])


@dataclass(frozen=True, kw_only=True)
class SwAV(MethodConfig):
    """Hyperparameters of SwAV (Caron et al., arXiv 2006.09882).

    Its recipe, at batch 256: `LARCOptimisation` with its defaults, and views from `MultiCropAugmentation`.

    Attributes:
        num_prototypes: K, the number of clusters; far fewer than the paper's for small data.
        temperature: τ of the softmax that predicts the codes.
        epsilon: ε, how evenly rather than faithfully the codes share a batch out among the prototypes.
        num_iterations: of the Sinkhorn-Knopp algorithm.
        frozen_epochs: the prototypes stay as they are during the first epochs.
        queue_size: embeddings of earlier batches, per full crop, that are shared out with those of a batch.
        queue_from_epoch: the epoch (0-based) from which on the queue is filled; it is used once it is full.
        embedding_size: C, length of the embeddings and of the prototypes.
    """

    has_key_encoder: ClassVar[bool] = False

    num_prototypes: Channels = 3000
    temperature: Temperature = 0.1
    epsilon: Positive = 0.05
    num_iterations: Layers = 3
    frozen_epochs: CountOrZero = 1
    queue_size: Count = 3840
    queue_from_epoch: CountOrZero = 15
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        head = projection_mlp(backbone.num_features, self.embedding_size, seed)
        return SwAVMethod(self, SingleEncoder(Encoder(backbone.build(seed), head)), seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_synchronised(backbone, batch_size)
        check_queue(self.queue_size, batch_size)
        if self.num_prototypes < 2:
            raise InputError(f"num_prototypes is {self.num_prototypes}: it must be at least 2.")

    def chance(self) -> Mapping[str, Chance]:
        return {"swapped_prediction": Chance(math.log(self.num_prototypes), "ln(prototypes)")}

    @property
    def forward_equivalents(self) -> float:
        return 6


def projection_mlp(num_features: int, embedding_size: int, seed: int) -> nn.Module:
    """Two layers, the hidden one normalised (as in the authors' code)."""
    with randomness.torch_seeded(seed, "head"):
        return nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(num_features, num_features),
                norm=SyncBatchNorm1d(num_features),
                relu=nn.ReLU(),
                output=nn.Linear(num_features, embedding_size),
            )
        )
