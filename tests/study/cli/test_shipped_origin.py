"""Origin of the package's own free models in model cards."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from study.cli.card_facts import CardFacts
from study.core.store import Store
from study.home.request import Request
from tests.search_spaces.protocol.test_shipped_weights import facts
from tests.trainers.export import parts
from trainers.networks.backbones import Backbone
from trainers.pretrained import shipped
from trainers.ssl.encoders import random_encoder


def test_a_card_says_that_the_weights_behind_it_come_with_freelunch_and_under_which_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    network = Backbone(architecture="resnet10", width=32)
    shipped.write_shipped(
        tmp_path / "demo.safetensors", random_encoder(network, 128, 0).state_dict(), facts("self-supervised")
    )
    (weights,) = shipped.shipped_with(network)
    card = CardFacts(
        store=Store(tmp_path / "home"),
        found=SimpleNamespace(request=Request(study="table3", scale="demo", dataset="tiny")),  # type: ignore[arg-type]
        part=parts.student(parts.RESNET10, tmp_path),
        format_name="safetensors",
        stage=weights.encoder(),
    )
    first, *_ = card.origin()
    assert first == (
        "Weights that come with freelunch: free model of the demo scale: MoCo v2, 4,096 drawn images, 2 epochs, "
        f"1 core-hours (SHA-256 `{weights.digest}`); licence: Apache-2.0."
    )
