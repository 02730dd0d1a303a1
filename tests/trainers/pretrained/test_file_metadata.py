"""Origin, licence and kind of weights, as the metadata of their file says them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.trainers.pretrained.test_shipped import FACTS, encoder_tensors
from trainers.networks.backbones import Backbone
from trainers.pretrained.file_metadata import Said, said_in
from trainers.pretrained.registry import UNKNOWN, Asked, load, register
from trainers.pretrained.shipped import write_shipped

RESNET18 = Backbone(architecture="resnet18", width=4)


def network() -> dict[str, torch.Tensor]:
    return {f"backbone.{name}": value for name, value in RESNET18.build(0).state_dict().items()}


def test_a_file_like_those_of_the_package_needs_no_option(tmp_path: Path):
    facts = replace(FACTS, kind="supervised")
    write_shipped(tmp_path / "ours.safetensors", encoder_tensors(), facts)
    weights = register(tmp_path / "weights", "ours", tmp_path / "ours.safetensors")
    assert (weights.title, weights.licence, weights.kind) == (facts.title, "Apache-2.0", "supervised")
    assert weights.from_metadata == ("title", "licence", "kind")
    assert load(tmp_path / "weights", "ours") == weights


def test_what_the_user_says_comes_before_what_the_file_says(tmp_path: Path):
    write_shipped(tmp_path / "ours.safetensors", encoder_tensors(), FACTS)
    asked = Asked(origin="a copy", licence="CC0", kind="supervised")
    weights = register(tmp_path / "weights", "ours", tmp_path / "ours.safetensors", asked)
    assert (weights.title, weights.licence, weights.kind) == ("a copy", "CC0", "supervised")
    assert weights.from_metadata == ()


def test_what_the_publisher_says_of_a_download_comes_before_what_the_file_says(tmp_path: Path):
    write_shipped(tmp_path / "ours.safetensors", encoder_tensors(), FACTS)
    asked = Asked(title="a model of the hub", licence="MIT", source="hf:a/b")
    weights = register(tmp_path / "weights", "ours", tmp_path / "ours.safetensors", asked)
    assert (weights.title, weights.licence, weights.from_metadata) == ("a model of the hub", "MIT", ())


@pytest.mark.parametrize("ending", ["safetensors", "pth", "old.pth"])
def test_any_file_can_say_where_it_comes_from(tmp_path: Path, ending: str):
    said = {"origin": "DINO on our endoscopies", "license": "CC BY 4.0", "freelunch.kind": "self-supervised"}
    file = tmp_path / f"ours.{ending}"
    if ending == "safetensors":
        save_file(network(), file, said)
    else:
        torch.save({"state_dict": network(), "freelunch": said}, file, _use_new_zipfile_serialization=ending == "pth")
    weights = register(tmp_path / "weights", "ours", file)
    assert (weights.title, weights.licence) == ("DINO on our endoscopies", "CC BY 4.0")
    assert weights.from_metadata == ("title", "licence", "kind")


def test_an_export_says_of_which_trial_it_is():
    exported = {"freelunch.part": "student", "freelunch.trial": "table3/head, seed 0"}
    assert said_in(exported) == Said(title="student of table3/head, seed 0, as freelunch exported it")
    assert said_in(exported | {"freelunch.kind": "self-supervised"}).kind == "self-supervised"


def test_the_convention_of_modelspec_is_read():
    said = said_in({"modelspec.title": "ViT of a hospital", "modelspec.license": "CC BY-NC 4.0", "format": "pt"})
    assert said == Said(title="ViT of a hospital", licence="CC BY-NC 4.0")


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "pt"},
        {"freelunch": "no JSON"},
        {"freelunch": "[" * 100_000},
        {"freelunch": json.dumps({"scale": "demo"})},
        {"freelunch": json.dumps(asdict(FACTS) | {"epochs": "many"})},
        {"freelunch": json.dumps(asdict(FACTS) | {"method": "x" * 1000})},
        {"origin": " ", "licence": "two\nlines", "freelunch.kind": "none"},
        {"origin": "x" * 1000, "license": "\x1b[31mred"},
    ],
)
def test_metadata_that_are_damaged_or_empty_say_nothing(metadata: dict[str, str]):
    assert said_in(metadata) == Said()


def test_a_file_without_metadata_is_of_unknown_origin(tmp_path: Path):
    save_file(network(), tmp_path / "ours.safetensors")
    weights = register(tmp_path / "weights", "ours", tmp_path / "ours.safetensors", Asked(kind="supervised"))
    assert (weights.title, weights.licence, weights.from_metadata) == (UNKNOWN, "", ())
