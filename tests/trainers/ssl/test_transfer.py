import copy
from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    SIZE_PX,
    assert_same_state,
    copied,
    new_optimiser,
    take_steps,
    training_embeddings,
    untrained,
    views,
    work,
    write_recording,
)
from trainers.data.augmentation import MoCoAugmentation
from trainers.pretrained.release import Release
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.sequences import read_sequences
from trainers.ssl.encoders import load_backbone
from trainers.ssl.loop import Optimisation
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import frozen_pair, shuffle_order
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.transfer import Combined, CombinedMoCo
from trainers.stage import InputError

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}
COMBINE = {"sum": lambda t, s: t + s, "concatenation": lambda t, s: torch.cat([t, s], dim=1)}
LENGTH = {"sum": BACKBONE.num_features, "concatenation": 2 * BACKBONE.num_features}


@pytest.fixture
def teacher(tmp_path):
    return untrained(tmp_path / "teacher", seed=11)


@pytest.fixture(params=COMBINE)
def config(request, teacher):
    return CombinedMoCo(**SIZES, teacher=teacher, combination=request.param)


@pytest.fixture
def method(config, tmp_path):
    return config.build(BACKBONE, {"teacher": tmp_path / "teacher"}, seed=7)


def test_terms_are_moco_v2s_on_the_combined_features(config, method, teacher, tmp_path):
    take_steps(method, range(2))
    encoders, bank = copy.deepcopy(method.encoders), method.queue.bank("student").clone()
    batch = views(2)
    theirs = load_backbone(teacher, tmp_path / "teacher")
    with torch.no_grad():
        terms = method(batch)
        features = COMBINE[config.combination](theirs(batch.query), encoders.query.backbone.student(batch.query))
        q = torch.nn.functional.normalize(encoders.query.head(features), dim=1)
        _, k = training_embeddings(encoders, batch, shuffle_order(7, 2, batch.key))
    expected = info_nce(dictionary_logits(q, k, bank), 0.2)
    assert terms.keys() == {"contrastive"}
    assert torch.allclose(terms["contrastive"], expected, rtol=0, atol=1e-6)


def test_pooled_features_combined_are_the_combined_feature_maps_pooled(config, method):
    network, images = method.encoders.query.backbone.eval(), views(0).query
    with torch.no_grad():
        maps = COMBINE[config.combination](network.teacher.feature_maps(images), network.student.feature_maps(images))
        assert torch.allclose(network(images), maps.mean((2, 3)), rtol=0, atol=1e-6)


def test_added_to_a_teacher_that_sees_nothing_the_student_is_moco_v2_step_for_step(teacher, tmp_path):
    config = CombinedMoCo(**SIZES, teacher=teacher, combination="sum")
    combined = config.build(BACKBONE, {"teacher": tmp_path / "teacher"}, seed=7)
    moco = MoCo(**SIZES).build(BACKBONE, {}, seed=7)
    with torch.no_grad():
        for name, parameter in combined.encoders.query.backbone.teacher.layer4.named_parameters():
            if "bn2" in name or "downsample.1" in name:
                parameter.zero_()
    assert take_steps(combined, range(4)) == take_steps(moco, range(4))
    for ours, theirs in ((combined.encoders.query, moco.encoders.query), (combined.encoders.key, moco.encoders.key)):
        assert_same_state(ours.backbone.student.state_dict(), theirs.backbone.state_dict())
        assert_same_state(ours.head.state_dict(), theirs.head.state_dict())


def test_the_teacher_is_one_for_both_encoders_and_neither_learns_nor_moves(method, teacher, tmp_path):
    query, key = method.encoders.query.backbone, method.encoders.key.backbone
    assert query.teacher is key.teacher
    assert query.student is not key.student
    learning = {id(each) for group in new_optimiser(method).param_groups for each in group["params"]}
    trained = [*query.student.parameters(), *method.encoders.query.head.parameters()]
    assert learning == {id(parameter) for parameter in trained}
    take_steps(method, range(4))
    assert_same_state(query.teacher.state_dict(), load_backbone(teacher, tmp_path / "teacher").state_dict())
    assert not any(module.training for module in query.teacher.modules())
    assert query.student.training


def test_the_key_encoder_follows_in_student_and_head(method):
    before = copied(method.encoders.key.state_dict())
    take_steps(method, range(2))
    after = method.encoders.key.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "teacher" not in name}


@pytest.fixture
def trained(config, tmp_path):
    """A pre-training that has been run, its folder, and a labelled video."""
    video, folder = write_recording(tmp_path / "video", [0, 1, 2, 1] * 3)
    stage = Pretrain(
        frames=(video,),
        method=config,
        backbone=BACKBONE,
        augmentation=MoCoAugmentation(size_px=SIZE_PX),
        optimisation=Optimisation(epochs=2, batch_size=BATCH, learning_rate=0.05),
    )
    stage.run(work(tmp_path / "trained", {"frames.0": folder, "method.teacher": tmp_path / "teacher"}))
    return stage, tmp_path / "trained", video, folder


def test_later_stages_get_teacher_and_student_together_from_the_one_artifact(config, trained, teacher, tmp_path):
    stage, folder, *_ = trained
    network = load_backbone(stage, folder)
    theirs = load_backbone(teacher, tmp_path / "teacher")
    assert_same_state(network.teacher.state_dict(), theirs.state_dict())
    images = views(0).query[:3]
    with torch.no_grad():
        features = network(images)
        expected = COMBINE[config.combination](theirs(images), network.student(images))
    assert features.shape == (3, LENGTH[config.combination])
    assert torch.equal(features, expected)
    assert stage.extractor.num_features == LENGTH[config.combination]
    assert stage.extractor.gflops_at_224 == 2 * BACKBONE.gflops_at_224


def fine_tuned(trained, tmp_path, mode):
    stage, folder, video, frames = trained
    model = FineTune(
        encoder=stage, videos=(video,), mode=mode, num_phases=3, size_px=SIZE_PX, sample_every=1, epochs=2, batch_size=5
    )
    model.run(work(tmp_path / mode, {"encoder": folder, "videos.0": frames}))
    return model, tmp_path / mode


def test_fine_tuning_and_features_take_the_combined_encoder(config, trained, tmp_path):
    model, folder = fine_tuned(trained, tmp_path, "linear")
    backbone, classifier = load_classifier(model, folder)
    assert_same_state(backbone.state_dict(), load_backbone(trained[0], trained[1]).state_dict())
    assert classifier.in_features == LENGTH[config.combination]
    features = ExtractFeatures(model=model, videos=(trained[2],), sample_every=1)
    features.run(work(tmp_path / "features", {"model": folder, "videos.0": trained[3]}))
    (sequence,) = read_sequences(features, tmp_path / "features")
    assert sequence.features.shape == (12, LENGTH[config.combination])


def test_full_fine_tuning_trains_the_teachers_layers_too(trained, tmp_path):
    model, folder = fine_tuned(trained, tmp_path, "full")
    before, after = load_backbone(trained[0], trained[1]).state_dict(), load_classifier(model, folder)[0].state_dict()
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []


def test_a_release_and_a_frozen_pair_are_of_the_whole_encoder(trained, tmp_path):
    stage, folder, *_ = trained
    release = Release(encoder=stage)
    release.run(work(tmp_path / "released", {"encoder": folder}))
    network = load_backbone(release, tmp_path / "released")
    assert_same_state(network.state_dict(), load_backbone(stage, folder).state_dict())
    frozen, batch = frozen_pair(stage, folder), views(0)
    with torch.no_grad():
        queries, _ = frozen(batch.query, batch.key, torch.arange(BATCH))
        assert torch.allclose(queries, frozen.query(batch.query), rtol=0, atol=1e-6)


def test_features_of_two_lengths_are_concatenated_but_not_added(teacher):
    wider = replace(BACKBONE, width=8)
    CombinedMoCo(**SIZES, teacher=teacher, combination="concatenation").check(wider, BATCH)
    both = Combined(teacher=BACKBONE, student=wider, combination="concatenation")
    assert both.build(seed=0).eval()(views(0).query).shape == (BATCH, both.num_features) == (BATCH, 96)
    added = CombinedMoCo(**SIZES, teacher=teacher, combination="sum")
    added.check(BACKBONE, BATCH)
    with pytest.raises(InputError, match="combination is sum, but the teacher has 32 features and the student 64"):
        added.check(wider, BATCH)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"queue_size": 20}, "queue_size is 20: K must be a multiple of the batch size 8, such as 16"),
    ],
)
def test_values_that_cannot_work_are_refused(config, change, match):
    with pytest.raises(InputError, match=match):
        replace(config, **change).check(BACKBONE, BATCH)


def test_a_single_backbone_cannot_start_from_two(trained):
    start = MoCo(**SIZES, start=trained[0])
    with pytest.raises(InputError, match="the start is a student beside its teacher"):
        start.check(BACKBONE, BATCH)
