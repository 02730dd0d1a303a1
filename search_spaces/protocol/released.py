"""What is known of the published datasets, by which others that are laid out like them are told from them."""

from dataclasses import dataclass

from trainers.data.datasets.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Released:
    """What is known of a published dataset, by which videos that are laid out like it are told from its own.

    Attributes:
        title: its name in sentences.
        videos: the names of its videos.
        named: these names in words.
        hours: how long they are together, and how far off a count may be; None where that is not known.
    """

    title: str
    videos: frozenset[str]
    named: str
    hours: tuple[int, int] | None = None

    def is_like(self, dataset: Dataset) -> bool:
        """Whether the annotated videos of a dataset have the names, and together the length, of the released ones."""
        names, hours = annotated(dataset)
        return names == self.videos and (self.hours is None or abs(hours - self.hours[0]) <= self.hours[1])

    @property
    def in_words(self) -> str:
        """What it consists of."""
        hours = "" if self.hours is None else f" of {self.hours[0]} h in all"
        return f"{self.title} has {len(self.videos)}{hours}, {self.named}"


RELEASED = {
    "cholec80": Released(
        title="Cholec80",
        videos=frozenset(f"video{number:02}" for number in range(1, 81)),
        named="video01 to video80",
        hours=(51, 3),
    ),
    "m2cai16": Released(
        title="M2CAI16",
        videos=frozenset(
            (
                *(f"workflow_video_{number:02}" for number in range(1, 28)),
                *(f"test_workflow_video_{number:02}" for number in range(1, 15)),
            )
        ),
        named="workflow_video_01 to 27 and test_workflow_video_01 to 14",
    ),
}
"""The datasets of the published numbers."""


def annotated(dataset: Dataset) -> tuple[set[str], float]:
    """The names of a dataset's annotated videos, and how many hours they last together."""
    found = [each for each in dataset.recordings if each.annotation]
    return {each.name for each in found}, sum(each.num_frames / each.fps for each in found) / 3600
