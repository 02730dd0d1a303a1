import pytest

from trainers.data.datasets.splits import divided, fold, official, selection
from trainers.names import Fold, fold_named
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


def folds(num_videos: int, count: int, repeat: int = 1, *, validates: bool = True):
    asked = [Fold(count=count, repeat=repeat, number=number) for number in range(1, count + 1)]
    return [fold(range(num_videos), each, validates=validates) for each in asked]


@pytest.mark.parametrize("validates", [True, False])
@pytest.mark.parametrize(("num_videos", "count"), [(80, 5), (41, 4), (24, 5), (5, 5), (4, 2), (3, 3), (7, 2)])
def test_every_video_is_tested_in_one_fold_and_on_one_side_of_each(num_videos: int, count: int, validates: bool):
    split = folds(num_videos, count, validates=validates)
    tested = [video for each in split for video in each.test]
    assert sorted(tested) == list(range(num_videos))
    for each in split:
        assert sorted([*each.train, *each.validation, *each.test]) == list(range(num_videos))
        assert all(list(side) == sorted(side) for side in (each.train, each.validation, each.test))
        assert bool(each.validation) == validates
        assert each.train
    lengths = {len(each.test) for each in split}
    assert max(lengths) - min(lengths) <= 1


def test_five_folds_of_cholec80_train_on_51_videos_and_validate_on_13():
    assert {(len(each.train), len(each.validation), len(each.test)) for each in folds(80, 5)} == {(51, 13, 16)}


def test_validation_videos_differ_from_fold_to_fold():
    validating = [video for each in folds(80, 5) for video in each.validation]
    assert len(set(validating)) == len(validating) == 65


def test_folds_are_drawn_by_the_number_of_the_drawing_alone():
    first, again, second = (folds(40, 4, repeat) for repeat in (1, 1, 2))
    assert first == again
    assert {each.test for each in first}.isdisjoint({each.test for each in second})
    assert divided(range(40), "fold2of4") == divided(range(40), "fold2of4r1") == first[1]


def test_folds_are_made_over_both_sides_of_a_layout():
    names = [f"video{number}" for number in range(41)]
    subsets = ["train"] * 27 + ["test"] * 14
    assert divided(names, "fold1of4", subsets=subsets) == divided(names, "fold1of4")
    assert divided(names, "selection", subsets=subsets) == selection(names, subsets=subsets)


def test_folds_that_a_dataset_declares_are_those_of_the_first_drawing():
    declared = [2, 1, 3, 1, 2, 3, 3]
    tested = [divided("abcdefg", f"fold{number}of3", declared=declared).test for number in (1, 2, 3)]
    assert tested == [("b", "d"), ("a", "e"), ("c", "f", "g")]
    drawn = divided("abcdefg", "fold1of4")
    assert divided("abcdefg", "fold1of4", declared=declared) == drawn
    again = divided("abcdefg", "fold1of3r2")
    assert divided("abcdefg", "fold1of3r2", declared=declared) == again


@pytest.mark.parametrize(
    "name", ["fold0of5", "fold3", "fold3of", "fold1of5r0", "fold1of5r", "Fold1of5", "fold01of5", 3]
)
def test_other_texts_name_no_fold(name: object):
    assert fold_named(name) is None


def test_a_fold_is_named_as_it_is_written():
    assert [str(fold_named(name)) for name in ("fold3of5", "fold3of5r1", "fold3of5r2")] == [
        "fold3of5",
        "fold3of5",
        "fold3of5r2",
    ]


@pytest.mark.parametrize(
    ("name", "num_videos", "expected"),
    [
        ("fold6of5", 80, "split fold6of5 does not exist: there are folds 1 to k of k, and k is at least 2"),
        ("fold1of1", 80, "split fold1of1 does not exist"),
        ("fold1of5", 4, "4 annotated videos cannot be split as fold1of5: give at least 5"),
        ("fold1of2", 3, "3 annotated videos cannot be split as fold1of2: give at least 4"),
    ],
)
def test_folds_that_cannot_be_are_refused(name: str, num_videos: int, expected: str):
    with pytest.raises(InputError, match=expected):
        divided(range(num_videos), name)


def test_a_declared_validation_side_validates_in_both_splits():
    names = [f"{number:02}" for number in range(1, 8)]
    subsets = ["train"] * 3 + ["validation"] * 2 + ["test"] * 2
    for divide in (official, selection):
        split = divide(names, subsets=subsets)
        assert (split.train, split.validation, split.test) == (("01", "02", "03"), ("04", "05"), ("06", "07"))


def test_declared_folds_are_those_of_the_first_drawing_and_no_other_number():
    names, declared = list("abcdef"), [1, 2, 3, 1, 2, 3]
    assert divided(names, "fold2of3", declared=declared).test == ("b", "e")
    assert divided(names, "fold1of3", declared=declared, folds_validate=False).train == ("b", "c", "e", "f")
    for other in ("fold2of3r2", "fold2of2"):
        assert divided(names, other, declared=declared) == divided(names, other)
