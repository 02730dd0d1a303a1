"""Videos that two datasets share: none may train an encoder that is then chosen or tested on it."""

from collections.abc import Iterable

from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.splits import Split
from trainers.data.ingest.video import Ingest
from trainers.stage import InputError


def check_apart(
    pretraining: Dataset, seen: Iterable[Ingest], dataset: Dataset, sides: Split[Ingest], *, remedy: str
) -> None:
    """Refuses a video that an encoder sees in one dataset and is chosen or tested on in another.

    Copies are known by the digest of the file, or of its encoded frames where the container differs.

    Args:
        pretraining: the dataset that encoders are pre-trained on.
        seen: those of its videos that pre-training sees, those of the probe included.
        dataset: the dataset that encoders are fine-tuned and tested on.
        sides: its videos, by side of the split.
        remedy: what to do, to end the sentence with.

    Raises:
        InputError: there is such a video; the sentence names both files.
    """
    streams = _streams(pretraining)
    known = {each: video for video in seen for each in _digests(video, streams)}
    streams = _streams(dataset)
    for side, videos in (("tests", sides.test), ("validates", sides.validation)):
        for video in videos:
            twin = next((known[each] for each in _digests(video, streams) if each in known), None)
            if twin is not None:
                raise InputError(
                    f"{video.video_path}, which {side} encoders in {dataset.name}, is the same video as "
                    f"{twin.video_path}, which {pretraining.name} gives to pre-training: {remedy}."
                )


def _streams(dataset: Dataset) -> dict[str, str]:
    """The digest of the encoded frames by that of the file, where it is known."""
    return {each.video_digest: each.stream_digest for each in dataset.recordings if each.stream_digest}


def _digests(video: Ingest, streams: dict[str, str]) -> list[str]:
    return [video.video_digest, *([streams[video.video_digest]] if video.video_digest in streams else [])]
