"""Losses of contrastive and distilled self-supervision, as pure functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor


def dictionary_logits(queries: Tensor, keys: Tensor, queue: Tensor) -> Tensor:
    """Cosine similarities of every query to its dictionary: the positive key first, then the queue.

    Args:
        queries: L2-normalised, N×C.
        keys: L2-normalised positive keys, N×C.
        queue: L2-normalised keys of earlier batches, C×K.

    Returns:
        N×(1+K), not yet divided by a temperature; in the queries' precision, whatever autocast says.
    """
    with torch.autocast(queries.device.type, enabled=False):
        positive = (queries * keys).sum(1, keepdim=True)
        negatives = queries @ queue.clone()  # the queue moves on before the gradient is taken
    return torch.cat([positive, negatives], dim=1)


def info_nce(logits: Tensor, temperature: float) -> Tensor:
    """Contrastive loss over a dictionary whose first entry is the positive; the mean over queries.

    Source: Ding et al., MICCAI 2022, eq. 2; MoCo, He et al., arXiv 1911.05722, eq. 1.

    Args:
        logits: similarities, N×(1+K).
        temperature: τ.
    """
    return F.cross_entropy(logits / temperature, logits.new_zeros(len(logits), dtype=torch.long))


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
    log_student = F.log_softmax(student_logits[:, :columns] / student_temperature, dim=1)
    log_teacher = F.log_softmax(teacher_logits[:, :columns].detach() / teacher_temperature, dim=1)
    return F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
