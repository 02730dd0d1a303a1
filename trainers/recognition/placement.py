"""Feature sequences on the device that trains on them, moved there once for a whole stage."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LARGEST_PART = 0.15
"""Of a GPU's memory, that the sequences of one side may take: several such stages share a GPU."""


@dataclass(frozen=True)
class Placed:
    """A video's rows, on the device where they fit, in the type that they are stored in."""

    features: Tensor
    """C×T."""
    labels: Tensor
    """T."""


def placed(videos: Iterable[tuple[np.ndarray, np.ndarray]], device: torch.device) -> list[Placed]:
    """Moves videos to a device, as many as a part of a GPU's memory holds; the others stay on the CPU.

    Args:
        videos: features T×C and labels T of each.
        device: where they will be trained on.
    """
    room = math.inf
    if device.type == "cuda":
        room = LARGEST_PART * torch.cuda.get_device_properties(device).total_memory
    found = []
    for features, labels in videos:
        room -= features.nbytes
        here = device if room >= 0 else torch.device("cpu")
        rows, phases = torch.from_numpy(features).to(here), torch.from_numpy(labels.astype(np.int64)).to(here)
        found.append(Placed(rows.T.contiguous(), phases))
    return found


def model_input(features: Tensor, device: torch.device) -> Tensor:
    """Features C×T as the temporal model takes them, on its device: 1×C×T in single precision."""
    return features.to(device).float()[None]
