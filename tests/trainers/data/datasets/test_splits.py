import pytest

from trainers.data.datasets.splits import official, selection
from trainers.stage import InputError


def sizes(num_videos: int) -> tuple[int, int, int]:
    split = selection(range(num_videos))
    return len(split.train), len(split.validation), len(split.test)


def test_cholec80_is_split_as_published():
    split = official(range(1, 81))
    assert split.train == tuple(range(1, 41))
    assert split.validation == ()
    assert split.test == tuple(range(41, 81))


def test_cholec80s_last_eight_training_videos_choose_the_model():
    split = selection(range(1, 81))
    assert split.train == tuple(range(1, 33))
    assert split.validation == tuple(range(33, 41))
    assert split.test == official(range(1, 81)).test


def test_m2cai16_is_split_by_its_folders():
    names = [f"video{number}" for number in range(41)]
    subsets = ["train"] * 27 + ["test"] * 14
    assert official(names, subsets=subsets).train == tuple(names[:27])
    split = selection(names, subsets=subsets)
    assert (split.train, split.validation, split.test) == (tuple(names[:22]), tuple(names[22:27]), tuple(names[27:]))


def test_the_folders_count_and_not_the_order():
    split = official("abcd", subsets=["test", "train", "train", "test"])
    assert (split.train, split.test) == (("b", "c"), ("a", "d"))


@pytest.mark.parametrize(
    ("num_videos", "expected"),
    [
        (3, (1, 1, 1)),
        (4, (1, 1, 2)),
        (5, (2, 1, 2)),
        (6, (2, 1, 3)),
        (12, (5, 1, 6)),
        (16, (6, 2, 8)),
        (79, (32, 8, 39)),
    ],
)
def test_other_numbers_of_videos_keep_the_proportions(num_videos: int, expected: tuple[int, int, int]):
    assert sizes(num_videos) == expected


@pytest.mark.parametrize("num_videos", range(3, 100))
def test_every_video_is_on_exactly_one_side(num_videos: int):
    split = selection(range(num_videos))
    assert [*split.train, *split.validation, *split.test] == list(range(num_videos))
    assert all((split.train, split.validation, split.test))


def test_datasets_without_subsets_may_say_so():
    assert official("abcd", subsets=[None] * 4) == official("abcd")


def test_too_few_videos_are_refused():
    with pytest.raises(InputError, match="2 videos cannot be split into train, validation and test: give at least 3"):
        official("ab")
    with pytest.raises(InputError, match="3 training and 0 test videos cannot be split: give at least 2 to train"):
        selection("abc", subsets=["train"] * 3)
    with pytest.raises(InputError, match="1 training and 2 test videos"):
        selection("abc", subsets=["train", "test", "test"])
