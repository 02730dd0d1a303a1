import math

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from lightly.loss.swav_loss import sinkhorn as lightlys_sinkhorn

from tests.trainers.ssl.embeddings import C, K, N, softmax, unit
from trainers.ssl.losses import (
    dictionary_logits,
    info_nce,
    negative_cosine,
    prototype_scores,
    region_logits,
    sinkhorn,
    swapped_prediction,
)


@pytest.fixture
def dictionary():
    return unit(N, C), unit(N, C, seed=1), unit(C, K, seed=2, dim=0)


def test_logits_are_the_cosine_similarities_with_the_positive_first(dictionary):
    q, k, queue = dictionary
    logits = dictionary_logits(q, k, queue)
    assert logits.shape == (N, 1 + K)
    for i in range(N):
        assert logits[i, 0].item() == pytest.approx(sum(q[i, c] * k[i, c] for c in range(C)).item(), abs=1e-14)
        for j in range(K):
            expected = sum(q[i, c] * queue[c, j] for c in range(C)).item()
            assert logits[i, 1 + j].item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_info_nce_is_equation_2(dictionary, temperature):
    logits = dictionary_logits(*dictionary)
    expected = sum(-math.log(softmax([s / temperature for s in row])[0]) for row in logits.tolist()) / N
    assert info_nce(logits, temperature).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.external
def test_info_nce_is_lightlys_ntxent_with_a_memory_bank(dictionary):
    q, k, queue = dictionary
    theirs = NTXentLoss(temperature=0.2, memory_bank_size=(K, C))
    theirs.memory_bank.bank = queue.T.clone()
    assert info_nce(dictionary_logits(q, k, queue), 0.2).item() == pytest.approx(theirs(q, k).item(), abs=1e-12)


def test_a_regions_negatives_are_the_queue_and_the_composites_other_part(dictionary):
    r, k, queue = dictionary
    other = unit(N, C, seed=3)
    logits = region_logits(r, k, other, queue)
    assert logits.shape == (N, 2 + K)
    expected = 0.0
    for i in range(N):
        row = [r[i] @ k[i], *(r[i] @ queue[:, j] for j in range(K)), r[i] @ other[i]]
        assert logits[i].tolist() == pytest.approx([each.item() for each in row], abs=1e-14)
        expected -= math.log(softmax([each.item() / 0.2 for each in row])[0]) / N
    assert info_nce(logits, 0.2).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.external
def test_a_regions_loss_is_lightlys_ntxent_with_the_other_part_in_the_memory_bank(dictionary):
    r, k, queue = dictionary
    other = unit(N, C, seed=3)
    expected = 0.0
    for i in range(N):
        theirs = NTXentLoss(temperature=0.2, memory_bank_size=(K + 1, C))
        theirs.memory_bank.bank = torch.cat([queue.T, other[i : i + 1]])
        expected += theirs(r[i : i + 1], k[i : i + 1]).item() / N
    assert info_nce(region_logits(r, k, other, queue), 0.2).item() == pytest.approx(expected, abs=1e-12)


def test_no_gradient_reaches_the_composites_other_part(dictionary):
    r, k, queue = dictionary
    other = unit(N, C, seed=3).requires_grad_()
    info_nce(region_logits(r.requires_grad_(), k, other, queue), 0.2).backward()
    assert r.grad is not None
    assert other.grad is None


def test_the_gradient_is_of_the_dictionary_before_the_queue_moves_on(dictionary):
    q, k, queue = dictionary
    before = queue.clone()
    q.requires_grad_()
    logits = dictionary_logits(q, k, queue)
    queue.zero_()
    (gradient,) = torch.autograd.grad(logits.sum(), q)
    assert torch.allclose(gradient, k + before.sum(1), atol=1e-14)


def test_logits_stay_in_single_precision_under_autocast():
    q, k = unit(N, C, dtype=torch.float32), unit(N, C, seed=1, dtype=torch.float32)
    queue = unit(C, K, seed=2, dim=0, dtype=torch.float32)
    expected = torch.cat([(q * k).sum(1, keepdim=True), q @ queue], dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = dictionary_logits(q, k, queue)
        with_other = region_logits(q, k, k, queue)
    assert logits.dtype == with_other.dtype == torch.float32
    assert torch.equal(logits, expected)
    assert torch.equal(with_other, torch.cat([expected, expected[:, :1]], dim=1))


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_negative_cosine_is_simsiams_equation_1():
    p, z = rows(N, C), rows(N, C, seed=1)
    expected = 0.0
    for a, b in zip(p.tolist(), z.tolist(), strict=True):
        expected -= sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b) / N
    assert negative_cosine(p, z).item() == pytest.approx(expected, abs=1e-12)
    assert negative_cosine(p, 3 * p).item() == pytest.approx(-1)


def test_no_gradient_reaches_the_target_of_the_negative_cosine():
    p, z = rows(N, C).requires_grad_(), rows(N, C, seed=1).requires_grad_()
    negative_cosine(p, z).backward()
    assert p.grad.abs().max() > 0
    assert z.grad is None


@pytest.mark.external
def test_negative_cosine_is_lightlys():
    p, z = rows(N, C), rows(N, C, seed=1)
    assert negative_cosine(p, z).item() == pytest.approx(NegativeCosineSimilarity()(p, z).item(), abs=1e-12)


def prototypes_and_scores(num_rows=N, num_prototypes=4):
    z, c = unit(num_rows, C), unit(num_prototypes, C, seed=1)
    return prototype_scores(z, c)


def test_codes_are_three_rounds_of_equal_shares_and_unit_sums():
    scores = prototypes_and_scores()
    q = [[math.exp(s / 0.05) for s in row] for row in scores.tolist()]  # B×K
    total = sum(map(sum, q))
    q = [[value / total for value in row] for row in q]
    for _ in range(3):
        shares = [sum(row[k] for row in q) for k in range(4)]
        q = [[value / shares[k] / 4 for k, value in enumerate(row)] for row in q]
        q = [[value / sum(row) / N for value in row] for row in q]
    codes = sinkhorn(scores, epsilon=0.05, num_iterations=3)
    assert torch.allclose(codes, N * torch.tensor(q, dtype=torch.float64), rtol=0, atol=1e-12)


def test_codes_converge_to_rows_of_sum_one_and_columns_of_equal_sums():
    codes = sinkhorn(prototypes_and_scores(), epsilon=0.5, num_iterations=200)
    assert torch.allclose(codes.sum(1), torch.ones(N, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.allclose(codes.sum(0), torch.full((4,), N / 4, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.external
@pytest.mark.parametrize("num_iterations", [1, 3])
def test_codes_are_lightlys(num_iterations):
    scores = prototypes_and_scores(num_rows=9)
    theirs = lightlys_sinkhorn(scores, iterations=num_iterations, epsilon=0.05)
    ours = sinkhorn(scores, epsilon=0.05, num_iterations=num_iterations)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_codes_are_finite_in_single_precision_whatever_the_scores_precision_and_however_small_epsilon():
    scores = prototypes_and_scores()
    for precision in (torch.bfloat16, torch.float16):
        codes = sinkhorn(scores.to(precision), epsilon=0.002, num_iterations=3)
        assert codes.dtype == torch.float32
        assert torch.allclose(codes.sum(1), torch.ones(N), atol=1e-5)


def test_no_gradient_goes_through_the_codes():
    scores = prototypes_and_scores().requires_grad_()
    assert not sinkhorn(scores, epsilon=0.05, num_iterations=3).requires_grad


def test_scores_stay_in_single_precision_under_autocast():
    z, c = unit(N, C, dtype=torch.float32), unit(4, C, seed=1, dtype=torch.float32)
    expected = z @ c.T
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = prototype_scores(z, c)
    assert torch.equal(scores, expected)


@pytest.fixture
def crops():
    """Scores of two full and three small crops, and the full ones' codes."""
    scores = [prototype_scores(unit(N, C, seed=seed), unit(4, C, seed=9)) for seed in range(5)]
    return scores, [sinkhorn(each, epsilon=0.05, num_iterations=3) for each in scores[:2]]


def test_swapped_prediction_is_swavs_equations_2_and_6(crops):
    scores, codes = crops
    expected = 0.0
    for i, q in enumerate(codes):
        for v, s in enumerate(scores):
            if v == i:
                continue
            for q_row, s_row in zip(q.tolist(), s.tolist(), strict=True):
                p_row = softmax([value / 0.1 for value in s_row])
                expected -= sum(a * math.log(b) for a, b in zip(q_row, p_row, strict=True)) / N / 4 / 2
    assert swapped_prediction(scores, codes, 0.1).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.external
def test_swapped_prediction_is_lightlys(crops):
    scores, codes = crops
    theirs = SwaVLoss(temperature=0.1, sinkhorn_iterations=3, sinkhorn_epsilon=0.05)(scores[:2], scores[2:])
    assert swapped_prediction(scores, codes, 0.1).item() == pytest.approx(theirs.item(), abs=1e-12)
