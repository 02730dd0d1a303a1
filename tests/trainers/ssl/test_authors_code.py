from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    assert_same_state,
    copied,
    take_steps,
    untrained,
    write_pair,
)
from trainers.runtime.randomness import torch_generator
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.authors_teacher import AuthorsTeacher
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import random_encoder
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import MomentumPair, frozen_pair
from trainers.stage import InputError

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}


@pytest.fixture
def start(tmp_path):
    return untrained(tmp_path / "start", seed=11), tmp_path / "start"


def teacher(start, **fields):
    config = AuthorsTeacher(**SIZES, start=start[0], **fields)
    config.check(BACKBONE, BATCH)
    return config.build(BACKBONE, {"start": start[1]}, seed=7)


def student(start, folder=None, **fields):
    config = AuthorsStudent(**SIZES, teacher=start[0], **fields)
    config.check(BACKBONE, BATCH)
    return config.build(BACKBONE, {"teacher": folder or start[1]}, seed=7)


def test_a_teacher_that_trains_everything_is_moco_but_for_its_first_queue(start):
    theirs = teacher(start, trains="all")
    ours = MoCo(**SIZES, start=start[0]).build(BACKBONE, {"start": start[1]}, seed=7)
    theirs.encoders.queue.bank("teacher").copy_(ours.queue.bank("student"))
    assert take_steps(theirs, range(3)) == take_steps(ours, range(3))


def test_each_encoder_of_the_start_keeps_its_role(tmp_path):
    pair = MomentumPair(*(random_encoder(BACKBONE, EMBEDDING, seed) for seed in (1, 2)), trains="none")
    stage, _ = untrained(tmp_path / "stage"), write_pair(tmp_path / "start", pair)
    method = teacher((stage, tmp_path / "start"))
    assert_same_state(method.encoders.query.state_dict(), pair.query.state_dict())
    assert_same_state(method.encoders.key.state_dict(), pair.key.state_dict())


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_running_statistics_of_the_frozen_backbone_drift_in_train_mode_alone(start, batch_statistics):
    method = teacher(start, batch_statistics=batch_statistics)
    before = copied(method.encoders.query.backbone.state_dict())
    take_steps(method, range(2))
    after = method.encoders.query.backbone.state_dict()
    assert torch.equal(after["conv1.weight"], before["conv1.weight"])
    assert torch.equal(after["bn1.running_mean"], before["bn1.running_mean"]) != batch_statistics


def test_the_teachers_queue_and_pointer_go_on_in_the_students_training(start, tmp_path):
    trained = teacher(start)
    take_steps(trained, range(3))
    folder = write_pair(tmp_path / "teacher", trained.encoders)
    method = student(start, folder)
    queue = method.queue.queue("teacher")
    assert torch.equal(queue.bank("teacher"), trained.encoders.queue.bank("teacher"))
    assert (queue.pointer, method.queue.queue("student").pointer) == (BATCH, 0)
    take_steps(method, range(1))
    ids = [method.queue.queue(name).frame_ids[:BATCH].tolist() for name in ("student", "teacher")]
    assert ids[0] != ids[1], "column i is not the same frame view for both"


def test_a_teachers_queue_of_another_size_is_refused(start, tmp_path):
    folder = write_pair(tmp_path / "teacher", teacher(start).encoders)
    config = replace(AuthorsStudent(**SIZES, teacher=start[0]), queue_size=BATCH)
    with pytest.raises(InputError, match="queue_size is 8, but the teacher was trained with 16"):
        config.build(BACKBONE, {"teacher": folder}, seed=7)


def test_the_moving_teacher_drifts_and_its_key_encoder_follows_the_query_encoder(tmp_path):
    pair = MomentumPair(*(random_encoder(BACKBONE, EMBEDDING, seed) for seed in (1, 2)), trains="none")
    stage = untrained(tmp_path / "stage")
    method = student((stage, write_pair(tmp_path / "teacher", pair)))
    before = copied(method.teacher.state_dict())
    distance = (before["key.head.output.weight"] - before["query.head.output.weight"]).norm()
    take_steps(method, range(2))
    after = method.teacher.state_dict()
    assert torch.equal(after["query.head.output.weight"], before["query.head.output.weight"])
    assert not torch.equal(after["query.backbone.bn1.running_mean"], before["query.backbone.bn1.running_mean"])
    left = (after["key.head.output.weight"] - after["query.head.output.weight"]).norm()
    torch.testing.assert_close(left, distance * SIZES["momentum"] ** 2)
    assert not any(parameter.requires_grad for parameter in method.teacher.parameters())


def shuffles_of(method, step):
    """The permutations that student and teacher are given at a step."""
    given = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, pair in (("student", method.encoders), ("teacher", method.teacher)):
            embed = pair.embed_keys
            patch.setattr(
                pair, "embed_keys", lambda x, order, n=name, e=embed: given.setdefault(n, order) is None or e(x, order)
            )
        take_steps(method, [step])
    return given


def test_student_and_teacher_draw_a_shuffle_each_from_one_generator_the_student_first(start):
    given = shuffles_of(student(start), 3)
    generator = torch_generator(7, "shuffle", 3)
    assert torch.equal(given["student"], torch.randperm(BATCH, generator=generator))
    assert torch.equal(given["teacher"], torch.randperm(BATCH, generator=generator))
    shared = shuffles_of(student(start, shuffles_apart=False), 3)
    assert torch.equal(shared["student"], given["student"])
    assert torch.equal(shared["teacher"], given["student"])


def test_the_teachers_own_shuffle_changes_the_distillation_alone(start):
    (shared,), (apart,) = (take_steps(student(start, shuffles_apart=habit), [0]) for habit in (False, True))
    assert apart["contrastive"] == shared["contrastive"]
    assert apart["distillation"] != shared["distillation"]


def test_all_columns_are_compared_from_the_first_step_on(start):
    (first,) = take_steps(student(start), range(1))
    assert first["distillation"] > 0


def test_without_any_habit_the_student_is_ours_step_for_step(start):
    frozen = {"moving_teacher": False, "queues_apart": False, "shuffles_apart": False, "contrastive_weight": 1.0}
    ours = DistilledMoCo(**SIZES, teacher=start[0]).build(BACKBONE, {"teacher": start[1]}, seed=7)
    theirs = student(start, **frozen)
    assert take_steps(theirs, range(3)) == take_steps(ours, range(3))


def test_a_teachers_artifact_still_serves_those_who_want_its_encoders(start, tmp_path):
    trained = teacher(start)
    folder = write_pair(tmp_path / "teacher", trained.encoders)
    assert_same_state(frozen_pair(start[0], folder).query.state_dict(), trained.encoders.query.state_dict())
