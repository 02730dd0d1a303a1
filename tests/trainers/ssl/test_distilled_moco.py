import copy
from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    VIT,
    assert_same_state,
    copied,
    take_steps,
    training_embeddings,
    untrained,
    views,
    write_pair,
)
from trainers.ssl.distillation_losses import distillation_kl
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import shuffle_order, started_pair
from trainers.stage import InputError

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}


@pytest.fixture(params=[("head", BACKBONE), ("all", BACKBONE), ("head", VIT)], ids=["head", "all", "a ViT's head"])
def teacher(request, tmp_path):
    """A teacher whose query and key encoder differ, and its folder."""
    trains, backbone = request.param
    stage = untrained(tmp_path / "start", seed=11, backbone=backbone)
    pair = started_pair(backbone, stage, tmp_path / "start", trains=trains)
    for parameter in pair.query.head.parameters():
        parameter.data += 0.05
    return stage, write_pair(tmp_path / "teacher", pair)


@pytest.fixture
def config(teacher):
    return DistilledMoCo(teacher=teacher[0], **SIZES)


def build(config, teacher, seed=7):
    return config.build(BACKBONE, {"teacher": teacher[1]}, seed)


def test_without_weight_the_distillation_leaves_moco_v2_step_for_step(config, teacher):
    distilled = build(replace(config, distillation_weight=0.0), teacher)
    moco = MoCo(**SIZES).build(BACKBONE, {}, seed=7)
    terms = zip(take_steps(distilled, range(5)), take_steps(moco, range(5)), strict=True)
    assert all(ours["contrastive"] == theirs["contrastive"] for ours, theirs in terms)
    assert_same_state(distilled.encoders.state_dict(), moco.encoders.state_dict())
    assert torch.equal(distilled.queue.bank("student"), moco.queue.bank("student"))


def test_with_weight_the_distillation_changes_the_student(config, teacher):
    distilled, moco = build(config, teacher), MoCo(**SIZES).build(BACKBONE, {}, seed=7)
    take_steps(distilled, range(3))
    take_steps(moco, range(3))
    weights = [method.encoders.query.head.output.weight for method in (distilled, moco)]
    assert not torch.equal(*weights)


def test_the_teacher_does_not_change_by_one_bit(config, teacher):
    method = build(config, teacher)
    before = copied(method.teacher.state_dict())
    take_steps(method, range(4))
    assert_same_state(method.teacher.state_dict(), before)
    assert not any(parameter.requires_grad for parameter in method.teacher.parameters())


def test_the_teacher_stays_in_eval_mode(config, teacher):
    method = build(config, teacher)
    method.train()
    assert method.encoders.query.training
    assert not any(module.training for module in method.teacher.modules())


def test_the_first_step_has_no_filled_column_to_compare(config, teacher):
    first, second = take_steps(build(config, teacher), range(2))
    assert first["distillation"] == 0
    assert second["distillation"] > 0


def test_terms_are_equation_7_over_the_same_columns_of_both_banks(config, teacher):
    config = replace(config, distillation_weight=3.0, contrastive_weight=2.0, teacher_temperature=0.1)
    method = build(config, teacher)
    take_steps(method, [0])
    encoders, banks = copy.deepcopy(method.encoders), copied(method.queue.state_dict())
    batch = views(1)
    permutation = shuffle_order(7, 1, batch.key)
    with torch.no_grad():
        terms = method(batch)
        student = dictionary_logits(*training_embeddings(encoders, batch, permutation), banks["student"])
        taught = dictionary_logits(*method.teacher(batch.query, batch.key, permutation), banks["teacher"])
    kl = distillation_kl(student, taught, student_temperature=0.2, teacher_temperature=0.1, num_filled=BATCH)
    assert torch.equal(terms["contrastive"], 2 * info_nce(student, 0.2))
    assert torch.equal(terms["distillation"], 3 * kl)


def test_student_and_teacher_enqueue_the_keys_of_the_same_frames(config, teacher):
    method = build(config, teacher)
    take_steps(method, range(3))
    batch = views(2)
    with torch.no_grad():
        _, keys = method.teacher(batch.query, batch.key, shuffle_order(7, 2, batch.key))
    assert torch.equal(method.queue.frame_ids[:BATCH], batch.frame_ids)
    assert torch.equal(method.queue.bank("teacher")[:, :BATCH], keys.T)


def test_a_student_may_start_from_other_encoders(config, teacher, tmp_path):
    start = untrained(tmp_path / "other", seed=12)
    inputs = {"teacher": teacher[1], "start": tmp_path / "other"}
    started = replace(config, start=start).build(BACKBONE, inputs, seed=7)
    alone = MoCo(**SIZES).build(BACKBONE, {}, seed=12)
    assert_same_state(started.encoders.state_dict(), alone.encoders.state_dict())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"distillation_weight": -1.0}, "distillation_weight is -1.0: it must be at least 0"),
        ({"temperature": -0.1}, "temperature is -0.1: it must be above 0"),
        ({"teacher_temperature": 0.0}, "teacher_temperature is 0.0: it must be above 0"),
        ({"queue_size": 20}, "queue_size is 20: K must be a multiple of the batch size 8, such as 16"),
    ],
)
def test_values_that_cannot_work_are_refused(config, change, match):
    config.check(BACKBONE, BATCH)
    with pytest.raises(InputError, match=match):
        replace(config, **change).check(BACKBONE, BATCH)
