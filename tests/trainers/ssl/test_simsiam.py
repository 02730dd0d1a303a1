import copy
import math
from dataclasses import replace

import pytest
import torch
from lightly.utils.debug import std_of_l2_normalized
from torch import nn
from torchvision.models.resnet import BasicBlock

from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, ONE_SPLIT, take_steps, views
from trainers.networks.backbones import Backbone
from trainers.ssl.losses import embedding_std
from trainers.ssl.simsiam import SimSiam
from trainers.stage import InputError

CONFIG = SimSiam(embedding_size=EMBEDDING, predictor_size=3)


def new_method():
    return CONFIG.build(ONE_SPLIT, {}, seed=7).double()


def algorithm_1(f, h, num_steps, *, lr=0.05, mu=0.9, decay=1e-4):
    """Chen and He, arXiv 2011.10566, Alg. 1, written as there; returns the losses."""

    def distance(p, z):
        z = z.detach()
        p, z = p / p.norm(dim=1, keepdim=True), z / z.norm(dim=1, keepdim=True)
        return -(p * z).sum(dim=1).mean()

    parameters = [*f.parameters(), *h.parameters()]
    velocity = [torch.zeros_like(w) for w in parameters]
    losses = []
    for step in range(num_steps):
        batch = views(step, dtype=torch.float64)
        z1, z2 = f(batch.query), f(batch.key)
        p1, p2 = h(z1), h(z2)
        loss = distance(p1, z2) / 2 + distance(p2, z1) / 2
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for w, g, v in zip(parameters, gradients, velocity, strict=True):
                v.copy_(mu * v + g + decay * w)
                w -= lr * v
        losses.append(loss.item())
    return losses


def test_steps_are_those_of_algorithm_1():
    method = new_method()
    encoder = copy.deepcopy(method.encoders.query)
    f, h = nn.Sequential(encoder.backbone, encoder.head).train(), copy.deepcopy(method.predictor).train()
    losses = [terms["similarity"] for terms in take_steps(method, range(5), dtype=torch.float64)]
    assert losses == pytest.approx(algorithm_1(f, h, 5), rel=0, abs=1e-9)
    for ours, theirs in zip(method.encoders.query.parameters(), encoder.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-9)


def test_the_networks_are_the_papers():
    method = SimSiam().build(Backbone(architecture="resnet50"), {}, seed=0)
    shapes = [(each.in_features, each.out_features) for each in method.modules() if isinstance(each, nn.Linear)]
    assert shapes == [(2048, 2048), (2048, 2048), (2048, 2048), (2048, 512), (512, 2048)]
    assert method.encoders.query.head.norm_3.weight is None
    assert method.predictor.output.bias is not None
    assert [type(each).__name__ for each in method.predictor] == ["Linear", "SyncBatchNorm1d", "ReLU", "Linear"]


@pytest.mark.parametrize(("architecture", "num_blocks"), [("resnet50", 16), ("resnet18", 8), ("resnet10", 4)])
def test_the_last_normalisation_of_every_residual_block_starts_at_zero(architecture, num_blocks):
    backbone = SimSiam().build(Backbone(architecture=architecture), {}, seed=0).encoders.query.backbone
    zeros = [name for name, value in backbone.named_parameters() if name.endswith("weight") and not value.any()]
    last = "bn2.weight" if any(isinstance(each, BasicBlock) for each in backbone.modules()) else "bn3.weight"
    assert len(zeros) == num_blocks
    assert all(name.endswith(last) for name in zeros)


def test_the_predictor_is_what_keeps_its_learning_rate():
    method = new_method()
    assert {id(each) for each in method.fixed_rate_parameters()} == {id(each) for each in method.predictor.parameters()}


@pytest.mark.external
def test_the_monitor_is_lightlys():
    z = torch.randn(BATCH, EMBEDDING, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert embedding_std(z).item() == pytest.approx(math.sqrt(EMBEDDING) * std_of_l2_normalized(z).item(), abs=1e-12)


def test_the_monitor_is_near_one_for_directions_all_over_and_zero_for_one_direction():
    z = torch.randn(4096, 64, generator=torch.Generator().manual_seed(0))
    assert embedding_std(z).item() == pytest.approx(1, abs=0.02)
    assert embedding_std(z[:1] * torch.rand(16, 1)).item() == pytest.approx(0, abs=1e-5)


def test_the_monitor_looks_at_the_projections_of_the_last_step():
    method = new_method().train()
    batch = views(0, dtype=torch.float64)
    twin = copy.deepcopy(method.encoders.query)
    assert method(batch).keys() == {"similarity"}
    assert torch.equal(method.metrics()["output_std"], embedding_std(twin.head(twin.backbone(batch.query))))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"embedding_size": 0}, "embedding_size is 0: it must be at least 1"),
        ({"predictor_size": 0}, "predictor_size is 0: it must be at least 1"),
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
        CONFIG.check(ONE_SPLIT, 1)
