import pytest
import torch
from torch import nn

from tests.trainers.tiny import assert_same_state
from trainers.networks.batch_norm import SyncBatchNorm1d, normalise_together

SHAPES = [(6, 3), (6, 3, 4, 5)]


def rows(shape, seed=0):
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1


def norm_for(shape, **options):
    norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(3, **options).double()
    for value in norm.parameters():
        nn.init.uniform_(value, 0.5, 2)
    return norm


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
def test_of_one_worker_values_gradients_and_statistics_are_torchs(shape, affine):
    ours = norm_for(shape, affine=affine)
    theirs = norm_for(shape, affine=affine)
    theirs.load_state_dict(ours.state_dict())
    outcomes = []
    for apply in (lambda x: normalise_together(ours, x), theirs):
        x = rows(shape).requires_grad_()
        y = apply(x)
        (y * rows(shape, seed=1)).sum().backward()
        outcomes.append((y, x.grad))
    for a, b in zip(*outcomes, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=0, atol=1e-12)
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    norm = norm_for(SHAPES[0])
    assert torch.autograd.gradcheck(lambda x: normalise_together(norm, x), rows(SHAPES[0]).requires_grad_())


def test_half_precision_keeps_its_type_and_statistics_of_single_precision():
    norm = nn.BatchNorm2d(3)
    x = rows(SHAPES[1]).bfloat16().requires_grad_()
    y = normalise_together(norm, x)
    y.square().sum().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16
    expected = 0.1 * x.detach().float().mean((0, 2, 3))
    assert torch.allclose(norm.running_mean, expected, rtol=0, atol=1e-6)


def test_channels_last_stays_so():
    x = rows(SHAPES[1]).contiguous(memory_format=torch.channels_last)
    assert normalise_together(norm_for(SHAPES[1]), x).is_contiguous(memory_format=torch.channels_last)


def test_alone_it_is_torchs():
    ours, theirs = SyncBatchNorm1d(3).double(), nn.BatchNorm1d(3).double()
    assert torch.equal(ours(rows(SHAPES[0])), theirs(rows(SHAPES[0])))
    assert_same_state(ours.state_dict(), theirs.state_dict())
