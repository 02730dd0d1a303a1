"""What methods say of the metrics of an epoch."""

import math
import re

import pytest
import torch

from tests.trainers.ssl.test_method_contract import METHODS, backbone_for
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, Recording, take_steps
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.loop import Optimisation
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import EMBEDDING_STD, ContrastiveConfig
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.swav import SwAV
from trainers.ssl.untrained import Untrained

MOCO = MoCo(queue_size=1024)
CHANCE = math.log(1025)


def test_a_contrastive_loss_that_has_not_left_chance_is_told_with_its_value():
    assert MOCO.remarks({"loss_contrastive": CHANCE, EMBEDDING_STD: 0.5}) == (
        "the contrastive loss, 6.932, has not left ln(K + 1) = 6.932, its value at chance.",
    )
    assert MOCO.remarks({"loss_contrastive": CHANCE + 2})
    assert MOCO.remarks({"loss_contrastive": 0.95 * CHANCE, EMBEDDING_STD: 0.5}) == ()


def test_a_weighted_loss_is_at_chance_at_the_weighted_value():
    config = DistilledMoCo(teacher=Untrained(backbone=BACKBONE), queue_size=1024, contrastive_weight=2.0)
    (remark,) = config.remarks({"loss_contrastive": 2 * CHANCE})
    assert "13.865, has not left 2 ln(K + 1) = 13.865" in remark
    assert config.remarks({"loss_contrastive": 1.5 * CHANCE}) == ()
    unweighted = DistilledMoCo(teacher=Untrained(backbone=BACKBONE), contrastive_weight=0.0)
    assert unweighted.remarks({"loss_contrastive": 0.0}) == ()


def test_swavs_loss_is_at_chance_at_the_logarithm_of_its_prototypes():
    (remark,) = SwAV(num_prototypes=64).remarks({"loss_swapped_prediction": 4.16})
    assert remark == "the swapped prediction loss, 4.160, has not left ln(prototypes) = 4.159, its value at chance."
    assert SwAV(num_prototypes=64).remarks({"loss_swapped_prediction": 3.9}) == ()


def test_collapsed_embeddings_are_told_of_whatever_the_loss():
    """A queue that never fills keeps random keys: the loss of embeddings that are all the same is small then."""
    (remark,) = MOCO.remarks({"loss_contrastive": 0.1, EMBEDDING_STD: 0.001})
    assert remark.startswith("the embeddings have collapsed into one: embedding_std is 0.0010")
    (remark,) = SimSiam().remarks({"loss_similarity": -1.0, "output_std": 0.0})
    assert "output_std is 0.0000" in remark
    assert SimSiam().remarks({"loss_similarity": -0.9, "output_std": 0.9}) == ()


def test_a_stage_says_what_its_method_says():
    optimisation = Optimisation(batch_size=BATCH)
    stage = Pretrain(frames=(Recording(),), method=MOCO, backbone=BACKBONE, optimisation=optimisation)
    assert stage.remarks({"loss_contrastive": CHANCE}) == MOCO.remarks({"loss_contrastive": CHANCE})


@pytest.mark.parametrize("name", METHODS)
def test_every_method_measures_the_spread_of_its_embeddings_and_collapse_is_seen(tmp_path, name):
    config, inputs = METHODS[name](tmp_path)
    method = config.build(backbone_for(config), inputs, seed=7)
    take_steps(method, [0])
    ((spread, healthy),) = method.metrics().items()
    assert 0.02 < healthy.item() < 2
    assert not healthy.requires_grad
    for module in method.encoders.query.modules():  # of every layer, the bias alone is left
        weight = getattr(module, "weight", None)
        if weight is not None:
            torch.nn.init.zeros_(weight)
            if module.bias is not None:
                torch.nn.init.ones_(module.bias)
    take_steps(method, [1])
    remarks = config.remarks({spread: method.metrics()[spread].item()})
    assert any("have collapsed into one" in remark for remark in remarks)


def test_the_loss_of_collapsed_embeddings_is_that_of_chance():
    config = MoCo(temperature=0.2, queue_size=BATCH, momentum=0.0, embedding_size=EMBEDDING)
    assert isinstance(config, ContrastiveConfig)
    same = torch.nn.functional.normalize(torch.ones(BATCH, EMBEDDING), dim=1)
    loss = info_nce(dictionary_logits(same, same, same.T), config.temperature).item()
    assert loss == pytest.approx(config.chance()["contrastive"].value)


@pytest.mark.parametrize("name", METHODS)
def test_no_method_is_advised_to_raise_a_temperature_that_it_does_not_have(tmp_path, name):
    config, inputs = METHODS[name](tmp_path)
    advice = config.build(backbone_for(config), inputs, seed=7).advice
    temperatures = set(re.findall(r"\w*temperature", advice))
    assert temperatures <= vars(config).keys()
    assert bool(temperatures) == any("temperature" in field for field in vars(config))
    assert ("epsilon" in advice) == ("epsilon" in vars(config))
