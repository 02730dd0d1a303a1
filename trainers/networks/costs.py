"""Rough costs on the reference machine, two CPU cores, for the plan's estimates."""

from trainers.networks.backbones import FeatureExtractor

REFERENCE_GFLOPS = 45.0
"""Multiply-adds (10⁹) per second that narrow ResNets reach there in single precision."""
SECONDS_PER_VIEW = 1.5e-4
"""Decoding and augmenting one small view."""


def training_seconds(
    backbone: FeatureExtractor, size_px: int, num_frames: float, forward_equivalents: float, num_views: int = 2
) -> float:
    """Training time for a number of frames.

    Args:
        backbone: the architecture.
        size_px: side of the square views.
        num_frames: frames seen, over all epochs.
        forward_equivalents: forward-pass equivalents per frame; a trained view counts 3.
        num_views: of every frame.
    """
    gflops = backbone.gflops_at(size_px)
    return num_frames * (forward_equivalents * gflops / REFERENCE_GFLOPS + num_views * SECONDS_PER_VIEW)


def forward_seconds(backbone: FeatureExtractor, size_px: int, num_images: float) -> float:
    """Time of forward passes alone; arguments as in `training_seconds`."""
    return num_images * backbone.gflops_at(size_px) / REFERENCE_GFLOPS


def inference_seconds(backbone: FeatureExtractor, size_px: int, num_frames: float) -> float:
    """Time to compute the features of a number of frames; arguments as in `training_seconds`."""
    return forward_seconds(backbone, size_px, num_frames) + num_frames * SECONDS_PER_VIEW
