from functools import partial

import pytest

from tests.trainers.ssl.method_contract import CONTRACT, frozen_parts
from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    CONVNEXT,
    EMBEDDING,
    ONE_SPLIT,
    TIMM_RESNET,
    VIT,
    untrained,
    write_pair,
)
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.authors_teacher import AuthorsTeacher
from trainers.ssl.compress import CompRess
from trainers.ssl.disco import DisCo
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import started_pair
from trainers.ssl.regioncl import RegionCL
from trainers.ssl.seed import SEED
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.swav import SwAV
from trainers.ssl.transfer import CombinedMoCo

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}


def moco(folder):
    return MoCo(**SIZES), {}


def adapted(folder, trains):
    start = untrained(folder / "start", seed=11)
    return MoCo(**SIZES, start=start, trains=trains), {"start": folder / "start"}


def distilled(folder, teacher_trains):
    teacher = untrained(folder / "start", seed=11)
    pair = started_pair(BACKBONE, teacher, folder / "start", trains=teacher_trains)
    return DistilledMoCo(**SIZES, teacher=teacher), {"teacher": write_pair(folder / "teacher", pair)}


def adapted_vit(folder):
    start = untrained(folder / "start", seed=11, backbone=VIT)
    return MoCo(**SIZES, start=start, trains="head"), {"start": folder / "start"}


def distilled_from_vit(folder):
    teacher = untrained(folder / "start", seed=11, backbone=VIT)
    return DistilledMoCo(**SIZES, teacher=teacher), {"teacher": folder / "start"}


def combined(folder, combination, backbone=BACKBONE):
    teacher = untrained(folder / "start", seed=11, backbone=backbone)
    return CombinedMoCo(**SIZES, teacher=teacher, combination=combination), {"teacher": folder / "start"}


def regioncl(folder):
    return RegionCL(**SIZES, smallest_region=1, largest_region=2), {}


def simsiam(folder):
    return SimSiam(embedding_size=EMBEDDING, predictor_size=3), {}


def swav(folder):
    return SwAV(num_prototypes=12, queue_size=2 * BATCH, queue_from_epoch=0, embedding_size=EMBEDDING), {}


def authors_teacher(folder, **fields):
    start = untrained(folder / "start", seed=11)
    return AuthorsTeacher(**SIZES, start=start, **fields), {"start": folder / "start"}


def authors_student(folder, backbone=BACKBONE, **fields):
    teacher = untrained(folder / "start", seed=11, backbone=backbone)
    return AuthorsStudent(**SIZES, teacher=teacher, **fields), {"teacher": folder / "start"}


def seed(folder, backbone=BACKBONE):
    teacher = untrained(folder / "start", seed=11, backbone=backbone)
    return SEED(teacher=teacher, queue_size=2 * BATCH, embedding_size=EMBEDDING), {"teacher": folder / "start"}


def compress(folder, backbone=BACKBONE):
    teacher = untrained(folder / "start", seed=11, backbone=backbone)
    return CompRess(**SIZES, teacher=teacher), {"teacher": folder / "start"}


def disco(folder, backbone=BACKBONE):
    teacher = untrained(folder / "start", seed=11, backbone=backbone)
    return DisCo(**SIZES, teacher=teacher), {"teacher": folder / "start"}


METHODS = {
    "moco": moco,
    "teacher, head trained": partial(adapted, trains="head"),
    "teacher, backbone trained": partial(adapted, trains="backbone"),
    "teacher, all trained": partial(adapted, trains="all"),
    "student of a head-trained teacher": partial(distilled, teacher_trains="head"),
    "student of a teacher trained in all": partial(distilled, teacher_trains="all"),
    "the authors' teacher": authors_teacher,
    "the authors' teacher, frozen parts in eval mode": partial(authors_teacher, batch_statistics=False),
    "the authors' student": authors_student,
    "the authors' student of a frozen teacher": partial(authors_student, moving_teacher=False, queues_apart=False),
    "features added to a teacher's": partial(combined, combination="sum"),
    "features beside a teacher's": partial(combined, combination="concatenation"),
    "regioncl": regioncl,
    "simsiam": simsiam,
    "swav": swav,
    "seed": seed,
    "compress": compress,
    "disco": disco,
}


OF_TIMM = {
    "a ViT whose head is trained": (adapted_vit, VIT),
    "student of a ViT": (distilled_from_vit, BACKBONE),
    "a ConvNeXt taught by a ViT": (distilled_from_vit, CONVNEXT),
    "a timm ResNet": (moco, TIMM_RESNET),
    "features beside a ViT's": (partial(combined, combination="concatenation", backbone=VIT), BACKBONE),
    "the authors' student of a ViT in train mode": (partial(authors_student, backbone=VIT), BACKBONE),
    "seed from a ViT": (partial(seed, backbone=VIT), BACKBONE),
    "compress from a ViT to a ConvNeXt": (partial(compress, backbone=VIT), CONVNEXT),
    "disco from a ViT": (partial(disco, backbone=VIT), BACKBONE),
    "regioncl on a ConvNeXt": (regioncl, CONVNEXT),
    "simsiam on a timm ResNet": (simsiam, TIMM_RESNET.without_splits()),
}


def backbone_for(config):
    """The architecture in the splits that a method normalises in."""
    return ONE_SPLIT if isinstance(config, SimSiam | SwAV) else BACKBONE


@pytest.fixture(params=[*((each, None) for each in METHODS.values()), *OF_TIMM.values()], ids=[*METHODS, *OF_TIMM])
def make(request, tmp_path):
    new, backbone = request.param
    config, inputs = new(tmp_path)
    backbone = backbone or backbone_for(config)
    config.check(backbone, BATCH)
    return lambda: config.build(backbone, inputs, seed=7)


@pytest.mark.parametrize("keeps", CONTRACT, ids=lambda rule: rule.__name__)
def test_every_method_keeps_the_contract(keeps, make):
    keeps(make)


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("moco", ""),
        ("teacher, head trained", "encoders.query.backbone.conv1"),
        ("features added to a teacher's", "encoders.query.backbone.teacher.conv1"),
        ("regioncl", ""),
        ("simsiam", ""),
        ("swav", ""),
        ("seed", "teacher.backbone.conv1"),
        ("compress", "teacher.backbone.conv1"),
        ("disco", "teacher.backbone.conv1"),
    ],
)
def test_frozen_parts_are_found(name, frozen, tmp_path):
    config, inputs = METHODS[name](tmp_path)
    names = {part for part, _ in frozen_parts(config.build(backbone_for(config), inputs, seed=7).train())}
    assert names == set() if not frozen else f"{frozen}.weight" in names
