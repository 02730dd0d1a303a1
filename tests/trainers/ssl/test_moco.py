import copy
from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    new_optimiser,
    take_steps,
    training_embeddings,
    untrained,
    views,
)
from trainers.ssl.encoders import Encoder
from trainers.ssl.heads import projection_mlp
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import shuffle_order
from trainers.stage import InputError

CONFIG = MoCo(temperature=0.2, queue_size=2 * BATCH, momentum=0.9, embedding_size=EMBEDDING)


def refuses(config, match, backbone=BACKBONE, batch_size=BATCH):
    with pytest.raises(InputError, match=match):
        config.check(backbone, batch_size)


def plain_encoder(state):
    """The same network with torch's own batch normalisation."""
    plain = replace(BACKBONE, batch_norm_splits=1).build(seed=5)
    encoder = Encoder(plain, projection_mlp(BACKBONE.num_features, EMBEDDING, 5, "head")).double()
    encoder.load_state_dict(state)
    return encoder.train()


def algorithm_1(state, queue, num_steps, *, lr=0.05, mu=0.9, decay=1e-4):
    """He et al., arXiv 1911.05722, Alg. 1, with one chunk per GPU, written as there; returns the losses and f_q."""
    f_q, f_k = plain_encoder(state), plain_encoder(state)
    velocity = [torch.zeros_like(p) for p in f_q.parameters()]
    columns = list(queue.T)  # oldest first
    losses = []
    for step in range(num_steps):
        batch = views(step, dtype=torch.float64)
        q = torch.cat([f_q(on_gpu) for on_gpu in torch.chunk(batch.query, 2)])
        permutation = shuffle_order(7, step, batch.key).tolist()
        with torch.no_grad():
            k_shuffled = [f_k(torch.stack([batch.key[i] for i in ids])) for ids in (permutation[:4], permutation[4:])]
        by_image = dict(zip(permutation, torch.cat(k_shuffled), strict=True))
        k = [by_image[i] for i in range(BATCH)]
        loss = torch.zeros((), dtype=torch.float64)
        for i in range(BATCH):
            similarities = torch.stack([q[i] @ k[i], *(q[i] @ column for column in columns)]) / 0.2
            loss = loss - torch.log(similarities.exp()[0] / similarities.exp().sum()) / BATCH
        gradients = torch.autograd.grad(loss, list(f_q.parameters()))
        with torch.no_grad():
            for p_q, p_k, g, v in zip(f_q.parameters(), f_k.parameters(), gradients, velocity, strict=True):
                v.copy_(mu * v + g + decay * p_q)
                p_q -= lr * v
                p_k.copy_(0.9 * p_k + 0.1 * p_q)  # at the end of a step: the same as before the next key forward
        columns = [*columns[BATCH:], *k]
        losses.append(loss.item())
    return losses, f_q


def test_steps_are_those_of_algorithm_1():
    method = CONFIG.build(BACKBONE, {}, seed=7).double()
    state, queue = copy.deepcopy(method.encoders.query.state_dict()), method.queue.bank("student").clone()
    losses = [terms["contrastive"] for terms in take_steps(method, range(5), dtype=torch.float64)]
    expected, f_q = algorithm_1(state, queue, 5)
    assert losses == pytest.approx(expected, rel=0, abs=1e-9)
    for name, parameter in method.encoders.query.named_parameters():
        assert torch.allclose(parameter, f_q.get_parameter(name), rtol=0, atol=1e-9), name


def test_the_dictionary_of_a_step_holds_no_key_of_that_step():
    method = CONFIG.build(BACKBONE, {}, seed=7)
    take_steps(method, range(2))
    before, encoders = method.queue.bank("student").clone(), copy.deepcopy(method.encoders)
    batch = views(2)
    terms = method(batch)
    q, k = training_embeddings(encoders, batch, shuffle_order(7, 2, batch.key))
    assert torch.equal(terms["contrastive"], info_nce(dictionary_logits(q, k, before), 0.2))
    assert torch.equal(method.queue.bank("student")[:, :BATCH], k.T)
    assert torch.equal(method.queue.bank("student")[:, BATCH:], before[:, BATCH:])
    assert torch.equal(method.queue.frame_ids[:BATCH], batch.frame_ids)


def test_a_teacher_that_trains_its_head_alone_gives_the_optimiser_nothing_else(tmp_path):
    start = untrained(tmp_path / "start")
    config = replace(CONFIG, start=start, trains="head")
    method = config.build(BACKBONE, {"start": tmp_path / "start"}, seed=7)
    learning = {id(parameter) for group in new_optimiser(method).param_groups for parameter in group["params"]}
    assert learning == {id(parameter) for parameter in method.encoders.query.head.parameters()}
    assert config.forward_equivalents < replace(config, trains="all").forward_equivalents


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"queue_size": 2 * BATCH + 1}, "queue_size is 17: K must be a multiple of the batch size 8, such as 16"),
        ({"trains": "head"}, "trains is head: without a start, everything must learn"),
    ],
)
def test_values_that_cannot_work_are_refused(change, match):
    CONFIG.check(BACKBONE, BATCH)
    refuses(replace(CONFIG, **change), match)


def test_a_start_that_does_not_fit_is_refused(tmp_path):
    start = untrained(tmp_path / "start")
    replace(CONFIG, start=start).check(replace(BACKBONE, batch_norm_splits=4), BATCH)
    refuses(replace(CONFIG, start=start, trains="none"), "trains is none: nothing would learn")
    refuses(replace(CONFIG, start=start, embedding_size=12), "embedding_size is 12: the encoders to start from have 6")
    wider = replace(BACKBONE, width=8)
    refuses(replace(CONFIG, start=start), "resnet10 of width 4: it cannot become resnet10 of width 8", backbone=wider)
