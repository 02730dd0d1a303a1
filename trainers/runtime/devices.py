"""Device and number of threads of this process, from the resources of a stage."""

import cv2
import torch

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
        raise MachineError(
            "a GPU was granted, but torch sees none here: check the driver, or run with --gpus-per-worker 0."
        )
    torch.backends.cudnn.deterministic = True  # a resumed run gives the bits of one that was not interrupted
    # By number: Ray Train shows a worker all GPUs of its node, and makes the worker's own one current in this thread.
    return torch.device("cuda", torch.cuda.current_device())
