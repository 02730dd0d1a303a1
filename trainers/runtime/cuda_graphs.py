"""CUDA graphs of networks, which launch all kernels of a pass at once: Python is too slow to launch each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def record(networks: Sequence[nn.Module], images_shape: Sequence[int], *, bf16: bool) -> None:
    """Makes every network replay its recorded forward and backward passes, in the mode that it is in now.

    A network must be called once between two updates of the weights, with images of this shape, channels last; where
    several are called, in this order. Its passes hold no collective; those between passes are launched as ever, also
    where a network of another worker could not be recorded. Results are the same bits: the kernels are. Buffers are
    left as they were, and in the other mode a network computes as before.

    Where a GPU or its memory does not permit it, that is printed, and every kernel is launched by itself as before.

    Args:
        networks: on the GPU, in training mode.
        images_shape: N×3×H×W.
        bf16: whether they are called under autocast to bf16.
    """
    if not networks:
        return
    kept = [[buffer.clone() for buffer in network.buffers()] for network in networks]
    device = next(networks[0].parameters()).device
    images = [_images(images_shape, device) for _ in networks]
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)  # recording takes place on another stream
    try:
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=bf16, cache_enabled=False):
            torch.cuda.make_graphed_callables(tuple(networks), tuple((each,) for each in images))
    except RuntimeError as error:
        print(f"training goes on without CUDA graphs, which is slower: {error}")
    for network, before in zip(networks, kept, strict=True):
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)


def _images(shape: Sequence[int], device: torch.device) -> Tensor:
    return torch.zeros(*shape, device=device).contiguous(memory_format=torch.channels_last)
