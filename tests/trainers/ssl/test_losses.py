import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch.nn.functional import normalize

from trainers.ssl.losses import dictionary_logits, distillation_kl, info_nce

N, C, K = 5, 7, 12


def unit(*shape, seed=0, dim=1, dtype=torch.float64):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=dim)


@pytest.fixture
def dictionary():
    return unit(N, C), unit(N, C, seed=1), unit(C, K, seed=2, dim=0)


def softmax(row):
    exponentials = [math.exp(value) for value in row]
    return [value / sum(exponentials) for value in exponentials]


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


def test_distillation_is_equations_5_and_6(dictionary):
    student = dictionary_logits(*dictionary)
    teacher = dictionary_logits(unit(N, C, seed=3), unit(N, C, seed=4), unit(C, K, seed=5, dim=0))
    for num_filled in (0, 4, K):
        expected = 0.0
        for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
            p_s = softmax([value / 0.07 for value in s[: 1 + num_filled]])
            p_t = softmax([value / 0.05 for value in t[: 1 + num_filled]])
            expected += sum(b * math.log(b / a) for a, b in zip(p_s, p_t, strict=True)) / N
        loss = distillation_kl(
            student, teacher, student_temperature=0.07, teacher_temperature=0.05, num_filled=num_filled
        )
        assert loss.item() == pytest.approx(expected, abs=1e-12)


def kl(student, teacher, num_filled=K):
    return distillation_kl(student, teacher, student_temperature=0.07, teacher_temperature=0.07, num_filled=num_filled)


def test_distillation_is_zero_for_equal_rows_and_positive_otherwise(dictionary):
    rows = dictionary_logits(*dictionary)
    assert kl(rows, rows.clone()).item() == 0
    assert kl(rows, rows.flip(1)).item() > 0.1


def test_unfilled_columns_count_neither_in_the_distillation_nor_in_its_gradient(dictionary):
    student = dictionary_logits(*dictionary).requires_grad_()
    teacher = unit(N, 1 + K, seed=6)
    disturbed = teacher.clone()
    disturbed[:, 5:] = 1e3
    assert torch.equal(kl(student, teacher, num_filled=4), kl(student, disturbed, num_filled=4))
    kl(student, teacher, num_filled=4).backward()
    assert student.grad is not None
    assert student.grad[:, :5].abs().min() > 0
    assert not student.grad[:, 5:].any()


def test_no_gradient_reaches_the_teacher(dictionary):
    student = dictionary_logits(*dictionary).requires_grad_()
    teacher = unit(N, 1 + K, seed=6).requires_grad_()
    kl(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


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
    assert logits.dtype == torch.float32
    assert torch.equal(logits, expected)
