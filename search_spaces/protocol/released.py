"""What is known of the published datasets, by which they are known under any name, and others told from them."""

from dataclasses import dataclass

from trainers.data.datasets.cholec80 import PHASES as CHOLEC80_PHASES
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.m2cai16 import PHASES as M2CAI16_PHASES
from trainers.data.datasets.splits import official


@dataclass(frozen=True, kw_only=True)
class Released:
    """What is known of a published dataset.

    Attributes:
        title: its name in sentences.
        phases: the names of its phases.
        training: the names of its videos that train, by the published split.
        tested: the names of those that are tested.
        named: all these names in words.
        hours: how long they are together, and how far off a count may be; None where that is not known.
    """

    title: str
    phases: tuple[str, ...]
    training: frozenset[str]
    tested: frozenset[str]
    named: str
    hours: tuple[int, int] | None = None

    def difference(self, dataset: Dataset) -> str:
        """What tells a dataset from the published one, in words; nothing where it is that one, whatever describes it.

        Its annotated videos have the names and together the length of the released ones, the same ones are tested, and
        its phases are the same.
        """
        annotated = [each for each in dataset.recordings if each.annotation]
        hours = sum(each.num_frames / each.fps for each in annotated) / 3600
        is_long = self.hours is None or abs(hours - self.hours[0]) <= self.hours[1]
        if self.training | self.tested != {each.name for each in annotated} or not is_long:
            return f"has {len(annotated)} annotated videos of {hours:.1f} h in all ({self._in_words})"
        if self.tested != _tested(dataset):
            return f"tests other videos than the published split of {self.title}"
        return "" if set(self.phases) == set(dataset.phases) else f"has other phases than {self.title}"

    def is_named_like(self, dataset: Dataset) -> bool:
        """Whether the annotated videos of a dataset have the names of the released ones."""
        return {each.name for each in dataset.recordings if each.annotation} == self.training | self.tested

    @property
    def _in_words(self) -> str:
        hours = "" if self.hours is None else f" of {self.hours[0]} h in all"
        return f"{self.title} has {len(self.training | self.tested)}{hours}, {self.named}"


RELEASED = {
    "cholec80": Released(
        title="Cholec80",
        phases=CHOLEC80_PHASES,
        training=frozenset(f"video{number:02}" for number in range(1, 41)),
        tested=frozenset(f"video{number:02}" for number in range(41, 81)),
        named="video01 to video80",
        hours=(51, 3),
    ),
    "m2cai16": Released(
        title="M2CAI16",
        phases=M2CAI16_PHASES,
        training=frozenset(f"workflow_video_{number:02}" for number in range(1, 28)),
        tested=frozenset(f"test_workflow_video_{number:02}" for number in range(1, 15)),
        named="workflow_video_01 to 27 and test_workflow_video_01 to 14",
    ),
}
"""The datasets of the published numbers."""


def _tested(dataset: Dataset) -> set[str]:
    """The names of the videos that a dataset's own split tests."""
    names = [each.name for each in dataset.recordings if each.annotation]
    if any(dataset.subsets):
        return {name for name, subset in zip(names, dataset.subsets, strict=True) if subset == "test"}
    return set(official(names).test)
