"""Costs of networks for a plan's estimates: multiply-adds, and seconds in which two CPU cores prepare frames."""

import functools

from trainers.networks.backbones import FeatureExtractor
from trainers.stage import Cost

REFERENCE_GFLOPS = 45.0
"""Multiply-adds (10⁹) per second that narrow ResNets reach on two CPU cores in single precision."""
SECONDS_PER_VIEW = 1.5e-4
"""Decoding and augmenting one small view there; a larger one takes as much more as it has more pixels.

Measured (`benchmarks.data_path`, brought to a view of 112 px on two cores): 0.6e-4 on two quiet cores without a GPU,
where networks take nearly all of the time, and 2.3e-4 by the 16 cores beside an H200, where a stage may wait for views.
The value lies between, nearer to the second.
"""
SECONDS_PER_LAUNCH = 1e-5
"""Of one operation on a GPU, by a thread of Python."""
SMALL_PX = 112
BYTES_PER_NUMBER = 4


def training_cost(
    backbone: FeatureExtractor,
    size_px: int,
    num_frames: float,
    forward_equivalents: float,
    num_views: int = 2,
    precision: str = "fp32",
) -> Cost:
    """Cost of training on a number of frames.

    Args:
        backbone: the architecture.
        size_px: side of the square views.
        num_frames: frames seen, over all epochs.
        forward_equivalents: forward-pass equivalents per frame; a trained view counts 3.
        num_views: of every frame.
        precision: of the network.
    """
    return Cost(
        cpu_seconds=num_frames * num_views * _seconds_per_view(size_px),
        training_gmacs=num_frames * forward_equivalents * backbone.gflops_at(size_px),
        gmacs_per_frame=backbone.gflops_at(size_px),
        precision=precision,
    )


def inference_cost(backbone: FeatureExtractor, size_px: int, num_frames: float, precision: str = "fp32") -> Cost:
    """Cost of the features of a number of frames; arguments as in `training_cost`."""
    seconds, gmacs = num_frames * _seconds_per_view(size_px), backbone.gflops_at(size_px)
    return Cost(cpu_seconds=seconds, inference_gmacs=num_frames * gmacs, gmacs_per_frame=gmacs, precision=precision)


def small_network_cost(seconds: float, num_launches: float) -> Cost:
    """Cost of training a network that is so small that a GPU waits for its operations to be started.

    Args:
        seconds: on two CPU cores.
        num_launches: of operations on a GPU.
    """
    return Cost(training_gmacs=seconds * REFERENCE_GFLOPS, launch_seconds=num_launches * SECONDS_PER_LAUNCH)


def reference_seconds(cost: Cost) -> float:
    """Seconds of a cost on two CPU cores."""
    return (cost.training_gmacs + cost.inference_gmacs) / REFERENCE_GFLOPS + cost.cpu_seconds


@functools.cache
def stored_bytes(network: FeatureExtractor) -> float:
    """Size of a network's tensors in a file, in single precision; nothing is computed for it."""
    return float(BYTES_PER_NUMBER * network.num_numbers)


def _seconds_per_view(size_px: int) -> float:
    return SECONDS_PER_VIEW * max(1.0, (size_px / SMALL_PX) ** 2)
