import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.process_group import run_in_processes
from tests.trainers.ssl.taped import METHODS, SIZES, STEPS, Killed, assert_same_result, recorded, run
from tests.trainers.tiny import raising, work, write_recording
from trainers.artifacts.history import read_history
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.moco import MoCo
from trainers.ssl.tape_files import INDEX
from trainers.stage import MachineError, Resources


def record_and_replay(rank, stage, inputs, network, folder):
    replaying, with_tape = recorded(stage, "embeddings", folder / "tape", inputs, network)
    for each, name, given in ((stage, "asking", inputs), (replaying, "replaying", with_tape)):
        run(each, folder / name, given)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", METHODS)
def test_a_student_that_replays_its_teacher_is_the_student_that_asks_it(
    name, precision, stage_of, inputs, free, tmp_path
):
    stage = stage_of(METHODS[name](free[0]), precision=precision)
    given = inputs | {"method.teacher": free[1]}
    replaying, with_tape = recorded(stage, "embeddings", tmp_path / "tape", given, free[1])
    asking = run(stage, tmp_path / "asking", given)
    assert_same_result(run(replaying, tmp_path / "replaying", with_tape), asking)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_head_trained_on_recorded_features_is_the_head_trained_on_images(precision, stage_of, inputs, free, tmp_path):
    stage = stage_of(MoCo(**SIZES, start=free[0], trains="head"), precision=precision)
    given = inputs | {"method.start": free[1]}
    replaying, with_tape = recorded(stage, "features", tmp_path / "tape", given, free[1])
    on_images = run(stage, tmp_path / "images", given)
    assert_same_result(run(replaying, tmp_path / "features", with_tape), on_images)


def test_recorded_features_serve_students_of_every_head_on_the_backbone(stage_of, inputs, free, head_teacher, tmp_path):
    teacher, folder = head_teacher
    stage = stage_of(DistilledMoCo(**SIZES, teacher=teacher))
    tape = stage.tapes()["features"]
    assert tape.network == free[0]
    assert (
        tape == stage_of(DistilledMoCo(**SIZES, teacher=replace(teacher, seed=9), temperature=0.2)).tapes()["features"]
    )
    given = inputs | {"method.teacher": folder}
    replaying, with_tape = recorded(stage, "features", tmp_path / "tape", given, free[1])
    asking = run(stage, tmp_path / "asking", given)
    assert_same_result(run(replaying, tmp_path / "replaying", with_tape), asking)


def test_what_is_replayed_is_what_the_tape_holds(stage_of, inputs, free, tmp_path):
    """Other embeddings on the tape make another student: it does not ask its teacher."""
    stage = stage_of(METHODS["ours"](free[0]))
    given = inputs | {"method.teacher": free[1]}
    replaying, with_tape = recorded(stage, "embeddings", tmp_path / "tape", given, free[1])
    layout = replaying.tape.layout
    for path in (tmp_path / "tape").glob("*.tape"):
        records = np.fromfile(path, layout.record)
        records["said"] = records["said"][::-1].copy()
        records.tofile(path)
    losses = [
        read_history(run(each, tmp_path / name, folders))["loss_distillation"]
        for each, name, folders in ((stage, "asking", given), (replaying, "replaying", with_tape))
    ]
    assert losses[0] != losses[1]


def test_a_longer_tape_serves_a_shorter_training(stage_of, inputs, free, tmp_path):
    longer = stage_of(METHODS["ours"](free[0]))
    stage = replace(longer, optimisation=replace(longer.optimisation, epochs=1))
    given = inputs | {"method.teacher": free[1]}
    replaying, with_tape = recorded(longer, "embeddings", tmp_path / "tape", given, free[1])
    tapes = [each.tapes()["embeddings"].shortest() for each in (longer, stage)]
    assert tapes[0] == tapes[1] != replaying.tape
    asking = run(stage, tmp_path / "asking", given)
    assert_same_result(run(stage.replaying(replaying.tape), tmp_path / "replaying", with_tape), asking)


def test_a_tape_of_other_conditions_is_left_alone(stage_of, inputs, free, tmp_path, capsys):
    stage = stage_of(METHODS["ours"](free[0]))
    given = inputs | {"method.teacher": free[1]}
    replaying, with_tape = recorded(stage, "embeddings", tmp_path / "tape", given, free[1])
    index = json.loads((tmp_path / "tape" / INDEX).read_text())
    index["conditions"]["device"] = "Another GPU"
    (tmp_path / "tape" / INDEX).write_text(json.dumps(index))
    asking = run(stage, tmp_path / "asking", given)
    assert_same_result(run(replaying, tmp_path / "replaying", with_tape), asking)
    assert "the tape is not replayed: it was recorded on Another GPU" in capsys.readouterr().out


def test_a_stage_without_its_tape_asks_its_teacher(stage_of, inputs, free, tmp_path):
    stage = stage_of(METHODS["ours"](free[0]))
    given = inputs | {"method.teacher": free[1]}
    replaying = stage.replaying(stage.tapes()["embeddings"])
    asking = run(stage, tmp_path / "asking", given)
    assert_same_result(run(replaying, tmp_path / "replaying", given), asking)


def test_a_tape_that_is_removed_meanwhile_ends_the_training_with_a_sentence(stage_of, inputs, free, tmp_path):
    stage = stage_of(METHODS["ours"](free[0]))
    given = inputs | {"method.teacher": free[1]}
    replaying, with_tape = recorded(stage, "embeddings", tmp_path / "tape", given, free[1])
    (tmp_path / "tape" / "epoch-0002.1-of-1.tape").unlink()
    with pytest.raises(MachineError, match=r"tape cannot be read .*type the same command again"):
        run(replaying, tmp_path / "out", with_tape)
    assert_same_result(run(replaying, tmp_path / "out", given), run(stage, tmp_path / "asking", given))


def test_a_tape_of_other_frames_is_refused(stage_of, inputs, free, tmp_path):
    stage = stage_of(METHODS["ours"](free[0]))
    replaying, with_tape = recorded(stage, "embeddings", tmp_path / "tape", inputs, free[1])
    _, other = write_recording(tmp_path / "other", [0, 1, 2, 1] * STEPS, name="other")
    given = with_tape | {"method.teacher": free[1], "frames.0": other}
    with pytest.raises(MachineError, match="the tape holds other frames in epoch 1"):
        run(replaying, tmp_path / "out", given)


@pytest.mark.parametrize("first", ["asking", "replaying"])
def test_a_training_goes_on_with_a_tape_or_without(first, stage_of, inputs, free, tmp_path):
    stage = stage_of(METHODS["ours"](free[0]))
    given = inputs | {"method.teacher": free[1]}
    replaying, with_tape = recorded(stage, "embeddings", tmp_path / "tape", given, free[1])
    halves = [(stage, given), (replaying, with_tape | given)]
    before, after = halves if first == "asking" else reversed(halves)
    with pytest.raises(Killed):
        run(before[0], tmp_path / "out", before[1], listener=raising(Killed, after=1))
    assert_same_result(run(after[0], tmp_path / "out", after[1]), run(stage, tmp_path / "whole", given))


def test_every_worker_replays_its_own_rows(stage_of, inputs, free, tmp_path):
    stage = stage_of(METHODS["ours"](free[0]))
    given = inputs | {"method.teacher": free[1]}
    meet = str(tmp_path / "meet")
    run_in_processes(record_and_replay, meet, 2, stage, given, free[1], tmp_path)
    assert {path.name for path in (tmp_path / "tape").glob("*-of-2.tape")} == {
        f"epoch-000{epoch}.{worker}-of-2.tape" for epoch in (1, 2) for worker in (1, 2)
    }
    assert_same_result(tmp_path / "asking", tmp_path / "replaying")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["embeddings", "features"])
def test_on_a_gpu_a_student_that_replays_is_the_student_that_asks(
    kind, precision, stage_of, inputs, head_teacher, free, tmp_path
):
    stage = stage_of(DistilledMoCo(**SIZES, teacher=head_teacher[0]), precision=precision)
    given, on_gpu = inputs | {"method.teacher": head_teacher[1]}, Resources(gpus=1)
    tape = stage.tapes()[kind]
    network = free[1] if kind == "features" else head_teacher[1]
    folders = [
        (tape, given | {"network": network}),
        (stage, given),
        (stage.replaying(tape), given | {"tape": tmp_path / "0"}),
    ]
    for index, (each, folder) in enumerate(folders):
        each.run(replace(work(tmp_path / str(index), folder), resources=on_gpu))
    assert_same_result(tmp_path / "1", tmp_path / "2")
