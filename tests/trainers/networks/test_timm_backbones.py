"""Models of timm as backbones; nothing is downloaded."""

from dataclasses import replace

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from tests.trainers.tiny import assert_same_state
from trainers.networks import timm_backbones, timm_models
from trainers.networks.architectures import backbone_of
from trainers.networks.backbones import SplitBatchNorm2d
from trainers.networks.timm_backbones import NETWORK
from trainers.stage import InputError

STUDENTS = ["test_resnet", "test_convnext", "test_efficientnet", "regnetx_002"]


def images(num_images=4, size_px=48):
    return torch.randn(num_images, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def student(name, **fields):
    return replace(backbone_of(f"timm:{name}", resizes=False), **fields)


def test_a_model_sees_the_views_in_its_own_size_and_normalisation():
    network = backbone_of("timm:test_vit@32").build(seed=0).eval()
    pixels = images() * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    pixels += torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    resized = F.interpolate(pixels, (32, 32), mode="bicubic", antialias=True)
    plain = timm.create_model("test_vit", img_size=160, dynamic_img_size=True, num_classes=0).eval()
    plain.load_state_dict(network.network.state_dict())
    assert torch.allclose(network(images()), plain((resized - 0.5) / 0.5), rtol=0, atol=1e-5)


def test_the_tag_and_the_size_of_a_name_choose_what_weights_expect():
    dino = backbone_of("timm:vit_small_patch14_dinov2.lvd142m")
    assert (dino.model, dino.input_px, dino.num_features) == ("vit_small_patch14_dinov2", 518, 384)
    assert dino.mean == (0.485, 0.456, 0.406)
    assert backbone_of("timm:vit_tiny_patch16_224.augreg_in21k").mean == (0.5, 0.5, 0.5)
    smaller = backbone_of("timm:vit_small_patch14_dinov2.lvd142m@224")
    assert smaller == replace(dino, input_px=224, weights_px=518)
    assert smaller.gflops_at(48) == smaller.gflops_at(224) < dino.gflops_at(48) / 5
    assert backbone_of(smaller.architecture) == smaller
    assert backbone_of(dino.architecture) == dino


def test_a_batch_that_is_larger_once_resized_is_seen_in_parts(monkeypatch):
    network = backbone_of("timm:test_vit@32").build(seed=0).eval()
    with torch.no_grad():
        whole = network(images(5))
        seen = []
        network.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
        monkeypatch.setattr(timm_backbones, "PIXELS_AT_ONCE", 2 * 32**2)
        assert torch.allclose(network(images(5)), whole, rtol=0, atol=1e-5)
    assert seen == [2, 2, 1]


def test_weights_of_another_size_than_the_input_are_taken_as_they_are():
    published = timm.create_model("test_vit", img_size=160, num_classes=0).eval()
    network = backbone_of("timm:test_vit@32").build(seed=0).eval()
    network.network.load_state_dict(published.state_dict())
    published.set_input_size(img_size=(32, 32))
    inputs = network.fitted(images())
    assert torch.allclose(network(images()), published(inputs), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["test_vit@32", *STUDENTS])
def test_features_and_costs_are_counted(name):
    backbone = backbone_of(f"timm:{name}", resizes=False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features = backbone.build(seed=0).eval()(images(1, 64))
    assert features.shape == (1, backbone.num_features)
    assert backbone.gflops_at(64) * 2e9 == counter.get_total_flops()


@pytest.mark.parametrize("name", STUDENTS)
def test_the_parameters_of_a_student_keep_the_names_of_timm_and_its_normalisation_splits_the_batch(name):
    network = student(name, batch_norm_splits=2).build(seed=0)
    plain = timm.create_model(name, num_classes=0)
    plain.load_state_dict({key.removeprefix(NETWORK): value for key, value in network.state_dict().items()})
    assert all(isinstance(each, SplitBatchNorm2d) for each in network.modules() if isinstance(each, _BatchNorm))
    halves = torch.cat([plain.train()(half) for half in network.fitted(images()).chunk(2)])
    assert torch.allclose(network.train()(images()), halves, rtol=0, atol=1e-5)
    assert torch.allclose(student(name).build(seed=0).train()(images()), plain(network.fitted(images())), atol=1e-5)


@pytest.mark.parametrize("name", STUDENTS)
def test_the_features_of_a_student_are_made_of_the_means_of_its_feature_maps(name):
    backbone = student(name)
    network = backbone.build(seed=0).eval()
    maps = network.feature_maps(images(2, 96))
    assert backbone.cell_px == 32
    assert maps.shape == (2, backbone.num_features, 3, 3)
    assert torch.allclose(network.from_means(maps.mean((2, 3))), network(images(2, 96)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "num_blocks"), [("resnet10t", 4), ("regnetx_002", 13), ("mobilenetv2_035", 10)])
def test_the_last_normalisation_of_every_residual_block_can_start_at_zero(name, num_blocks):
    network = student(name).build(seed=0)
    network.zero_last_norms()
    zeros = [key for key, value in network.named_parameters() if key.endswith("weight") and not value.any()]
    assert len(zeros) == num_blocks


def test_a_start_depends_on_its_seed_alone():
    first = student("test_convnext").build(seed=1).state_dict()
    torch.rand(7)
    generator = torch.get_rng_state()
    assert_same_state(student("test_convnext").build(seed=1).state_dict(), first)
    assert torch.equal(torch.get_rng_state(), generator)
    other = student("test_convnext").build(seed=2).state_dict()
    assert any(not torch.equal(other[name], first[name]) for name in first)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("timm:nonsense", "timm has no model 'nonsense'"),
        ("timm:convnext_ato", "did you mean timm:convnext_atto"),
        ("timm:test_vit.other", "timm knows no weights 'test_vit.other': it knows test_vit.r160_in1k"),
        ("timm:convnext_atto@1", "cannot see images of 1 pixels"),
        ("timm:test_vit@100", "its patches have 16; choose a multiple, such as timm:test_vit@96"),
        ("timm:vit_base_patch16_sapiens2.fb", "takes 3×1024×768 inputs: choose a model for square RGB images"),
        ("timm:mixer_b16_224@256", "takes images of 224 pixels alone: leave out @256"),
        ("timm:test_vit@0", "ends with @0: give the side"),
        ("timm:test_vit@big", "ends with @big: give the side"),
        ("resnet51", "there is no architecture 'resnet51': take one of resnet50, resnet18, resnet10, or timm:NAME"),
        ("resnet34", "there is no architecture 'resnet34': did you mean timm:resnet34?"),
        ("TIMM:test_vit", "did you mean timm:test_vit?"),
        ("hf:timm/test_vit.r160_in1k", "did you mean timm:test_vit.r160_in1k?"),
    ],
)
def test_names_that_stand_for_no_backbone_are_refused(name, match):
    with pytest.raises(InputError, match=match):
        backbone_of(name)


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224", "mixer_s32_224"])
def test_networks_that_need_another_recipe_are_no_students(name):
    with pytest.raises(InputError, match=f"timm:{name} cannot be trained by these methods"):
        backbone_of(f"timm:{name}", resizes=False).check_trainable()


def test_a_model_without_pooled_features_is_refused(monkeypatch):
    monkeypatch.setattr(timm_models, "created", lambda made: nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match="timm:of_maps gives no pooled features, N×C: choose a model that does"):
        timm_models.seen(timm_models.Made("of_maps"), 32)


def test_what_a_pass_costs_is_counted_where_a_parameter_is_the_input_of_a_layer():
    assert backbone_of("timm:pit_ti_224").num_features == 256


def test_our_architectures_go_by_their_names():
    assert backbone_of("resnet10", width=8).num_features == 64
    assert isinstance(backbone_of("resnet50").build(seed=0), nn.Module)
