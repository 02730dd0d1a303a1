"""Decoder of videos: versions of the libraries that decide the pixels of rows, and a check of their colours."""

import hashlib
from collections.abc import Mapping
from functools import cache
from itertools import product

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

LIBRARIES = ("libavformat", "libavcodec", "libavfilter", "libswscale")
COLOURS = "colours"
"""Name of the digest of colours that were converted for a check."""
CHECKED_FORMATS = ("yuv420p", "yuv444p", "yuv420p10le")
CHECKED_SPACES = (Colorspace.ITU601, Colorspace.ITU709)
CHECKED_RANGES = (ColorRange.MPEG, ColorRange.JPEG)
WIDTH, HEIGHT = 64, 48
DIGEST_BYTES = 6


@cache
def decoder_versions() -> dict[str, str]:
    """Versions by library, and under `colours` a digest that differs where colours are converted differently."""
    numbers = {name: ".".join(map(str, av.library_versions[name])) for name in LIBRARIES}
    return {"av": av.__version__, **numbers, COLOURS: _colours()}


def other_decoder(recorded: Mapping[str, str]) -> str:
    """What another decoder was, in words that continue "was decoded …"; empty where it was the one of this machine.

    Args:
        recorded: its versions, as `decoder_versions` gave them then; versions of before know of `av` alone.
    """
    here = decoder_versions()
    if all(recorded.get(name, version) == version for name, version in here.items()):
        return ""
    told = "may convert colours differently from"
    if COLOURS in recorded:
        told = f"converts colours {'as' if recorded[COLOURS] == here[COLOURS] else 'differently from'}"
    return f"by {_in_words(recorded)}, which {told} {_in_words(here)} of this machine"


def _in_words(versions: Mapping[str, str]) -> str:
    codec = f" with libavcodec {versions['libavcodec']}" if "libavcodec" in versions else ""
    return f"av {versions.get('av', 'of unknown version')}{codec}"


def _colours() -> str:
    """A digest of noise in several formats, matrices and ranges, as RGB."""
    content = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for pix_fmt, space, limits in product(CHECKED_FORMATS, CHECKED_SPACES, CHECKED_RANGES):
        frame = VideoFrame(WIDTH, HEIGHT, pix_fmt)
        random = np.random.default_rng(0)
        for plane in frame.planes:
            kind, largest = (np.uint16, 1023) if pix_fmt.endswith("10le") else (np.uint8, 255)
            num_values = plane.buffer_size // np.dtype(kind).itemsize
            plane.update(random.integers(0, largest, num_values, endpoint=True, dtype=kind).tobytes())
        frame.colorspace, frame.color_range = space, limits
        content.update(VideoReformatter().reformat(frame, format="rgb24").to_ndarray().tobytes())
    return content.hexdigest()
