"""What is said of published numbers beside videos that are not, or may not be, the published ones."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from search_spaces.protocol.transfer_notes import measured_on, published_notes
from search_spaces.studies.published import ON_CHOLEC80, TABLE1, TABLE1_M2CAI16, TO_M2CAI16
from study import MeasuredOn, Published
from tests.search_spaces.fake_dataset import fake_dataset, released_cholec80, released_m2cai16
from trainers.data.datasets.dataset import Dataset

KNOWN = (TABLE1, TABLE1_M2CAI16)
CHOLEC80, M2CAI16 = released_cholec80(), released_m2cai16()
LAYOUTS = ["cholec80", "frames", "ours.toml"]


def shown(data: MeasuredOn) -> Published | None:
    return next((each for each in KNOWN if each.measured_on == data), None)


def notes(dataset: Dataset, pretrain_on: Dataset | None = None) -> list[str]:
    data = measured_on(dataset, pretrain_on)
    return list(published_notes(shown(data), KNOWN, data, [each for each in (pretrain_on, dataset) if each]))


def with_sides(dataset: Dataset, num_train: int, num_validation: int = 0) -> Dataset:
    sides = ("train",) * num_train + ("validation",) * num_validation + ("test",) * 80
    videos = zip(dataset.recordings, sides, strict=False)
    return replace(dataset, recordings=tuple(replace(each, subset=side) for each, side in videos))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_videos_are_known_by_what_they_are_whatever_describes_them(layout: str):
    cholec80 = replace(CHOLEC80, layout=layout, name="mine")
    m2cai16 = replace(M2CAI16, layout=layout, name="theirs")
    more = replace(cholec80.recordings[0], name="more", annotation=None, annotation_digest=None, num_frames=10**9)
    for each in (
        cholec80,
        with_sides(cholec80, 40),
        with_sides(cholec80, 32, 8),
        replace(cholec80, recordings=(*cholec80.recordings, more)),
    ):
        assert measured_on(each, None) == ON_CHOLEC80
        assert notes(each) == []
        assert measured_on(m2cai16, each) == TO_M2CAI16
        assert notes(m2cai16, each) == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("make", "difference"),
    [
        (lambda: released_cholec80(num_videos=40), "has 40 annotated videos of 51.0 h in all (Cholec80 has 80 of 51 h"),
        (lambda: released_cholec80(hours=20), "has 80 annotated videos of 20.0 h in all (Cholec80 has 80 of 51 h in"),
        (lambda: released_cholec80(num_videos=81), "has 81 annotated videos of 51.0 h in all (Cholec80 has 80 of 51 h"),
        (lambda: with_sides(CHOLEC80, 39), "tests other videos than the published split of Cholec80."),
        (lambda: with_sides(CHOLEC80, 64), "tests other videos than the published split of Cholec80."),
        (lambda: replace(CHOLEC80, phases=CHOLEC80.phases[:-1]), "has other phases than Cholec80."),
    ],
    ids=["fewer", "shorter", "more", "another split", "a fold of five", "phases"],
)
def test_other_videos_get_no_published_numbers_whatever_they_are_laid_out_like(
    layout: str, make: Callable[[], Dataset], difference: str
):
    found = replace(make(), name="ours", layout=layout)
    for data in (measured_on(found, None), measured_on(M2CAI16, found), measured_on(CHOLEC80, found)):
        assert shown(data) is None
    (note,) = notes(found)
    assert note.startswith("No published numbers are shown: they are of Cholec80 alone and pre-training on Cholec80 ")
    assert (f" ours {difference}" in note) == (layout != "ours.toml" or len(found.recordings) == 80)
    assert f", not of {'ours.toml' if layout == 'ours.toml' else 'videos laid out like Cholec80'} alone." in note


def test_each_dataset_of_a_transfer_is_looked_at():
    first = replace(M2CAI16, recordings=M2CAI16.recordings[1:])
    (note,) = notes(first, fake_dataset())
    assert note.endswith(
        " fake has 10 annotated videos of 1.7 h in all (Cholec80 has 80 of 51 h in all, video01 to video80). "
        "challenge has 40 annotated videos of 8.9 h in all (M2CAI16 has 41, workflow_video_01 to 27 and "
        "test_workflow_video_01 to 14)."
    )
    assert "fake has" in notes(M2CAI16, fake_dataset())[0]
    assert "challenge has" not in notes(M2CAI16, fake_dataset())[0]


def test_synthetic_videos_are_named_whatever_their_dataset_is_called():
    drawn = replace(fake_dataset(), name="mine", synthetic="first")
    assert notes(drawn) == [
        "The published numbers beside are of Cholec80 alone, for which the synthetic videos of mine stand."
    ]
    second = replace(M2CAI16, name="other", layout="second-hospital.toml", synthetic="second")
    (note,) = notes(second, drawn)
    assert note.endswith("for which the synthetic videos of mine and other stand.")
    (beside_real,) = notes(second, CHOLEC80)
    assert beside_real.endswith("for which the synthetic videos of other stand.")


def test_other_videos_have_no_published_numbers_whatever_their_description_is_called():
    (note,) = notes(replace(fake_dataset(), layout="second-hospital.toml"))
    assert note.startswith(
        "No published numbers are shown: they are of Cholec80 alone and pre-training on Cholec80 and"
    )
    assert note.endswith("not of second-hospital.toml alone.")


def test_numbers_that_hold_for_any_data_need_no_word():
    data = measured_on(fake_dataset(), None)
    assert list(published_notes(Published(source="anywhere", rows={}), KNOWN, data, [fake_dataset()])) == []
    assert list(published_notes(None, (), data, [fake_dataset()])) == []
