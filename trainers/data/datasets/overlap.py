"""Videos that two datasets share: none may train an encoder that is then chosen or tested on it."""

from collections.abc import Iterable, Iterator, Mapping

from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.splits import Split
from trainers.data.ingest.video import Ingest
from trainers.stage import InputError


def check_apart(pretraining: Dataset, seen: Split[Ingest], dataset: Dataset, sides: Split[Ingest]) -> None:
    """Refuses a video that encoders learn from in one dataset and that chooses or tests them in another.

    A video that validates in both is none. Copies are known by the digest of the file, of its encoded frames where the
    container differs, or by what the audit of either dataset found.

    Args:
        pretraining: the dataset that encoders are pre-trained on.
        seen: its videos, by side of the split; pre-training sees those that train, validate or have no labels.
        dataset: the dataset that encoders are fine-tuned and tested on.
        sides: its videos, by side of the split.

    Raises:
        InputError: there is such a video; the sentence names both files.
    """
    learnt_from = (*seen.train, *seen.unlabelled)
    for verb, videos, others in (
        ("tests", sides.test, (*learnt_from, *seen.validation)),
        ("validates", sides.validation, learnt_from),
    ):
        for video, twin in _twins(videos, _digests(dataset), others, _digests(pretraining)):
            raise InputError(
                f"{video.video_path}, which {verb} encoders in {dataset.name}, is the same video as "
                f"{twin.video_path}, which {pretraining.name} gives to pre-training: ingest {pretraining.name} "
                "without it."
            )


def _twins(
    videos: Iterable[Ingest],
    digests: Mapping[str, tuple[str, ...]],
    others: Iterable[Ingest],
    other_digests: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[Ingest, Ingest]]:
    """The videos that are among others, too, with the one that they are a copy of."""
    known = {each: other for other in others for each in other_digests[other.video_digest]}
    for video in videos:
        twin = next((known[each] for each in digests[video.video_digest] if each in known), None)
        if twin is not None:
            yield video, twin


def check_sides(dataset: Dataset, sides: Split[Ingest]) -> None:
    """Refuses a split that has copies of one recording on two sides; unlabelled recordings are trained on.

    Raises:
        InputError: there are such copies; the sentence names both files.
    """
    digests = {each.video_digest: each.copies for each in dataset.recordings if each.copies}
    if not digests:
        return
    named = [("trains", (*sides.train, *sides.unlabelled)), ("validates", sides.validation), ("tests", sides.test)]
    found = {video.video_digest: (side, video) for side, videos in named for video in videos}
    for digest, (side, video) in found.items():
        for other_side, other in (found[each] for each in digests.get(digest, ()) if each in found):
            if side != other_side:
                raise InputError(
                    f"{video.video_path}, which {side} in this split of {dataset.name}, shows the same frames as "
                    f"{other.video_path}, which {other_side}: move one of them away, or ask for another split."
                )


def _digests(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """All digests that a recording, or a copy of it, is known by; by its own."""
    return {
        each.video_digest: (each.video_digest, *([each.stream_digest] if each.stream_digest else []), *each.copies)
        for each in dataset.recordings
    }
