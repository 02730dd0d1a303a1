"""Steps of SEED, CompRess and DisCo against their papers' formulas on the same networks and queues."""

import copy
from dataclasses import replace

import pytest
import torch

from tests.trainers.ssl.test_method_contract import METHODS
from tests.trainers.tiny import BACKBONE, BATCH, copied, take_steps, training_embeddings, views
from trainers.ssl.distillation_losses import anchor_kl, anchor_similarities, embedding_distance, soft_cross_entropy
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import shuffle_order
from trainers.stage import InputError

TERMS = ("seed", "compress", "disco")


@pytest.fixture
def prepared(tmp_path):
    def make(name):
        config, inputs = METHODS[name](tmp_path / name)
        return config, inputs, config.build(BACKBONE, inputs, seed=7).train()

    return make


def after_a_step(method):
    """Copies of encoders and queue after the first step, the second batch, and its terms."""
    take_steps(method, [0])
    encoders, banks = copy.deepcopy(method.encoders), copied(method.queue.state_dict())
    with torch.no_grad():
        return encoders, banks, views(1), method(views(1))


def test_seed_compares_both_networks_with_the_teachers_embedding_of_the_view_and_its_queue(prepared):
    config, _, method = prepared("seed")
    encoders, banks, batch, terms = after_a_step(method)
    with torch.no_grad():
        z_s, z_t = encoders.query(batch.query), method.teacher(batch.query)
    student, teacher = (dictionary_logits(z, z_t, banks["teacher"]) for z in (z_s, z_t))
    expected = soft_cross_entropy(student, teacher, student_temperature=0.2, teacher_temperature=0.01)
    assert terms == {"distillation": expected}
    assert torch.equal(method.queue.bank("teacher")[:, BATCH : 2 * BATCH], z_t.T)
    assert not config.has_key_encoder


def test_compress_compares_the_two_networks_with_their_own_embeddings_of_the_same_frames(prepared):
    config, _, method = prepared("compress")
    encoders, banks, batch, terms = after_a_step(method)
    one_view = replace(batch, key=batch.query)
    with torch.no_grad():
        q_s, k_s = training_embeddings(encoders, one_view, shuffle_order(7, 1, batch.query))
        q_t = method.teacher(batch.query)
    expected = anchor_kl(
        anchor_similarities(q_s, banks["student"]),
        anchor_similarities(q_t, banks["teacher"]),
        temperature=config.temperature,
        num_filled=BATCH,
    )
    assert terms == {"distillation": expected}
    second = slice(BATCH, 2 * BATCH)
    assert torch.equal(method.queue.bank("student")[:, second], k_s.T)
    assert torch.equal(method.queue.bank("teacher")[:, second], q_t.T)
    assert torch.equal(method.queue.frame_ids[second], batch.frame_ids)


def test_compress_has_no_anchor_in_the_first_step(prepared):
    first, second = take_steps(prepared("compress")[2], range(2))
    assert first["distillation"] == 0
    assert second["distillation"] > 0


def test_disco_is_moco_and_the_distance_of_both_views(prepared):
    config, inputs, _ = prepared("disco")
    method = replace(config, distillation_weight=3.0, contrastive_weight=2.0).build(BACKBONE, inputs, seed=7).train()
    encoders, banks, batch, terms = after_a_step(method)
    with torch.no_grad():
        q_of_k = copy.deepcopy(encoders).query(batch.key)
        q, k = training_embeddings(encoders, batch, shuffle_order(7, 1, batch.key))
        q_t, q_of_k_t = method.teacher(batch.query), method.teacher(batch.key)
    logits = dictionary_logits(q, k, banks["student"])
    assert torch.equal(terms["contrastive"], 2 * info_nce(logits, config.temperature))
    distance = embedding_distance(q, q_t) + embedding_distance(q_of_k, q_of_k_t)
    assert torch.equal(terms["distillation"], 3 * distance)


def test_disco_without_weight_has_mocos_losses(prepared):
    config, inputs, _ = prepared("disco")
    alone = replace(config, distillation_weight=0.0).build(BACKBONE, inputs, seed=7)
    sizes = {name: getattr(config, name) for name in ("temperature", "queue_size", "momentum", "embedding_size")}
    moco = MoCo(**sizes).build(BACKBONE, {}, seed=7)
    terms = zip(take_steps(alone, range(4)), take_steps(moco, range(4)), strict=True)
    assert all(ours["contrastive"] == theirs["contrastive"] for ours, theirs in terms)


@pytest.mark.parametrize("name", TERMS)
def test_the_teacher_stays_in_eval_mode(name, prepared):
    _, _, method = prepared(name)
    assert method.encoders.query.training
    assert not any(module.training for module in method.teacher.modules())
    assert not any(parameter.requires_grad for parameter in method.teacher.parameters())


@pytest.mark.parametrize("name", TERMS)
def test_the_spread_of_the_students_embeddings_is_a_metric(name, prepared):
    _, _, method = prepared(name)
    take_steps(method, [0])
    assert method.metrics()["embedding_std"] > 0


@pytest.mark.parametrize("name", ["seed", "disco"])
def test_embeddings_that_are_compared_channel_by_channel_are_of_one_length(name, prepared):
    config, _, _ = prepared(name)
    with pytest.raises(InputError, match="embedding_size is 5, but the teacher's is 6: take that"):
        replace(config, embedding_size=5).check(BACKBONE, BATCH)


def test_compress_lets_student_and_teacher_have_embeddings_of_their_own_length(prepared):
    config, inputs, _ = prepared("compress")
    shorter = replace(config, embedding_size=5)
    shorter.check(BACKBONE, BATCH)
    losses = take_steps(shorter.build(BACKBONE, inputs, seed=7), range(2))
    assert losses[1]["distillation"] > 0


@pytest.mark.parametrize("name", TERMS)
def test_a_queue_that_no_batch_fits_is_refused(name, prepared):
    config, _, _ = prepared(name)
    with pytest.raises(InputError, match="queue_size is 20: K must be a multiple of the batch size 8"):
        replace(config, queue_size=20).check(BACKBONE, BATCH)


def test_a_student_that_tells_nothing_apart_has_seeds_loss_at_chance(prepared):
    config, _, _ = prepared("seed")
    flat = torch.full((3, 1 + config.queue_size), 0.5, dtype=torch.float64)
    teacher = torch.linspace(-1, 1, flat.numel(), dtype=torch.float64).view_as(flat)
    loss = soft_cross_entropy(flat, teacher, student_temperature=0.2, teacher_temperature=0.01)
    assert config.chance()["distillation"].value == pytest.approx(loss.item())
