import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.nn.functional import cross_entropy, mse_loss

from tests.trainers.ssl.embeddings import C, K, N, softmax, unit
from trainers.ssl.distillation_losses import (
    anchor_kl,
    anchor_similarities,
    distillation_kl,
    embedding_distance,
    soft_cross_entropy,
)
from trainers.ssl.losses import dictionary_logits


@pytest.fixture
def dictionary():
    return unit(N, C), unit(N, C, seed=1), unit(C, K, seed=2, dim=0)


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


def anchors():
    """Similarities of student and teacher, each to its own embeddings of the same anchors."""
    student = anchor_similarities(unit(N, C), unit(C, K, seed=2, dim=0))
    return student, anchor_similarities(unit(N, C + 1, seed=3), unit(C + 1, K, seed=5, dim=0))


def test_similarities_to_anchors_are_cosines_without_a_positive():
    embeddings, queue = unit(N, C), unit(C, K, seed=2, dim=0)
    similarities = anchor_similarities(embeddings, queue)
    assert similarities.shape == (N, K)
    for i in range(N):
        for j in range(K):
            expected = sum(embeddings[i, c] * queue[c, j] for c in range(C)).item()
            assert similarities[i, j].item() == pytest.approx(expected, abs=1e-14)


def test_similarities_to_anchors_are_of_the_queue_before_it_moves_on():
    embeddings, queue = unit(N, C).requires_grad_(), unit(C, K, seed=2, dim=0)
    before = queue.clone()
    similarities = anchor_similarities(embeddings, queue)
    queue.zero_()
    (gradient,) = torch.autograd.grad(similarities.sum(), embeddings)
    assert torch.allclose(gradient, before.sum(1).expand(N, C), atol=1e-14)


def test_similarities_to_anchors_stay_in_single_precision_under_autocast():
    embeddings, queue = unit(N, C, dtype=torch.float32), unit(C, K, seed=2, dim=0, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        similarities = anchor_similarities(embeddings, queue)
    assert torch.equal(similarities, embeddings @ queue)


def test_compress_is_the_kl_over_the_filled_anchors():
    student, teacher = anchors()
    for num_filled in (1, 4, K):
        expected = 0.0
        for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
            p_s = softmax([value / 0.04 for value in s[:num_filled]])
            p_t = softmax([value / 0.04 for value in t[:num_filled]])
            expected += sum(b * math.log(b / a) for a, b in zip(p_s, p_t, strict=True)) / N
        loss = anchor_kl(student, teacher, temperature=0.04, num_filled=num_filled)
        assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_compress_without_an_anchor_is_zero_with_a_gradient_of_zero():
    student, teacher = anchors()
    student.requires_grad_()
    loss = anchor_kl(student, teacher, temperature=0.04, num_filled=0)
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None
    assert not student.grad.any()


def test_seed_is_the_cross_entropy_of_two_softmaxes(dictionary):
    student = dictionary_logits(*dictionary)
    teacher = dictionary_logits(unit(N, C, seed=3), unit(N, C, seed=3), dictionary[2])
    expected = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p_s, p_t = softmax([value / 0.2 for value in s]), softmax([value / 0.01 for value in t])
        expected -= sum(b * math.log(a) for a, b in zip(p_s, p_t, strict=True)) / N
    loss = soft_cross_entropy(student, teacher, student_temperature=0.2, teacher_temperature=0.01)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_disco_is_the_squared_distance_of_embeddings():
    student, teacher = unit(N, C), unit(N, C, seed=1)
    expected = sum((student[i, c] - teacher[i, c]).item() ** 2 for i in range(N) for c in range(C)) / N
    assert embedding_distance(student, teacher).item() == pytest.approx(expected, abs=1e-12)
    assert embedding_distance(student, student.clone()).item() == 0


@pytest.mark.external
def test_distillation_terms_are_torchs(dictionary):
    student = dictionary_logits(*dictionary)
    teacher = dictionary_logits(unit(N, C, seed=3), unit(N, C, seed=4), unit(C, K, seed=5, dim=0))
    theirs = kl_divergence(Categorical(logits=teacher / 0.07), Categorical(logits=student / 0.07)).mean()
    assert kl(student, teacher).item() == pytest.approx(theirs.item(), abs=1e-12)
    theirs = cross_entropy(student / 0.2, (teacher / 0.01).softmax(1))
    ours = soft_cross_entropy(student, teacher, student_temperature=0.2, teacher_temperature=0.01)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    student, teacher = anchors()
    theirs = kl_divergence(Categorical(logits=teacher / 0.04), Categorical(logits=student / 0.04)).mean()
    assert anchor_kl(student, teacher, temperature=0.04, num_filled=K).item() == pytest.approx(theirs.item(), abs=1e-12)
    student, teacher = unit(N, C), unit(N, C, seed=1)
    assert embedding_distance(student, teacher).item() == pytest.approx(
        C * mse_loss(student, teacher).item(), abs=1e-12
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda s, t: soft_cross_entropy(s, t, student_temperature=0.2, teacher_temperature=0.1),
        lambda s, t: anchor_kl(s, t, temperature=0.04, num_filled=K),
        embedding_distance,
    ],
    ids=["seed", "compress", "disco"],
)
def test_a_term_beyond_the_paper_gives_the_teacher_no_gradient(loss):
    student, teacher = unit(N, K).requires_grad_(), unit(N, K, seed=1).requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.any()
    assert teacher.grad is None
