"""Learning rate schedules."""

import math


def cosine(start: float, epoch: int, epochs: int, final: float = 0.0) -> float:
    """Learning rate of an epoch on half a cosine (Loshchilov and Hutter, arXiv 1608.03983, eq. 5, without restarts).

    Args:
        start: the learning rate of epoch 0.
        epoch: 0-based.
        epochs: length of the schedule, after which `final` is reached.
        final: the learning rate at the end.
    """
    return final + 0.5 * (start - final) * (1 + math.cos(math.pi * epoch / epochs))
