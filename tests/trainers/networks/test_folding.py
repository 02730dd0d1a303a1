import pytest
import torch
from torch import nn

from tests.trainers.tiny import CONVNEXT
from trainers.networks.backbones import Backbone
from trainers.networks.folding import FoldedConvolution, FrozenBackbone, folded

ARCHITECTURES = ["resnet10", "resnet18", "resnet50"]


def moved(architecture):
    """A network in double precision whose statistics, scales and shifts have left their start."""
    network = Backbone(architecture=architecture, width=4 if architecture == "resnet10" else 64).build(seed=1).double()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        for values, low, high in ((norm.running_mean, -1, 1), (norm.running_var, 0.5, 2), (norm.weight, 0.5, 1)):
            nn.init.uniform_(values, low, high)
        nn.init.uniform_(norm.bias, -1, 1)
    return network.eval()


def images(num_images=2):
    return torch.randn(num_images, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_folded_network_has_no_normalisation_and_gives_the_same_features(architecture):
    network = moved(architecture)
    frozen = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.no_grad():
        assert torch.allclose(frozen(images()), network(images()), rtol=1e-9, atol=0)


def test_a_frozen_backbone_computes_as_in_eval_mode_and_follows_its_backbone():
    network = moved("resnet10").train()
    frozen = FrozenBackbone(network)
    with torch.no_grad():
        features = frozen(images())
        assert torch.allclose(features, network.eval()(images()), rtol=1e-9, atol=0)
        network.float()
        assert torch.allclose(frozen(images().float()), features.float(), rtol=1e-4, atol=0)


def test_a_network_that_cannot_be_folded_is_called_as_it_is():
    network = CONVNEXT.build(0).train()
    assert folded(network) is network
    assert not network.training


def test_a_folded_convolution_adds_and_rectifies_as_the_normalisation_does():
    convolution, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4).eval()
    x, residual = torch.randn(2, 3, 5, 5), torch.randn(2, 4, 3, 3)
    with torch.no_grad():
        expected = norm(convolution(x)) + residual
        found = FoldedConvolution(convolution, norm)(x, residual=residual)
        assert torch.allclose(found, expected, atol=1e-6)
        assert torch.equal(FoldedConvolution(convolution, norm)(x, residual=residual, relu=True), found.relu())


def test_under_autocast_a_folded_network_computes_in_bf16_as_the_network_does():
    network = moved("resnet10").float()
    x = images().float()
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            errors = [(found(x).float() - exact).norm() / exact.norm() for found in (network, folded(network))]
    assert 1e-4 < errors[1] < 2 * errors[0]
