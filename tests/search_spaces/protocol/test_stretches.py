"""Stretches that pre-training leaves out, and copies on two sides of a split, as recipes see them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.stretch_notes import stretch_notes
from search_spaces.recipes import combined, distilled, initialised, moco, regioncl, simsiam, swav
from search_spaces.studies.catalogue import STUDIES
from study.core.graph import key, walk
from tests.search_spaces.fake_dataset import conditions
from trainers.data.datasets.dataset import RegisteredVideo
from trainers.data.frames import LeftOut
from trainers.data.ingest.stretches import Stretch
from trainers.data.ingest.video import Video
from trainers.recognition.finetune import FineTune
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

BLACK = Stretch(kind="black", start=40.0, stop=70.0)
RECIPES = (distilled, moco, swav, simsiam, regioncl, combined, initialised)


def changed(**changes: dict[int, object]) -> Conditions:
    """Conditions of ten videos, of which fields of some, by their number from 0, are others."""
    here = conditions()

    def recording(number: int, old: RegisteredVideo) -> RegisteredVideo:
        return replace(old, **{name: values[number] for name, values in changes.items() if number in values})  # type: ignore[arg-type]

    recordings = tuple(recording(number, old) for number, old in enumerate(here.dataset.recordings))
    return replace(here, dataset=replace(here.dataset, recordings=recordings))


def pretrained(trial: Stage) -> list[Pretrain]:
    stages = [stage for stage in walk(trial).values() if isinstance(stage, Pretrain)]
    return [stage for stage in stages if isinstance(stage.frames[0], Video)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_stretches_are_left_out_of_all_pre_training_unless_they_are_kept(recipe: Callable[..., Stage]):
    here = changed(stretches={1: (BLACK,)})
    for stage in pretrained(recipe(here, seed=0)):
        assert stage.left_out == (LeftOut(source=1, start=1000, stop=1750),)
        assert stage.num_frames == 4 * 15_000 // 5 - 150
    kept = recipe(here, seed=0, stretches="kept")
    assert key(kept) == key(recipe(conditions(), seed=0))
    assert {stage.left_out for stage in pretrained(kept)} == {()}


def test_only_pre_training_that_leaves_something_out_has_another_key():
    here, before = changed(stretches={1: (BLACK,)}), moco(conditions(), seed=0)
    assert key(moco(changed(stretches={9: (BLACK,)}), seed=0)) == key(before), "no test video is pre-trained on"
    after = walk(moco(here, seed=0))
    keys = {type(stage).__name__ for stage_key, stage in walk(before).items() if stage_key not in after}
    assert "Pretrain" in keys
    assert "Video" not in keys
    assert next(stage.videos for stage in after.values() if isinstance(stage, FineTune)) == here.videos().train


def test_a_note_says_how_much_is_left_out():
    here = changed(stretches={0: (BLACK,), 1: (BLACK, Stretch(kind="frozen", start=100.0, stop=130.0))})
    trials = STUDIES["table3"].trials(here, only=("head",))
    assert stretch_notes(here, trials) == (
        "Pre-training leaves out 1.5 minutes of black or frozen frames in 2 videos; `--set stretches=kept` keeps them.",
    )
    assert stretch_notes(here, STUDIES["table3"].trials(here, settings={"stretches": "kept"}, only=("head",))) == ()


def test_copies_on_two_sides_of_a_split_are_refused_and_on_one_side_they_are_not():
    digests = [each.video_digest for each in conditions().dataset.recordings]
    for number, other, refused in ((0, 1, False), (0, 4, True), (0, 9, True), (8, 9, False), (9, 3, True)):
        here = changed(copies={number: (digests[other],)})
        if not refused:
            here.videos()
            continue
        with pytest.raises(InputError, match=r"shows the same frames as /nowhere/videos/video\d\d\.mp4, which"):
            here.videos()


def test_a_copy_of_a_tested_video_in_the_dataset_that_is_pre_trained_on_is_refused():
    here = conditions()
    other = replace(
        here.dataset,
        name="other",
        recordings=tuple(
            replace(each, video_digest=f"{9000 + number:032x}", video=f"/other/{number}.mp4")
            for number, each in enumerate(here.dataset.recordings)
        ),
    )
    assert replace(here, pretrain_on=other).pretraining_videos().train
    copy = replace(other.recordings[0], copies=(here.dataset.recordings[9].video_digest,))
    leaking = replace(here, pretrain_on=replace(other, recordings=(copy, *other.recordings[1:])))
    with pytest.raises(InputError, match=r"video10\.mp4, which tests encoders in fake, is the same video as /other/0"):
        leaking.pretraining_videos()
