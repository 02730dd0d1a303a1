"""Projection heads."""

from collections import OrderedDict

from torch import nn

from trainers.runtime import randomness


def projection_mlp(num_features: int, embedding_size: int, seed: int, purpose: str) -> nn.Module:
    """MoCo v2's two-layer head: features N×F to embeddings N×C, with a hidden layer as wide as the features.

    Source: Chen et al., arXiv 2003.04297, Sec. 2.
    """
    with randomness.torch_seeded(seed, purpose):
        return nn.Sequential(
            OrderedDict(
                hidden=nn.Linear(num_features, num_features),
                relu=nn.ReLU(),
                output=nn.Linear(num_features, embedding_size),
            )
        )
