"""What is said of published numbers beside videos that are not, or may not be, the published ones."""

from dataclasses import replace

import pytest

from search_spaces.protocol.transfer_notes import published_notes
from search_spaces.studies.published import TABLE1, TABLE1_M2CAI16
from study import Published
from tests.search_spaces.fake_dataset import fake_dataset, fake_m2cai16
from trainers.data.datasets.dataset import Dataset

HOURS = 51
KNOWN = (TABLE1, TABLE1_M2CAI16)
M2CAI16 = fake_m2cai16(27, 14)
M2CAI16 = replace(
    M2CAI16,
    name="challenge",
    recordings=tuple(
        replace(each, name=each.name if number <= 27 else f"test_workflow_video_{number - 27:02}")
        for number, each in enumerate(M2CAI16.recordings, 1)
    ),
)


def named_like_cholec80(hours: float = HOURS, num_videos: int = 80) -> Dataset:
    found = fake_dataset(num_videos)
    num_frames = round(hours * 3600 * 25 / num_videos)
    return replace(found, recordings=tuple(replace(each, num_frames=num_frames) for each in found.recordings))


def notes(dataset: Dataset, pretrain_on: Dataset | None = None, shown: Published | None = TABLE1) -> list[str]:
    return list(published_notes(shown, KNOWN, dataset, pretrain_on))


@pytest.mark.parametrize("layout", ["cholec80", "frames"])
def test_nothing_is_said_of_the_published_videos_themselves(layout: str):
    cholec80 = replace(named_like_cholec80(), layout=layout)
    assert notes(cholec80) == []
    assert notes(M2CAI16, cholec80, TABLE1_M2CAI16) == []
    unlabelled = replace(cholec80.recordings[0], name="more", annotation=None, annotation_digest=None)
    assert notes(replace(cholec80, recordings=(*cholec80.recordings, replace(unlabelled, num_frames=10**9)))) == []


@pytest.mark.parametrize("layout", ["cholec80", "frames"])
@pytest.mark.parametrize(
    ("videos", "has"),
    [
        (named_like_cholec80(num_videos=40), "40 annotated videos of 51.0 h in all"),
        (named_like_cholec80(hours=20), "80 annotated videos of 20.0 h in all"),
        (named_like_cholec80(num_videos=81), "81 annotated videos of 51.0 h in all"),
    ],
    ids=["fewer", "shorter", "more"],
)
def test_videos_of_others_in_the_layout_of_cholec80_are_not_taken_for_it(layout: str, videos: Dataset, has: str):
    (note,) = notes(replace(videos, name="ours", layout=layout))
    assert note == (
        "The published numbers beside are of Cholec80 alone: ours is laid out like Cholec80 but is not known to be it, "
        f"with {has} (Cholec80 has 80 of 51 h in all, video01 to video80)."
    )


def test_each_dataset_of_a_transfer_is_looked_at():
    first, second = notes(fake_m2cai16(), fake_dataset(), TABLE1_M2CAI16)
    assert "of pre-training on Cholec80 and testing on M2CAI16: fake is laid out like Cholec80" in first
    assert "fake-m2cai16 is laid out like M2CAI16 but is not known to be it" in second
    (only,) = notes(M2CAI16, fake_dataset(), TABLE1_M2CAI16)
    assert only == first


def test_synthetic_videos_are_named_whatever_their_dataset_is_called():
    drawn = replace(named_like_cholec80(), name="mine", synthetic="first")
    assert notes(drawn) == [
        "The published numbers beside are of Cholec80 alone, for which the synthetic videos of mine stand."
    ]
    second = replace(M2CAI16, name="other", layout="second-hospital.toml", synthetic="second")
    (note,) = notes(second, drawn, TABLE1_M2CAI16)
    assert note.endswith("for which the synthetic videos of mine and other stand.")
    beside_real, doubt = notes(second, fake_dataset(), TABLE1_M2CAI16)
    assert beside_real.endswith("for which the synthetic videos of other stand.")
    assert "fake is laid out like Cholec80" in doubt


def test_other_videos_have_no_published_numbers_whatever_their_description_is_called():
    (note,) = notes(replace(M2CAI16, layout="second-hospital.toml"), None, None)
    assert note.startswith(
        "No published numbers are shown: they are of Cholec80 alone and pre-training on Cholec80 and"
    )
    assert note.endswith("not of second-hospital.toml alone.")


def test_numbers_that_hold_for_any_data_need_no_word():
    assert notes(fake_dataset(), None, Published(source="anywhere", rows={})) == []
    assert list(published_notes(None, (), fake_dataset(), None)) == []
