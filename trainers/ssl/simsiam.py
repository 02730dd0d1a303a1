"""SimSiam: two views that predict each other, without negatives and without a momentum encoder.

Chen and He, arXiv 2011.10566, Alg. 1 and eq. 2: L = D(p_1, sg(z_2)) / 2 + D(p_2, sg(z_1)) / 2, where D is the negative
cosine similarity and sg stops the gradient.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainers.fields import Channels
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureMaps
from trainers.networks.batch_norm import SyncBatchNorm1d
from trainers.runtime import distributed, randomness
from trainers.ssl.encoders import Encoder, SingleEncoder
from trainers.ssl.losses import embedding_std, negative_cosine
from trainers.ssl.method import Method, MethodConfig, Views, check_synchronised


class SimSiamMethod(Method):
    """SimSiam's step, in the order of Chen and He, arXiv 2011.10566, Alg. 1.

    All normalisation, in the backbone too, is over the whole batch of one view. The predictor's learning rate is not
    decayed (Sec. 4.2): it should stay the best one for the latest representations.
    """

    advice = "lower the learning rate"

    def __init__(self, encoders: SingleEncoder, predictor: nn.Module) -> None:
        super().__init__()
        self.encoders = encoders
        self.predictor = predictor
        self._output_std = torch.zeros(())

    def fixed_rate_parameters(self) -> Iterable[nn.Parameter]:
        return self.predictor.parameters()

    def metrics(self) -> Mapping[str, Tensor]:
        return {"output_std": self._output_std}

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        f, h = self._project, self.predictor
        z_1, z_2 = f(views.query), f(views.key)  # N×C
        p_1, p_2 = h(z_1), h(z_2)  # N×C
        self._output_std = embedding_std(distributed.all_gather(z_1.detach()))
        return {"similarity": negative_cosine(p_1, z_2) / 2 + negative_cosine(p_2, z_1) / 2}

    def _project(self, images: Tensor) -> Tensor:
        """The encoder f: backbone and projector; its output is not normalised."""
        encoder = self.encoders.query
        projected: Tensor = encoder.head(encoder.backbone(images))
        return projected


@dataclass(frozen=True, kw_only=True)
class SimSiam(MethodConfig):
    """Hyperparameters of SimSiam (Chen and He, arXiv 2011.10566).

    Its recipe: SGD with learning rate 0.05 · batch/256, momentum 0.9, weight decay 1e-4, 100 epochs of batch 512.

    Attributes:
        embedding_size: length of the projector's output; the projector's hidden layers are as wide as the features.
        predictor_size: width of the predictor's hidden layer, its bottleneck.
    """

    has_key_encoder: ClassVar[bool] = False

    embedding_size: Channels = 2048
    predictor_size: Channels = 512

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        network = backbone.build(seed)
        assert isinstance(network, FeatureMaps)
        network.zero_last_norms()
        encoder = Encoder(network, projection_mlp(backbone.num_features, self.embedding_size, seed))
        return SimSiamMethod(SingleEncoder(encoder), prediction_mlp(self.embedding_size, self.predictor_size, seed))

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_synchronised(backbone, batch_size)

    @property
    def forward_equivalents(self) -> float:
        return 6


def projection_mlp(num_features: int, embedding_size: int, seed: int) -> nn.Module:
    """Three layers, normalised each; the last has no ReLU, and no scale and shift either (as in the authors' code)."""
    with randomness.torch_seeded(seed, "head"):
        return nn.Sequential(
            OrderedDict(
                hidden_1=nn.Linear(num_features, num_features, bias=False),
                norm_1=SyncBatchNorm1d(num_features),
                relu_1=nn.ReLU(),
                hidden_2=nn.Linear(num_features, num_features, bias=False),
                norm_2=SyncBatchNorm1d(num_features),
                relu_2=nn.ReLU(),
                output=nn.Linear(num_features, embedding_size, bias=False),
                norm_3=SyncBatchNorm1d(embedding_size, affine=False),
            )
        )


def prediction_mlp(embedding_size: int, hidden_size: int, seed: int) -> nn.Module:
    """Two layers with a bottleneck between them; the output is not normalised."""
    with randomness.torch_seeded(seed, "predictor"):
        return nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(embedding_size, hidden_size, bias=False),
                norm=SyncBatchNorm1d(hidden_size),
                relu=nn.ReLU(),
                output=nn.Linear(hidden_size, embedding_size),
            )
        )
