from functools import partial

import pytest

from tests.trainers.ssl.method_contract import CONTRACT, frozen_parts
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, untrained, write_pair
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import started_pair
from trainers.ssl.moco import MoCo

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}


def moco(folder):
    return MoCo(**SIZES), {}


def adapted(folder, trains):
    start = untrained(folder / "start", seed=11)
    return MoCo(**SIZES, start=start, trains=trains), {"start": folder / "start"}


def distilled(folder, teacher_trains):
    teacher = untrained(folder / "start", seed=11)
    pair = started_pair(BACKBONE, teacher, folder / "start", momentum=0.9, trains=teacher_trains)
    return DistilledMoCo(**SIZES, teacher=teacher), {"teacher": write_pair(folder / "teacher", pair)}


METHODS = {
    "moco": moco,
    "teacher, head trained": partial(adapted, trains="head"),
    "teacher, backbone trained": partial(adapted, trains="backbone"),
    "teacher, all trained": partial(adapted, trains="all"),
    "student of a head-trained teacher": partial(distilled, teacher_trains="head"),
    "student of a teacher trained in all": partial(distilled, teacher_trains="all"),
}


@pytest.fixture(params=METHODS.values(), ids=METHODS)
def make(request, tmp_path):
    config, inputs = request.param(tmp_path)
    config.check(BACKBONE, BATCH)
    return lambda: config.build(BACKBONE, inputs, seed=7)


@pytest.mark.parametrize("keeps", CONTRACT, ids=lambda rule: rule.__name__)
def test_every_method_keeps_the_contract(keeps, make):
    keeps(make)


@pytest.mark.parametrize(("name", "frozen"), [("moco", ""), ("teacher, head trained", "encoders.query.backbone.conv1")])
def test_frozen_parts_are_found(name, frozen, tmp_path):
    config, inputs = METHODS[name](tmp_path)
    names = {part for part, _ in frozen_parts(config.build(BACKBONE, inputs, seed=7).train())}
    assert names == set() if not frozen else f"{frozen}.weight" in names
