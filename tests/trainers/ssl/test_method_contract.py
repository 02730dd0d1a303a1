from functools import partial

import pytest

from tests.trainers.ssl.method_contract import CONTRACT, frozen_parts
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, ONE_SPLIT, untrained, write_pair
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.authors_teacher import AuthorsTeacher
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import started_pair
from trainers.ssl.regioncl import RegionCL
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


def combined(folder, combination):
    teacher = untrained(folder / "start", seed=11)
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


def authors_student(folder, **fields):
    teacher = untrained(folder / "start", seed=11)
    return AuthorsStudent(**SIZES, teacher=teacher, **fields), {"teacher": folder / "start"}


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
}


def backbone_for(config):
    """The architecture in the splits that a method normalises in."""
    return ONE_SPLIT if isinstance(config, SimSiam | SwAV) else BACKBONE


@pytest.fixture(params=METHODS.values(), ids=METHODS)
def make(request, tmp_path):
    config, inputs = request.param(tmp_path)
    backbone = backbone_for(config)
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
    ],
)
def test_frozen_parts_are_found(name, frozen, tmp_path):
    config, inputs = METHODS[name](tmp_path)
    names = {part for part, _ in frozen_parts(config.build(backbone_for(config), inputs, seed=7).train())}
    assert names == set() if not frozen else f"{frozen}.weight" in names
