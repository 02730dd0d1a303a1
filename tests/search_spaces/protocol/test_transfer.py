"""Pre-training on one dataset, fine-tuning and test on another: who sees which video, and what stands beside it."""

from dataclasses import replace

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.label_notes import label_notes
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES
from search_spaces.protocol.transfer_notes import of_folds
from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES
from search_spaces.studies.published import ON_CHOLEC80, TABLE1, TABLE1_M2CAI16, TO_M2CAI16
from study import MeasuredOn, Study
from study.core.graph import key, walk
from tests.search_spaces.fake_dataset import fake_dataset, fake_m2cai16, released_cholec80, released_m2cai16
from trainers.data.datasets.dataset import Dataset
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.finetune import FineTune
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

HERE, THERE = fake_dataset(10), fake_m2cai16(10, 4)
CHOLEC80, M2CAI16 = released_cholec80(), released_m2cai16()
SYNTHETIC_FIRST = replace(HERE, synthetic="first")
SYNTHETIC = replace(THERE, name="drawn", layout="second-hospital.toml", synthetic="second")
every_study = pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)


def transfer(preset: str = "corrected", source: Dataset = HERE, target: Dataset = THERE) -> Conditions:
    return Conditions(preset=PRESETS[preset], scale=SCALES["demo"], dataset=target, pretrain_on=source)


def alone(dataset: Dataset, preset: str = "corrected") -> Conditions:
    return Conditions(preset=PRESETS[preset], scale=SCALES["demo"], dataset=dataset)


def names(videos: object) -> set[str]:
    assert isinstance(videos, tuple)
    return {video.video_digest for video in videos if isinstance(video, Ingest)}


def pretraining_of(*stages: Stage) -> dict[str, Pretrain]:
    return {stage_key: stage for stage_key, stage in walk(*stages).items() if isinstance(stage, Pretrain)}


@every_study
@pytest.mark.parametrize("preset", PRESETS)
def test_every_pretraining_is_that_of_the_source_and_everything_else_is_of_the_target(study: Study, preset: str):
    trials = study.trials(transfer(preset))
    source, target = alone(HERE, preset).videos(), alone(THERE, preset).videos()
    on_source = study.trials(alone(HERE, preset))
    stages = [trial.stage for trial in trials]
    training_sides, labelled = [names(source.train)], names(target.train)
    if study.name == "attribution":  # one of its differences is the split
        training_sides.append(names((*source.train, *source.validation)))
        labelled |= names(target.validation)
    assert pretraining_of(*stages).keys() == pretraining_of(*(trial.stage for trial in on_source)).keys()
    for pretraining in pretraining_of(*stages).values():
        seen = names(tuple(walk(pretraining).values()))
        assert seen <= names((*source.train, *source.validation))
        assert names(pretraining.frames) in (*training_sides, set())  # generic images have no digest
    for stage in walk(*stages).values():
        if isinstance(stage, FineTune):
            assert names(stage.videos) <= labelled
            assert names(stage.validation) <= names((*target.validation, *target.test))
            assert stage.num_phases == 8
        if isinstance(stage, Evaluate):
            assert stage.phases == THERE.phases
    read = names(tuple(walk(*stages).values()))
    assert names(target.test) <= read
    assert read.isdisjoint(names(source.test))


def test_label_fractions_are_drawn_from_the_target():
    fig3, conditions = STUDIES["fig3"], transfer()
    trials = fig3.trials(conditions)
    drawn = conditions.label_draw(0, 0.5).videos
    half = next(trial for trial in trials if trial.row.name == "ours-50")
    assert any(isinstance(stage, FineTune) and stage.videos == drawn for stage in walk(half.stage).values())
    assert names(drawn) <= names(alone(THERE).videos().train)
    assert not label_notes(conditions, [half])


def test_the_same_dataset_named_twice_is_no_transfer():
    assert Conditions(preset=PRESETS["corrected"], scale=SCALES["demo"], dataset=HERE, pretrain_on=HERE) == alone(HERE)


def test_a_check_sees_one_video_of_each_side_of_both():
    brief = replace(transfer(), brief=True)
    sides = brief.pretraining_videos()
    assert (len(sides.train), len(sides.validation)) == (1, 1)
    assert names(sides.train) <= names(HERE.videos(fps=5, size_px=64))


@pytest.mark.parametrize(
    ("number", "side"), [(-1, "tests"), (9, "validates")], ids=["of the test", "of the validation"]
)
@pytest.mark.parametrize("changes", [{}, {"video_digest": "another container", "stream_digest": "same frames"}])
def test_a_video_that_is_judged_on_must_not_be_pretrained_on(number: int, side: str, changes: dict[str, str]):
    judged = replace(THERE.recordings[number], stream_digest="same frames")
    target = replace(THERE, recordings=(*THERE.recordings[:number], judged, *THERE.recordings[number:][1:]))
    copy = replace(judged, **{"video": "/nowhere/videos/copy.mp4", **changes})
    unlabelled = replace(copy, annotation=None, annotation_digest=None, annotation_stamp=None, subset=None)
    for source in (
        replace(HERE, recordings=(*HERE.recordings, unlabelled)),
        replace(HERE, recordings=(replace(copy, subset=None), *HERE.recordings)),
    ):
        with pytest.raises(InputError, match=f"which {side} encoders in fake-m2cai16, is the same video as /nowhere/"):
            STUDIES["table1"].trials(transfer(source=source, target=target))


def test_a_training_or_validation_video_of_both_is_no_leak():
    assert STUDIES["table1"].trials(transfer(source=replace(THERE, name="the same")))


def test_the_probe_must_not_look_at_a_video_of_the_test():
    copy = replace(THERE.recordings[-1], subset=None)
    source = replace(HERE, recordings=(*HERE.recordings[:5], copy, *HERE.recordings[5:]))
    assert copy.video_digest in names(alone(source).videos().validation)
    with pytest.raises(InputError, match="which tests encoders in fake-m2cai16, is the same video"):
        STUDIES["table1"].trials(transfer(source=source))


@pytest.mark.parametrize(
    ("conditions", "published"),
    [
        (alone(CHOLEC80), TABLE1),
        (transfer(source=CHOLEC80, target=M2CAI16), TABLE1_M2CAI16),
        (alone(M2CAI16), None),
        (transfer(source=M2CAI16, target=CHOLEC80), None),
        (transfer(source=replace(CHOLEC80, name="cut", layout="frames"), target=M2CAI16), TABLE1_M2CAI16),
        (transfer(source=replace(CHOLEC80, name="ours", layout="ours.toml"), target=M2CAI16), TABLE1_M2CAI16),
        (alone(HERE), None),
        (alone(replace(HERE, layout="cholec80.toml")), None),
        (transfer(source=CHOLEC80), None),
        (transfer(source=SYNTHETIC_FIRST, target=SYNTHETIC), TABLE1_M2CAI16),
        (transfer(source=SYNTHETIC_FIRST, target=replace(SYNTHETIC, name="moved", layout="ours.toml")), TABLE1_M2CAI16),
        (transfer(source=SYNTHETIC_FIRST, target=replace(SYNTHETIC, synthetic=None)), None),
        (alone(replace(HERE, layout="ours.toml", synthetic="first")), None),
    ],
)
def test_published_numbers_stand_beside_what_was_published_and_nothing_else(conditions: Conditions, published: object):
    assert STUDIES["table1"].on(conditions.measured_on).published is published


def test_published_numbers_stand_beside_no_fold():
    asked, cholec80 = STUDIES["table1"], alone(CHOLEC80)
    for split, published in ((None, TABLE1), ("official", TABLE1), ("fold2of5", None)):
        settings = {"split": split} if split else {}
        trials = asked.trials(cholec80, settings=settings, only=["moco"])
        assert asked.on(of_folds(cholec80.measured_on, trials)).published is published
    assert of_folds(cholec80.measured_on, trials) == ("cholec80", "folds of Cholec80")


@pytest.mark.parametrize("study", ["table2", "table3"])
def test_numbers_of_cholec80_stand_beside_cholec80_alone(study: str):
    asked = STUDIES[study]
    assert asked.on(ON_CHOLEC80).published is asked.published
    for data in (TO_M2CAI16, MeasuredOn("m2cai16", "m2cai16"), MeasuredOn("m2cai16", "cholec80")):
        assert asked.on(data).published is None


def test_the_note_says_what_comes_of_which_dataset():
    (note,) = [note for note in transfer().notes if note.startswith("Transfer")]
    assert "sees fake alone" in note
    assert "validation videos of fake." in note
    assert "test are of fake-m2cai16." in note
    assert not any("Transfer" in note for note in alone(HERE).notes)


def test_a_source_without_any_labels_is_pretrained_on_whole_and_has_no_probe():
    bare = replace(
        HERE, recordings=tuple(replace(each, annotation=None, annotation_digest=None) for each in HERE.recordings)
    )
    conditions = transfer(source=bare)
    trials = STUDIES["table1"].trials(conditions, only=["moco"])
    (student,) = [each for each in pretraining_of(*(trial.stage for trial in trials)).values() if names(each.frames)]
    assert names(student.frames) == {each.video_digest for each in HERE.recordings}
    assert student.probe is None
    assert any("there is no kNN probe" in note for note in conditions.notes)


def test_a_search_by_transfer_sees_no_test_video_of_either():
    search = SEARCHES["distilled"].bind(transfer())
    tested = {key(video) for data in (HERE, THERE) for video in alone(data).videos().test}
    for extreme in search.extreme_trials():
        assert tested.isdisjoint(walk(extreme.stage))


def test_a_dataset_without_annotations_serves_pre_training_alone():
    bare = replace(HERE, recordings=tuple(replace(v, annotation=None, annotation_digest=None) for v in HERE.recordings))
    sides = transfer(source=bare).pretraining_videos()
    assert (len(sides.unlabelled), sides.train, sides.validation, sides.test) == (10, (), (), ())
    with pytest.raises(InputError, match="0 videos cannot be split"):
        alone(bare).videos()
