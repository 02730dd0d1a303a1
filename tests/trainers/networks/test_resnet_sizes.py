"""Sizes of networks by arithmetic: they are those of the networks that are built."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainers.networks.backbones import Backbone, FeatureExtractor
from trainers.recognition.authors_code import Unnormalised
from trainers.ssl.transfer import Combined

RESNETS = [
    Backbone(architecture="resnet50"),
    Backbone(architecture="resnet18", batch_norm_splits=4),
    Backbone(architecture="resnet10"),
    Backbone(architecture="resnet10", width=6),
    Backbone(architecture="resnet18", width=6),
]
SMALL = RESNETS[3]
NETWORKS: list[FeatureExtractor] = [
    *RESNETS,
    Combined(teacher=RESNETS[2], student=SMALL, combination="concatenation"),
    Unnormalised(extractor=SMALL),
]


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_the_numbers_of_a_network_are_those_of_the_one_that_is_built(network: FeatureExtractor):
    assert network.num_numbers == sum(tensor.numel() for tensor in network.build(0).state_dict().values())


PLAN = """
import sys
from pathlib import Path
from tests.search_spaces.fake_dataset import conditions
from search_spaces.studies.catalogue import STUDIES
from study.core.plan import make_plan
from study.core.store import Store
make_plan(STUDIES["table2"].trials(conditions("full", num_videos=40)), Store(Path(sys.argv[1]), create=False))
assert "torchvision" not in sys.modules
"""


def test_a_plan_needs_no_torchvision(tmp_path: Path):
    subprocess.run([sys.executable, "-c", PLAN, str(tmp_path)], check=True)
