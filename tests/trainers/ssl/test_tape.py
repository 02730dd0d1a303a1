from dataclasses import dataclass, replace

import pytest

from tests.trainers.ssl.taped import EPOCHS, METHODS, SIZES, STEPS, Killed, run
from tests.trainers.tiny import BATCH
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.moco import MoCo
from trainers.stage import InputError, Progress, Resources


def test_a_tape_is_recorded_once_for_all_weights_temperatures_and_queues(stage_of, free):
    def tapes(**changes):
        return stage_of(DistilledMoCo(**{**SIZES, "teacher": free[0], **changes})).tapes()

    others = ({"distillation_weight": 9.0}, {"temperature": 0.5}, {"queue_size": BATCH}, {"momentum": 0.5})
    assert all(tapes(**changes) == tapes() for changes in others)
    assert tapes().keys() == {"embeddings"}
    assert tapes(teacher=replace(free[0], seed=12)) != tapes()


def test_what_is_not_frozen_has_no_tape(stage_of, free):
    assert stage_of(MoCo(**SIZES)).tapes() == {}
    assert stage_of(MoCo(**SIZES, start=free[0], trains="backbone")).tapes() == {}
    assert stage_of(AuthorsStudent(**SIZES, teacher=free[0], moving_teacher=True)).tapes() == {}


@dataclass(frozen=True, kw_only=True)
class OwnStudent(DistilledMoCo):
    """A user's, whose step may ask its teacher something else."""


@dataclass(frozen=True, kw_only=True)
class OwnRecordedStudent(DistilledMoCo):
    def recordable(self):
        return super().recordable()


def test_a_class_that_derives_from_a_method_says_itself_what_can_be_recorded(stage_of, free):
    own, saying = (stage_of(cls(**SIZES, teacher=free[0])) for cls in (OwnStudent, OwnRecordedStudent))
    assert own.tapes() == {}
    assert saying.tapes() == stage_of(METHODS["ours"](free[0])).tapes()


def test_a_stage_that_replays_has_the_key_of_the_one_that_asks(stage_of, free):
    stage = stage_of(METHODS["ours"](free[0]))
    replaying = stage.replaying(stage.tapes()["embeddings"])
    assert replaying == stage
    assert replaying.expected_seconds() < stage.expected_seconds()
    assert (stage.aids(), replaying.aids()) == ({}, {"tape": replaying.tape})


def test_a_recording_killed_and_resumed_is_the_recording_that_was_not(stage_of, inputs, free, tmp_path):
    tape = stage_of(METHODS["ours"](free[0])).tapes()["embeddings"]
    given = {**inputs, "network": free[1]}

    def die(report):
        if isinstance(report, Progress) and report.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        run(tape, tmp_path / "killed", given, listener=die)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["epoch-0001.1-of-1.tape"]
    first = (tmp_path / "killed" / "epoch-0001.1-of-1.tape").stat().st_mtime_ns
    whole, killed = (run(tape, tmp_path / name, given) for name in ("whole", "killed"))
    assert (killed / "epoch-0001.1-of-1.tape").stat().st_mtime_ns == first
    assert contents(whole) == contents(killed)
    size = sum(path.stat().st_size for path in whole.glob("*.tape"))
    assert size == EPOCHS * STEPS * BATCH * tape.layout.record.itemsize


def test_workers_that_cannot_share_a_batch_are_refused(stage_of, free):
    tape = stage_of(METHODS["ours"](free[0])).tapes()["embeddings"]
    tape.check(Resources(workers=4))
    with pytest.raises(InputError, match="workers is 3: it must divide batch_size = 8"):
        tape.check(Resources(workers=3))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
