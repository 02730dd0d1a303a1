"""Where tensors live and how many threads compute, from what a stage was granted."""

import cv2
import torch
from torch import Tensor

from trainers.data.augmentation import normalise
from trainers.stage import MachineError, Resources


def prepare(resources: Resources) -> torch.device:
    """Sets the thread counts of this process and returns the device to compute on.

    Raises:
        MachineError: a GPU was granted but torch sees none.
    """
    torch.set_num_threads(max(1, resources.threads))
    cv2.setNumThreads(0)
    if not resources.gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise MachineError("a GPU was granted, but torch sees none here: check the driver, or run with --gpus 0.")
    torch.backends.cudnn.deterministic = True  # a resumed run gives the bits of one that was not interrupted
    # By number: Ray Train shows a worker all GPUs of its node, and makes the worker's own one current in this thread.
    return torch.device("cuda", torch.cuda.current_device())


def network_input(images: Tensor, device: torch.device) -> Tensor:
    """Images (N×3×S×S, uint8 RGB) as a backbone takes them: on the device, normalised, channels last.

    From page-locked memory the copy goes on beside the GPU's work.
    """
    return normalise(images.to(device, non_blocking=True)).contiguous(memory_format=torch.channels_last)
