import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.trainers.tiny import BACKBONE, assert_same_state
from trainers.networks.backbones import Backbone, SplitBatchNorm2d
from trainers.stage import InputError

C = 5


def maps(num_images=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_images, C, 3, 4, generator=generator, dtype=torch.float64) * 2 + 1


def split_norm(num_splits, running_statistics="mean"):
    norm = SplitBatchNorm2d(C, num_splits=num_splits, running_statistics=running_statistics).double()
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return norm


def real_norm_like(norm):
    real = nn.BatchNorm2d(C).double()
    real.load_state_dict(norm.state_dict())
    return real


@pytest.mark.parametrize("running_statistics", ["mean", "first"])
def test_splits_are_normalised_as_by_a_batch_norm_of_their_own(running_statistics):
    norm = split_norm(4, running_statistics)
    real = [real_norm_like(norm) for _ in range(4)]
    x, x_real = maps().requires_grad_(), maps().requires_grad_()
    y = norm(x)
    y_real = torch.cat([each(part) for each, part in zip(real, x_real.chunk(4), strict=True)])
    assert torch.allclose(y, y_real, rtol=0, atol=1e-12)
    (y * maps(seed=1)).sum().backward()
    (y_real * maps(seed=1)).sum().backward()
    assert torch.allclose(x.grad, x_real.grad, rtol=0, atol=1e-12)
    assert torch.allclose(norm.weight.grad, sum(each.weight.grad for each in real), rtol=0, atol=1e-12)
    counted = real if running_statistics == "mean" else real[:1]
    for name in ("running_mean", "running_var"):
        expected = torch.stack([each.get_buffer(name) for each in counted]).mean(0)
        assert torch.allclose(norm.get_buffer(name), expected, rtol=0, atol=1e-12), name
    assert norm.num_batches_tracked == 1


def test_one_split_is_torchs_batch_norm():
    norm = split_norm(1)
    real = real_norm_like(norm)
    assert torch.equal(norm(maps()), real(maps()))
    assert_same_state(norm.state_dict(), real.state_dict())


def test_evaluation_uses_the_running_statistics_and_leaves_them():
    norm = split_norm(4).eval()
    before = copy.deepcopy(norm.state_dict())
    assert torch.equal(norm(maps(3)), real_norm_like(norm).eval()(maps(3)))
    assert_same_state(norm.state_dict(), before)


def test_a_batch_that_does_not_divide_into_the_splits_is_an_error():
    with pytest.raises(ValueError, match="does not divide into"):
        split_norm(4)(maps(6))


def test_a_part_with_one_value_per_channel_is_an_error():
    with pytest.raises(ValueError, match="one value per channel"):
        split_norm(4)(maps(4)[..., :1, :1])


def test_a_channels_last_batch_stays_so():
    y = split_norm(4)(maps().contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)


ARCHITECTURES = [
    Backbone(architecture="resnet50"),
    Backbone(architecture="resnet18"),
    Backbone(architecture="resnet10"),
    Backbone(architecture="resnet10", width=32),
    Backbone(architecture="resnet18", width=32),
]


@pytest.mark.parametrize("backbone", ARCHITECTURES, ids=lambda each: f"{each.architecture}-{each.width}")
def test_features_and_costs_are_what_the_config_says(backbone):
    size_px = 64
    network = backbone.build(seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features = network(torch.zeros(1, 3, size_px, size_px))
    assert features.shape == (1, backbone.num_features)
    multiply_adds = counter.get_total_flops() / 2
    assert backbone.gflops_at_224 * 1e9 * (size_px / 224) ** 2 == pytest.approx(multiply_adds, rel=0.15)


def test_a_build_depends_on_its_seed_and_purpose_alone():
    first = BACKBONE.build(seed=1).state_dict()
    torch.rand(7)
    generator = torch.get_rng_state()
    assert_same_state(BACKBONE.build(seed=1).state_dict(), first)
    assert torch.equal(torch.get_rng_state(), generator)
    for other in (BACKBONE.build(seed=2), BACKBONE.build(seed=1, purpose="other")):
        assert not torch.equal(other.conv1.weight, first["conv1.weight"])
    assert_same_state(replace(BACKBONE, batch_norm_splits=4).build(seed=1).state_dict(), first)


def test_every_normalisation_of_a_backbone_splits_the_batch():
    norms = [module for module in BACKBONE.build(seed=0).modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 12
    assert all(isinstance(norm, SplitBatchNorm2d) and norm.num_splits == 2 for norm in norms)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"architecture": "resnet50", "width": 32}, "width is 32: resnet50 has 64"),
        ({"batch_norm_splits": 0}, "batch_norm_splits is 0"),
    ],
)
def test_values_that_cannot_be_built_are_refused(fields, match):
    with pytest.raises(InputError, match=match):
        Backbone(**fields)
