"""The same ResNet in the layouts of files that training scripts and libraries leave, with what lies beside it there."""

from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.trainers.public_files import EMBEDDING
from trainers.networks.backbones import Backbone
from trainers.ssl.encoders import Encoder, random_encoder

State = dict[str, Tensor]
CHILDREN = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


def teacher(backbone: Backbone, seed: int = 5) -> Encoder:
    """An encoder whose running statistics are not those of a new one."""
    encoder = random_encoder(backbone, EMBEDDING, seed)
    with torch.no_grad():
        for name, buffer in encoder.backbone.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                drawn = torch.rand(buffer.shape, generator=torch.Generator().manual_seed(seed))
                buffer.add_(drawn if name.endswith("var") else -drawn)  # so that no feature is 0 everywhere
    return encoder


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def network(encoder: Encoder) -> State:
    return dict(encoder.backbone.state_dict())


def numbered(encoder: Encoder) -> State:
    """The names of a `Sequential` of the network's children."""
    parts = ((*name.partition("."), tensor) for name, tensor in network(encoder).items())
    return {f"{CHILDREN[part]}.{rest}": tensor for part, _, rest, tensor in parts}


def mlp(encoder: Encoder, hidden: str, last: str) -> State:
    """The head of two layers, under the names of its layers."""
    named = encoder.head.state_dict().items()
    return {name.replace("hidden", hidden).replace("output", last): tensor for name, tensor in named}


def normalised_mlp(width: int, *indices: int) -> State:
    """A head with batch normalisation, which ours cannot take over."""
    layers = {f"{index}.weight": torch.randn(8, width) for index in indices}
    return {**layers, "1.running_mean": torch.zeros(8), "1.weight": torch.ones(8)}


def copy_of(encoder: Encoder, backbone: Backbone) -> Encoder:
    """Another network of the same architecture: a key encoder, or a student."""
    return teacher(backbone, seed=11)


def moco(encoder: Encoder, other: Encoder, features: int) -> Any:
    both = {"encoder_q.": encoder, "encoder_k.": other}
    state = {"queue": torch.randn(EMBEDDING, 32), "queue_ptr": torch.zeros(1, dtype=torch.long)}
    for prefix, each in both.items():
        state |= under(prefix, {**network(each), **mlp(each, "fc.0", "fc.2")})
    return {"epoch": 200, "arch": "resnet50", "state_dict": under("module.", state), "optimizer": {"state": {}}}


def moco_without_module(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = moco(encoder, other, features)["state_dict"]
    return {"state_dict": {name.removeprefix("module."): tensor for name, tensor in state.items()}}


def encoder_q_alone(encoder: Encoder, other: Encoder, features: int) -> Any:
    return under(
        "encoder_q.", {**network(encoder), "fc.weight": torch.randn(128, features), "fc.bias": torch.randn(128)}
    )


def moco_v3(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("base_encoder.", {**network(encoder), **under("fc.", normalised_mlp(features, 0, 3, 6))})
    state |= under("momentum_encoder.", network(other)) | under("predictor.", normalised_mlp(8, 0, 3))
    return {"epoch": 100, "state_dict": under("module.", state), "scaler": {"scale": 65536.0}}


def swav(encoder: Encoder, other: Encoder, features: int) -> Any:
    heads = under("projection_head.", normalised_mlp(features, 0, 3)) | {"prototypes.weight": torch.randn(30, 8)}
    return OrderedDict(under("module.", {**network(encoder), **heads}))


def dino(encoder: Encoder, other: Encoder, features: int) -> Any:
    heads = under("head.", {"mlp.0.weight": torch.randn(8, features), "last_layer.weight_g": torch.randn(8, 1)})
    return {
        "student": under("module.", under("backbone.", network(other)) | heads),
        "teacher": under("backbone.", network(encoder)) | heads,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": np.float64(0.1)}]},
        "args": Namespace(arch="resnet50", output_dir=Path("/out")),
        "dino_loss": {"center": torch.zeros(1, 8)},
    }


def barlow_twins(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("backbone.", network(encoder)) | under("projector.", normalised_mlp(features, 0, 3, 6))
    return {"epoch": 1000, "model": under("module.", {**state, "bn.running_mean": torch.zeros(8)})}


def simsiam(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("encoder.", {**network(encoder), **under("fc.", normalised_mlp(features, 0, 3, 6))})
    return {"state_dict": under("module.", state | under("predictor.", normalised_mlp(8, 0, 3)))}


def byol(encoder: Encoder, other: Encoder, features: int) -> Any:
    online = under("online_network.encoder.", numbered(encoder))
    return {**online, **under("target_network.encoder.", numbered(other)), "predictor.net.0.weight": torch.randn(8, 8)}


def vissl(encoder: Encoder, other: Encoder, features: int) -> Any:
    trunk = under("_feature_blocks.", network(encoder))
    heads = mlp(encoder, "0.clf.0", "1.clf.0")
    loss = {"moco_encoder." + name: tensor for name, tensor in under("trunk._feature_blocks.", network(other)).items()}
    model = {"model": {"trunk": trunk, "heads": heads}, "meters": {"train": []}}
    return {"classy_state_dict": {"base_model": model, "loss": loss, "iteration": np.int64(7)}, "type": "consolidated"}


def lightly(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("backbone.", numbered(encoder)) | under("projection_head.", mlp(encoder, "layers.0", "layers.2"))
    state |= under("backbone_momentum.", numbered(other))
    state |= under("projection_head_momentum.", mlp(other, "layers.0", "layers.2"))
    return {"state_dict": state, "pytorch-lightning_version": "2.5.0", "hyper_parameters": {"lr": np.float32(0.06)}}


def solo_learn(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("backbone.", network(encoder)) | under("momentum_backbone.", network(other))
    state |= {"classifier.weight": torch.randn(10, features), "classifier.bias": torch.randn(10)}
    return {
        "state_dict": state | under("projector.", normalised_mlp(features, 0, 3)),
        "hyper_parameters": Namespace(a=1),
    }


def mmselfsup(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("backbone.", network(encoder)) | under("neck.", mlp(encoder, "mlp.0", "mlp.2"))
    state |= under("encoder_q.0.", network(encoder)) | under("encoder_k.0.", network(other))
    return {"meta": {"epoch": 200, "seed": np.int64(1)}, "state_dict": state, "message_hub": {"log": np.zeros(3)}}


def lightning(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = under("model.", {**network(encoder), **classifier(features)})
    return {"state_dict": state, "epoch": 3, "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(3)}}}]}


def torchvision(encoder: Encoder, other: Encoder, features: int) -> Any:
    return {**network(encoder), **classifier(features)}


def timm_ema(encoder: Encoder, other: Encoder, features: int) -> Any:
    raw = {**network(other), **classifier(features)}
    return {"arch": "resnet50", "state_dict": raw, "state_dict_ema": {**network(encoder), **classifier(features)}}


def compiled(encoder: Encoder, other: Encoder, features: int) -> Any:
    return {"model": under("_orig_mod.module.", {**network(encoder), **classifier(features)})}


def compiled_inside(encoder: Encoder, other: Encoder, features: int) -> Any:
    state = {name.replace("layer2.", "layer2._orig_mod."): tensor for name, tensor in network(encoder).items()}
    return {"state_dict": under("module.backbone.", state) | {"module.queue": torch.zeros(3)}}


def transformers(encoder: Encoder, other: Encoder, features: int) -> Any:
    stem = {"conv1.": "embedder.embedder.convolution.", "bn1.": "embedder.embedder.normalization."}
    stages = {f"layer{1 + stage}.": f"encoder.stages.{stage}.layers." for stage in range(4)}
    inner = {".downsample.0.": ".shortcut.convolution.", ".downsample.1.": ".shortcut.normalization."}
    inner |= {f".conv{1 + layer}.": f".layer.{layer}.convolution." for layer in range(3)}
    inner |= {f".bn{1 + layer}.": f".layer.{layer}.normalization." for layer in range(3)}
    state: State = {}
    for name, tensor in network(encoder).items():
        start = next(each for each in {**stem, **stages} if name.startswith(each))
        theirs = {**stem, **stages}[start] + name.removeprefix(start)
        for old, new in inner.items() if start in stages else ():
            theirs = theirs.replace(old, new)
        state[f"resnet.{theirs}"] = tensor
    return {**state, "classifier.1.weight": torch.randn(10, features), "classifier.1.bias": torch.randn(10)}


def classifier(features: int, classes: int = 1000) -> State:
    return {"fc.weight": torch.randn(classes, features), "fc.bias": torch.randn(classes)}


Layout = Callable[[Encoder, Encoder, int], Any]
LAYOUTS: dict[str, tuple[Layout, str, str, bool]] = {
    "MoCo": (moco, "state_dict.module.encoder_q.", "self-supervised", True),
    "MoCo without module": (moco_without_module, "state_dict.encoder_q.", "self-supervised", True),
    "encoder_q alone": (encoder_q_alone, "encoder_q.", "self-supervised", False),
    "MoCo v3": (moco_v3, "state_dict.module.base_encoder.", "self-supervised", False),
    "SwAV": (swav, "module.", "self-supervised", False),
    "DINO": (dino, "teacher.backbone.", "self-supervised", False),
    "Barlow Twins": (barlow_twins, "model.module.backbone.", "self-supervised", False),
    "SimSiam": (simsiam, "state_dict.module.encoder.", "self-supervised", False),
    "BYOL": (byol, "online_network.encoder.", "self-supervised", False),
    "VISSL": (vissl, "classy_state_dict.base_model.model.trunk._feature_blocks.", "self-supervised", True),
    "lightly": (lightly, "state_dict.backbone.", "self-supervised", True),
    "solo-learn": (solo_learn, "state_dict.backbone.", "self-supervised", False),
    "mmselfsup": (mmselfsup, "state_dict.backbone.", "self-supervised", True),
    "Lightning": (lightning, "state_dict.model.", "supervised", False),
    "torchvision": (torchvision, "", "supervised", False),
    "timm's moving average": (timm_ema, "state_dict_ema.", "supervised", False),
    "transformers": (transformers, "resnet.", "supervised", False),
    "torch.compile": (compiled, "model.module.", "supervised", False),
    "torch.compile of a part": (compiled_inside, "state_dict.module.backbone.", "self-supervised", False),
}
"""Layouts: maker of a file's content, prefix of the network that is meant, its kind, and whether its head is used."""


def layout_file(path: Path, layout: str, backbone: Backbone) -> tuple[Path, Encoder]:
    """A file in a layout; returns the encoder in it too."""
    encoder = teacher(backbone)
    content = LAYOUTS[layout][0](encoder, copy_of(encoder, backbone), backbone.num_features)
    torch.save(content, path)
    return path, encoder


def safetensors_file(path: Path, backbone: Backbone) -> tuple[Path, Encoder]:
    """A network as timm publishes it on the hub."""
    encoder = teacher(backbone)
    save_file({**network(encoder), **classifier(backbone.num_features)}, path)
    return path, encoder
