"""Losses between a student's and a teacher's view of the same frames, as functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor


def distillation_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    student_temperature: float,
    teacher_temperature: float,
    num_filled: int,
) -> Tensor:
    """KL(p^t ‖ p^s) between teacher's and student's similarity distributions over one dictionary; mean over queries.

    Source: Ding et al., MICCAI 2022, eqs. 5 and 6.

    Args:
        student_logits: similarities, N×(1+K).
        teacher_logits: similarities of the same frame views, N×(1+K); no gradient goes there.
        student_temperature: τ of the student's softmax.
        teacher_temperature: τ of the teacher's softmax.
        num_filled: how many of the K queue columns hold keys; only those and the positive are compared.
    """
    columns = 1 + num_filled
    student, teacher = student_logits[:, :columns], teacher_logits[:, :columns]
    return _kl(student / student_temperature, teacher / teacher_temperature)


def anchor_similarities(embeddings: Tensor, anchors: Tensor) -> Tensor:
    """Cosine similarities of every embedding to anchor points, which are other frames.

    Source: CompRess, Koohpayegani et al., arXiv 2010.14713, Sec. 3.

    Args:
        embeddings: L2-normalised, N×C.
        anchors: L2-normalised embeddings of earlier batches, C×K.

    Returns:
        N×K, not yet divided by a temperature; in the embeddings' precision, whatever autocast says.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        return embeddings @ anchors.clone()  # the queue changes before the backward pass


def anchor_kl(
    student_similarities: Tensor, teacher_similarities: Tensor, *, temperature: float, num_filled: int
) -> Tensor:
    """KL(p^t ‖ p^s) between two softmax distributions over anchor points, with no positive; the mean over frames.

    Source: CompRess, Koohpayegani et al., arXiv 2010.14713, Sec. 3: p_j = exp(q·a_j/τ) / Σ_i exp(q·a_i/τ).

    Args:
        student_similarities: of the student's embeddings to its own embeddings of the anchors, N×K.
        teacher_similarities: those of the teacher, N×K; no gradient goes there.
        temperature: τ of both softmaxes.
        num_filled: how many of the K columns hold anchors; only those are compared, and 0 gives a loss of 0.
    """
    student, teacher = student_similarities[:, :num_filled], teacher_similarities[:, :num_filled]
    return _kl(student / temperature, teacher / temperature)


def soft_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, *, student_temperature: float, teacher_temperature: float
) -> Tensor:
    """−Σ_j p^t_j log p^s_j over one dictionary of the teacher's embeddings; the mean over frames.

    Source: SEED, Fang et al., arXiv 2101.04731, Sec. 3.2.

    Args:
        student_logits: similarities of the student's embeddings to the dictionary, N×(1+K).
        teacher_logits: those of the teacher's, N×(1+K); no gradient goes there.
        student_temperature: τ^s of the student's softmax.
        teacher_temperature: τ^t of the teacher's softmax.
    """
    targets = (teacher_logits.detach() / teacher_temperature).softmax(1)
    return -(targets * F.log_softmax(student_logits / student_temperature, dim=1)).sum(1).mean()


def embedding_distance(student_embeddings: Tensor, teacher_embeddings: Tensor) -> Tensor:
    """‖z_s − z_t‖², the squared distance between two embeddings of a frame view; the mean over frames.

    It is C times the mean squared error over frames and channels.
    Source: DisCo, Gao et al., arXiv 2104.09124, Sec. 3.

    Args:
        student_embeddings: z_s, L2-normalised, N×C.
        teacher_embeddings: z_t, L2-normalised, N×C; no gradient goes there.
    """
    return (student_embeddings - teacher_embeddings.detach()).square().sum(1).mean()


def _kl(student_scores: Tensor, teacher_scores: Tensor) -> Tensor:
    """KL of the teacher's softmax and the student's, N×M scores each; the mean over rows."""
    log_student, log_teacher = F.log_softmax(student_scores, dim=1), F.log_softmax(teacher_scores.detach(), dim=1)
    return F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
