"""Lengths of videos that are folders of images: a set of operations that would last seconds has another rate."""

from collections.abc import Iterator, Sequence

from trainers.data.datasets.dataset import RegisteredVideo
from trainers.data.datasets.description import Description
from trainers.data.ingest.findings import Finding

ASSUMED = "frames"
"""The built-in description whose rate nobody has stated."""
SHORTEST_SECONDS = 10.0
"""Of the longest operation of a set, however its rate was given."""
SHORTEST_ASSUMED_SECONDS = 300.0
"""Of the longest one where its rate was not given, and every image of a second is there."""


def check_lengths(described: Description, root: str, recordings: Sequence[RegisteredVideo]) -> Iterator[Finding]:
    """The finding on images whose rate cannot be what it is said to be, if it cannot.

    Args:
        described: the description of the data set.
        root: the folder of the data set.
        recordings: its videos.
    """
    if not described.are_frames or not recordings:
        return
    longest = max(recordings, key=lambda each: each.num_frames / each.fps)
    seconds = longest.num_frames / longest.fps
    is_whole = longest.num_images == longest.num_frames
    is_assumed = described.source == ASSUMED and described.given_fps is None and is_whole
    if seconds < (SHORTEST_ASSUMED_SECONDS if is_assumed else SHORTEST_SECONDS):
        message = (
            f"holds no operation longer than {seconds:.3g} s at {longest.fps:g} images per second ({longest.name})"
        )
        remedy = "this rate must be wrong; give the images' own with --fps, or as `fps` in the description"
        yield Finding(path=root, message=message, remedy=remedy)
