"""A folder as timm keeps models: weights in safetensors, and a config with the input that they expect.

timm takes a second to import, so that every function here imports it when it is called.
"""

import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from trainers.export.formats import Format, foreign
from trainers.export.parts import Part
from trainers.networks.backbones import Backbone
from trainers.networks.timm_backbones import TimmBackbone
from trainers.networks.timm_models import expected

MODEL, CONFIG = "model.safetensors", "config.json"
KEPT = ("first_conv", "classifier", "fixed_input_size", "min_input_size")
"""What timm's own description of an architecture says of the network, and not of some weights."""


class TimmFormat(Format):
    """A folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` loads."""

    name = "timm"

    def refusal(self, part: Part) -> str:
        if part.temporal is not None:
            return "timm's networks have no temporal model"
        return foreign(part.extractor, "timm") or _fault_of_classifier(part)

    def write(self, part: Part, folder: Path, metadata: dict[str, str]) -> None:
        state = {name: tensor.contiguous() for name, tensor in timm_tensors(part).items()}
        save_file(state, folder / MODEL, {**metadata, "format": "pt"})
        (folder / CONFIG).write_text(json.dumps(_config(part), indent=2) + "\n", encoding="utf-8")

    def read_back(self, part: Part, folder: Path, images: Tensor) -> Tensor:
        import timm

        network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        return part.result_of(network, images)

    def usage(self, part: Part) -> str:
        call = "features = network(images)" if part.classifier is None else "probabilities = network(images).softmax(1)"
        return "\n".join(
            [
                "import timm",
                "import torch",
                'network = timm.create_model("local-dir:.", pretrained=True).eval()  # the path of this folder',
                "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))",
                "images = torch.stack([transform(frame) for frame in frames])  # of PIL images",
                call,
            ]
        )


def timm_tensors(part: Part) -> dict[str, Tensor]:
    """Tensors of a backbone, and of its classifier, under timm's names."""
    state = dict(part.network.state_dict())
    if part.classifier is not None:
        name = _classifier_name(timm_network(part))
        state |= {f"{name}.{kind}": tensor for kind, tensor in part.classifier.state_dict().items()}
    return state


def timm_network(part: Part) -> nn.Module:
    """Network of timm, of a part's architecture, with as many classes as the part has."""
    import timm

    arguments = _arguments(part)
    return cast(nn.Module, timm.create_model(_model(part), num_classes=len(part.phases), **arguments)).eval()


def timm_line(part: Part) -> str:
    """The line of code that makes `timm_network`."""
    arguments = "".join(f", {name}={value}" for name, value in _arguments(part).items())
    return f'network = timm.create_model("{_model(part)}", num_classes={len(part.phases)}{arguments})'


def _model(part: Part) -> str:
    extractor = part.extractor
    assert isinstance(extractor, Backbone | TimmBackbone), "it was refused"
    return extractor.model if isinstance(extractor, TimmBackbone) else extractor.architecture


def _arguments(part: Part) -> dict[str, int | bool]:
    """What timm makes the network with, beside its number of classes."""
    extractor = part.extractor
    if not isinstance(extractor, TimmBackbone) or not expected(extractor.model).fixed:
        return {}
    if extractor.weights_px is not None:
        return {"img_size": extractor.weights_px, "dynamic_img_size": True}
    return {"img_size": part.image.size_px}


def _described(part: Part) -> dict[str, Any]:
    import timm

    known = timm.get_pretrained_cfg(_model(part))
    return dict(known.to_dict()) if known else {}


def _classifier_name(network: nn.Module) -> str:
    last = cast(Any, network).get_classifier()
    return next((name for name, module in network.named_modules() if module is last), "")


def _fault_of_classifier(part: Part) -> str:
    """Why timm's network cannot hold the classifier of a part; empty where it can, or there is none."""
    if part.classifier is None:
        return ""
    with torch.device("meta"):
        last = cast(Any, timm_network(part)).get_classifier()
    fits = isinstance(last, nn.Linear) and last.in_features == part.classifier.in_features
    return "" if fits else "its classifier in timm is no linear layer on the features"


def _config(part: Part) -> dict[str, Any]:
    """Description by timm of a model: frames are stretched to the network's size, not cropped."""
    size, image, known = part.image.size_px, part.image, _described(part)
    described = {
        "architecture": _model(part),
        "num_classes": len(part.phases),
        "num_features": part.extractor.num_features,
        "model_args": _arguments(part),
        "pretrained_cfg": {
            "tag": "freelunch",
            "input_size": [3, size, size],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(image.mean),
            "std": list(image.std),
            "num_classes": len(part.phases),
            **{name: known[name] for name in KEPT if known.get(name) is not None},
        },
    }
    return described | ({"label_names": list(part.phases)} if part.phases else {})
