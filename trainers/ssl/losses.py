"""Losses of contrastive and rival self-supervision, and a measure of collapse, as functions of tensors."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def dictionary_logits(queries: Tensor, keys: Tensor, queue: Tensor) -> Tensor:
    """Cosine similarities of every query to its dictionary: the positive key first, then the queue.

    Args:
        queries: L2-normalised, N×C.
        keys: L2-normalised positive keys, N×C.
        queue: L2-normalised keys of earlier batches, C×K.

    Returns:
        N×(1+K), not yet divided by a temperature; in the queries' precision, whatever autocast says.
    """
    with torch.autocast(queries.device.type, enabled=False):
        positive = (queries * keys).sum(1, keepdim=True)
        negatives = queries @ queue.clone()  # the queue changes before the backward pass
    return torch.cat([positive, negatives], dim=1)


def region_logits(regions: Tensor, keys: Tensor, neighbours: Tensor, queue: Tensor) -> Tensor:
    """Cosine similarities of one part of a composite image: to its own image's key, the queue, and the other part.

    `[r·k, r·k_1 … r·k_K, r·sg(r')]`: the part of the other image in the same composite is one more negative.

    Source: RegionCL, Xu et al., arXiv 2111.12309, Sec. 3.2.

    Args:
        regions: L2-normalised embeddings r of one part, N×C.
        keys: L2-normalised keys of the images that these parts were cut from, N×C.
        neighbours: L2-normalised embeddings r' of the other part of the same composites, N×C; no gradient goes there.
        queue: L2-normalised keys of earlier batches, C×K.

    Returns:
        N×(2+K), not yet divided by a temperature; in the regions' precision, whatever autocast says.
    """
    with torch.autocast(regions.device.type, enabled=False):
        other = (regions * neighbours.detach()).sum(1, keepdim=True)
    return torch.cat([dictionary_logits(regions, keys, queue), other], dim=1)


def info_nce(logits: Tensor, temperature: float) -> Tensor:
    """Contrastive loss over a dictionary whose first entry is the positive; the mean over queries.

    Source: Ding et al., MICCAI 2022, eq. 2; MoCo, He et al., arXiv 1911.05722, eq. 1.

    Args:
        logits: similarities, N×(1+K).
        temperature: τ.
    """
    return F.cross_entropy(logits / temperature, logits.new_zeros(len(logits), dtype=torch.long))


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """D(p, z) = −p/‖p‖ · z/‖z‖, where z is held constant (stop-gradient); the mean over rows.

    Source: Chen and He, arXiv 2011.10566, eqs. 1 and 3.

    Args:
        predictions: p, N×C.
        targets: z of the other view, N×C; no gradient goes there.
    """
    p, z = (
        F.normalize(each.to(torch.promote_types(each.dtype, torch.float32)), dim=1) for each in (predictions, targets)
    )
    return -(p * z.detach()).sum(1).mean()


def prototype_scores(embeddings: Tensor, prototypes: Tensor) -> Tensor:
    """Cosine similarities S of embeddings and prototypes.

    Args:
        embeddings: L2-normalised, B×C.
        prototypes: L2-normalised, K×C.

    Returns:
        B×K, in the embeddings' precision, whatever autocast says.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        return embeddings @ prototypes.to(embeddings.dtype).T


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, num_iterations: int) -> Tensor:
    """Codes Q that share a batch out among the prototypes as evenly as the scores S allow.

    Q = Diag(u) exp(S/ε) Diag(v): the sums over the batch are made equal, then every row's sum is made one, and so on.
    Source: Caron et al., arXiv 2006.09882, eq. 5; Cuturi, arXiv 1306.0895. Computed in the logarithm and at least in
    single precision, so that no ε overflows.

    Args:
        scores: S of the whole batch, B×K.
        epsilon: ε; the smaller, the sharper the codes.
        num_iterations: how often the sums are made equal and one.

    Returns:
        B×K; every row sums to one, every column roughly to B/K. No gradient goes through it.
    """
    log_codes = scores.to(torch.promote_types(scores.dtype, torch.float32)) / epsilon
    for _ in range(num_iterations):
        log_codes = log_codes - log_codes.logsumexp(0, keepdim=True)
        log_codes = log_codes - log_codes.logsumexp(1, keepdim=True)
    return log_codes.exp()


def swapped_prediction(scores: Sequence[Tensor], codes: Sequence[Tensor], temperature: float) -> Tensor:
    """Predicts the codes of each full crop i from every other crop v.

    ℓ = mean_i mean_{v ≠ i} −Σ_k q_i^(k) log p_v^(k), where p_v = softmax(S_v/τ); the mean over rows.
    Source: Caron et al., arXiv 2006.09882, eqs. 2 and 6.

    Args:
        scores: S_v of all crops, N×K each, the full ones first.
        codes: Q_i of the full crops, N×K each; constant.
        temperature: τ.
    """
    log_p = [F.log_softmax(each / temperature, dim=1) for each in scores]
    losses = [
        -(q_i * log_p_v).sum(1).mean() for i, q_i in enumerate(codes) for v, log_p_v in enumerate(log_p) if v != i
    ]
    return torch.stack(losses).mean()


def embedding_std(z: Tensor) -> Tensor:
    """Standard deviation of z/‖z‖ over the batch, mean over channels, times √C: near 1 when healthy, 0 when collapsed.

    Source: Chen and He, arXiv 2011.10566, Sec. 4.1.

    Args:
        z: the embeddings of the whole batch, N×C.
    """
    unit = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
    return unit.std(0).mean() * math.sqrt(z.shape[1])
