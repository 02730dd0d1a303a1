import copy

import pytest
import torch

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    assert_same_state,
    copied,
    training_embeddings,
    untrained,
    views,
    write_pair,
)
from trainers.networks.backbones import Backbone
from trainers.ssl.encoders import embed, load_backbone, random_encoder
from trainers.ssl.pairs import MomentumPair, SharedBackbonePair, frozen_pair, random_pair, shuffle_order, started_pair

ONE_SPLIT = Backbone(architecture="resnet10", width=4)
TRAINS = ("none", "head", "backbone", "all")


@pytest.fixture
def start(tmp_path):
    return untrained(tmp_path / "start"), tmp_path / "start"


def pair_that_trains(trains, start, backbone=BACKBONE):
    return started_pair(backbone, *start, trains=trains).train()


def identity():
    return torch.arange(BATCH)


def train_a_little(pair, num_steps=2):
    learning = [parameter for parameter in pair.parameters() if parameter.requires_grad]
    for step in range(num_steps):
        batch = views(step)
        queries, keys = training_embeddings(pair, batch, shuffle_order(0, step, batch.key))
        if learning:
            pair.zero_grad()
            (queries - keys).square().sum().backward()
            with torch.no_grad():
                for parameter in learning:
                    parameter -= 0.1 * parameter.grad


def test_a_random_pair_starts_with_a_key_encoder_equal_to_the_query_encoder_and_depends_on_the_seed():
    pair, same, other = (random_pair(BACKBONE, EMBEDDING, seed=seed) for seed in (0, 0, 1))
    assert_same_state(pair.query.state_dict(), pair.key.state_dict())
    assert_same_state(pair.state_dict(), same.state_dict())
    assert not torch.equal(pair.query.head.output.weight, other.query.head.output.weight)
    assert all(a is not b for a, b in zip(pair.query.parameters(), pair.key.parameters(), strict=True))


def test_embeddings_have_unit_length_in_single_precision_even_under_autocast():
    pair = random_pair(BACKBONE, EMBEDDING, seed=0).train()
    batch = views(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = pair(batch.query, batch.key, identity())
    for each in embeddings:
        assert each.dtype == torch.float32
        assert torch.allclose(each.norm(dim=1), torch.ones(BATCH), atol=1e-6)


def test_the_key_encoder_follows_the_query_weights_before_the_optimiser_and_then_embeds(start):
    pair = pair_that_trains("all", start)
    train_a_little(pair)
    query, key = (copied(encoder.state_dict()) for encoder in (pair.query, pair.key))
    batch = views(5)
    _, keys = training_embeddings(pair, batch, identity())
    followed = copy.deepcopy(pair.key)
    with torch.no_grad():
        for name, parameter in followed.named_parameters():
            expected = 0.9 * key[name] + 0.1 * query[name]
            assert torch.allclose(parameter, expected, rtol=0, atol=5e-7), name
        assert torch.equal(keys, followed(batch.key))
        followed.load_state_dict(key)
        assert not torch.allclose(keys, followed(batch.key))


def test_keys_come_back_in_the_order_of_their_queries():
    pair = random_pair(ONE_SPLIT, EMBEDDING, seed=0).double().train()
    batch = views(0, dtype=torch.float64)
    _, straight = pair(batch.query, batch.key, identity())
    permutation = shuffle_order(0, 0, batch.key)
    assert not torch.equal(permutation, identity())
    _, shuffled = pair(batch.query, batch.key, permutation)
    assert torch.allclose(straight, shuffled, rtol=0, atol=1e-12)


def test_shuffling_mixes_the_splits_that_keys_are_normalised_in():
    pair = random_pair(BACKBONE, EMBEDDING, seed=0).double().train()
    batch = views(0, dtype=torch.float64)
    keys = [pair(batch.query, batch.key, order)[1] for order in (identity(), torch.tensor([0, 4, 1, 5, 2, 6, 3, 7]))]
    assert not torch.allclose(*keys, atol=1e-3)


def test_shuffles_are_permutations_that_depend_on_seed_and_step():
    images = torch.empty(64, 1)
    first, same, other_step, other_seed = (shuffle_order(*key, images) for key in ((0, 0), (0, 0), (0, 1), (1, 0)))
    assert torch.equal(first, same)
    assert torch.equal(first.sort().values, torch.arange(64))
    assert not torch.equal(first, other_step)
    assert not torch.equal(first, other_seed)


@pytest.mark.parametrize("trains", TRAINS)
def test_just_the_trained_parts_move(trains, start):
    pair = pair_that_trains(trains, start)
    before = copied(pair.state_dict())
    train_a_little(pair, 3)
    for part in ("backbone", "head"):
        learns = trains in (part, "all")
        for encoder in ("query", "key"):
            names = [name for name in before if name.startswith(f"{encoder}.{part}.")]
            moved = [name for name in names if not torch.equal(before[name], pair.state_dict()[name])]
            assert moved == (names if learns else []), (encoder, part)


def test_the_key_encoders_buffers_come_from_its_own_forwards(start):
    pair = pair_that_trains("all", start, ONE_SPLIT)
    alone = copy.deepcopy(pair.key)
    batch = views(0)
    pair(batch.query, batch.key, identity())
    with torch.no_grad():
        alone(batch.key)  # of the same weights: the query encoder has not learnt yet
    for name, buffer in pair.key.named_buffers():
        assert torch.allclose(buffer, alone.get_buffer(name), rtol=1e-5, atol=1e-6), name
    assert not torch.allclose(pair.key.backbone.bn1.running_mean, pair.query.backbone.bn1.running_mean, atol=1e-6)


def test_sharing_a_frozen_backbone_changes_no_number(start):
    shared = pair_that_trains("head", start).double()
    assert isinstance(shared, SharedBackbonePair)
    separate = MomentumPair(copy.deepcopy(shared.query), copy.deepcopy(shared.key), trains="head").train()
    for step in range(3):
        batch = views(step, dtype=torch.float64)
        order = shuffle_order(0, step, batch.key)
        outputs = [training_embeddings(pair, batch, order) for pair in (shared, separate)]
        for ours, theirs in zip(*outputs, strict=True):
            assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
        for pair, (queries, _) in zip((shared, separate), outputs, strict=True):
            pair.zero_grad()
            queries[:, 0].sum().backward()
            with torch.no_grad():
                for parameter in pair.query.head.parameters():
                    parameter -= 0.1 * parameter.grad
    for ours, theirs in zip(shared.key.head.parameters(), separate.key.head.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("trains", TRAINS)
def test_a_frozen_pair_embeds_as_the_trained_pair_it_was_written_from(trains, start, tmp_path):
    pair = pair_that_trains(trains, start)
    train_a_little(pair)
    pair.eval()
    frozen = frozen_pair(start[0], write_pair(tmp_path / "trained", pair))
    assert type(frozen) is type(pair)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    batch = views(9)
    with torch.no_grad():
        outputs = frozen(batch.query, batch.key, shuffle_order(0, 9, batch.key))
        for output, encoder, images in zip(outputs, (pair.query, pair.key), (batch.query, batch.key), strict=True):
            assert torch.allclose(output, encoder(images), rtol=0, atol=1e-6)
    assert_same_state(frozen.state_dict(), pair.state_dict())
    frozen.train()
    assert not any(module.training for encoder in (frozen.query, frozen.key) for module in encoder.backbone.modules())


def test_a_started_pair_has_the_splits_of_its_own_backbone(start):
    quarters = Backbone(architecture="resnet10", width=4, batch_norm_splits=4)
    pair = pair_that_trains("all", start, quarters)
    assert pair.query.backbone.bn1.num_splits == pair.key.backbone.bn1.num_splits == 4
    assert_same_state(pair.query.state_dict(), random_encoder(BACKBONE, EMBEDDING, seed=3).state_dict())


def test_a_backbone_is_loaded_alone_in_eval_mode_and_for_batches_that_do_not_divide(start):
    backbone = load_backbone(*start)
    assert not backbone.training
    assert_same_state(backbone.state_dict(), random_encoder(BACKBONE, EMBEDDING, seed=3).backbone.state_dict())
    assert backbone.train()(views(0).query[:3]).shape == (3, 32)


def test_an_untrained_stage_is_the_start_of_a_training_with_its_seed(start):
    pair = random_pair(BACKBONE, EMBEDDING, seed=3)
    assert_same_state(load_backbone(*start).state_dict(), pair.query.backbone.state_dict())
    frozen = frozen_pair(*start)
    assert_same_state(frozen.state_dict(), pair.state_dict())


def test_features_embed_as_images_do():
    encoder = random_encoder(BACKBONE, EMBEDDING, seed=0).eval()
    images = views(0).query
    with torch.no_grad():
        assert torch.equal(embed(encoder.head, encoder.backbone(images)), encoder(images))
