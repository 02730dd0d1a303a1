import copy
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import log_softmax, normalize

from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, ONE_SPLIT, STEPS_PER_EPOCH, new_optimiser, take_steps, views
from trainers.ssl.swav import SwAV
from trainers.stage import InputError

CONFIG = SwAV(num_prototypes=12, queue_size=2 * BATCH, queue_from_epoch=1, embedding_size=EMBEDDING)
FULL_AT = 2 * STEPS_PER_EPOCH
"""The first step that finds the queue full."""


def new_method(**changes):
    return replace(CONFIG, **changes).build(ONE_SPLIT, {}, seed=7).double()


def codes_of(scores):
    """Caron et al., arXiv 2006.09882, appendix A.1: `sinkhorn`, written as there."""
    q = torch.exp(scores / 0.05).T
    q /= q.sum()
    num_prototypes, num_rows = q.shape
    for _ in range(3):
        q /= q.sum(dim=1, keepdim=True)
        q /= num_prototypes
        q /= q.sum(dim=0, keepdim=True)
        q /= num_rows
    return (q * num_rows).T


def loss_of(encoder, prototypes, queues, batch):
    """One step of Alg. 1 with multi-crop; returns the loss and the full crops' embeddings."""
    c = normalize(prototypes, dim=1)
    resolutions = [torch.cat([batch.query, batch.key]), torch.cat(batch.small)]
    features = torch.cat([encoder.backbone(each) for each in resolutions])
    z = normalize(encoder.head(features), dim=1).split(BATCH)
    loss = 0
    for i in range(2):
        rows = torch.cat([queues[i], z[i]]) if len(queues[i]) == CONFIG.queue_size else z[i]
        q = codes_of((rows @ c.T).detach())[-BATCH:]
        others = [z[v] @ c.T for v in range(len(z)) if v != i]
        loss += sum(-(q * log_softmax(each / 0.1, dim=1)).sum(1).mean() for each in others) / len(others) / 2
    return loss, [each.detach() for each in z[:2]]


def test_steps_are_those_of_algorithm_1_with_small_crops_and_a_queue_once_it_is_full():
    method = new_method()
    optimiser = new_optimiser(method)
    queues = [torch.zeros(0, EMBEDDING, dtype=torch.float64)] * 2
    for step in range(FULL_AT + 2):
        twin = copy.deepcopy(method).train()
        batch = views(step, dtype=torch.float64)
        loss, z = loss_of(twin.encoders.query, twin.prototypes.weight, queues, batch)
        assert method.queue.num_filled == len(queues[0])
        terms = take_steps(method, [step], optimiser, dtype=torch.float64)[0]
        assert terms == {"swapped_prediction": pytest.approx(loss.item(), rel=0, abs=1e-9)}
        if batch.epoch >= 1:
            queues = [torch.cat([queue, each])[-CONFIG.queue_size :] for queue, each in zip(queues, z, strict=True)]


def losses(queue_from_epoch):
    method = new_method(queue_from_epoch=queue_from_epoch)
    return [terms["swapped_prediction"] for terms in take_steps(method, range(FULL_AT + 1), dtype=torch.float64)]


def test_a_full_queue_changes_the_loss_and_a_filling_one_does_not():
    with_queue, without = losses(1), losses(100)
    assert with_queue[:FULL_AT] == without[:FULL_AT]
    assert with_queue[FULL_AT] != without[FULL_AT]


def test_frozen_prototypes_do_not_move_until_their_epoch_and_then_keep_unit_length_at_every_step():
    method = new_method()
    start = normalize(method.prototypes.weight.detach(), dim=1)
    optimiser = new_optimiser(method)
    take_steps(method, range(STEPS_PER_EPOCH), optimiser, dtype=torch.float64)
    assert torch.allclose(method.prototypes.weight, start, rtol=0, atol=1e-15)
    take_steps(method, range(STEPS_PER_EPOCH, FULL_AT), optimiser, dtype=torch.float64)
    assert not torch.allclose(method.prototypes.weight, start, rtol=0, atol=1e-6)
    method(views(FULL_AT, dtype=torch.float64))
    lengths = method.prototypes.weight.norm(dim=1)
    assert torch.allclose(lengths, torch.ones_like(lengths), rtol=0, atol=1e-12)


def test_without_small_crops_the_two_full_ones_predict_each_other():
    method = new_method().train()
    both = replace(views(0, dtype=torch.float64), small=())
    losses = [
        method(each)["swapped_prediction"].item() for each in (both, replace(both, query=both.key, key=both.query))
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"epsilon": -0.05}, "epsilon is -0.05: it must be above 0"),
        ({"num_prototypes": 1}, "num_prototypes is 1: it must be at least 2"),
        ({"num_iterations": 0}, "num_iterations is 0: it must be at least 1"),
        ({"embedding_size": 0}, "embedding_size is 0: it must be at least 1"),
        ({"queue_size": 20}, "queue_size is 20: K must be a multiple of the batch size 8, such as 16"),
    ],
)
def test_values_that_cannot_work_are_refused(change, match):
    CONFIG.check(ONE_SPLIT, BATCH)
    with pytest.raises(InputError, match=match):
        replace(CONFIG, **change).check(ONE_SPLIT, BATCH)


def test_batches_that_cannot_be_normalised_as_a_whole_are_refused():
    with pytest.raises(InputError, match="batch_norm_splits is 2: this method normalises over the whole batch; take 1"):
        CONFIG.check(BACKBONE, BATCH)
    with pytest.raises(InputError, match="batch_size is 1: batch normalisation needs at least 2 frames"):
        replace(CONFIG, queue_size=1).check(ONE_SPLIT, 1)
