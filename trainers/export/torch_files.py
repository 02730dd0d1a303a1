"""Checkpoints of torch as torchvision's networks and MoCo's code read them."""

from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from trainers.export.code import expression, imports
from trainers.export.formats import Format, foreign, input_lines, is_torchvisions
from trainers.export.parts import Part
from trainers.networks.backbones import Backbone

MODEL = "model.pth"
CHECKPOINT = "checkpoint.pth.tar"
QUERY, KEY = "module.encoder_q.", "module.encoder_k."
MOCO_HEAD = {
    "hidden.weight": "fc.0.weight",
    "hidden.bias": "fc.0.bias",
    "output.weight": "fc.2.weight",
    "output.bias": "fc.2.bias",
}


def named_tensors(part: Part) -> dict[str, Tensor]:
    """Tensors of a backbone, and of its classifier as `fc`, under torchvision's names."""
    state = dict(part.network.state_dict())
    if part.classifier is not None:
        state |= {f"fc.{name}": tensor for name, tensor in part.classifier.state_dict().items()}
    return state


def torchvision_network(part: Part) -> nn.Module:
    """Network of torchvision, of a part's architecture, to load `named_tensors` into."""
    assert isinstance(part.extractor, Backbone), "it was refused"
    network: nn.Module = getattr(torchvision.models, part.extractor.architecture)(num_classes=len(part.phases) or 1)
    if part.classifier is None:
        network.fc = nn.Identity()
    return network.eval()


class TorchvisionFormat(Format):
    """A `state_dict` for torchvision's ResNets."""

    name = "torchvision"

    def refusal(self, part: Part) -> str:
        if part.temporal is not None:
            return "torchvision's networks have no temporal model"
        return foreign(part.extractor, "torchvision")

    def write(self, part: Part, folder: Path, metadata: dict[str, str]) -> None:
        torch.save(named_tensors(part), folder / MODEL)

    def read_back(self, part: Part, folder: Path, images: Tensor) -> Tensor:
        network = torchvision_network(part)
        network.load_state_dict(torch.load(folder / MODEL, map_location="cpu", weights_only=True))
        return part.result_of(network, images)

    def usage(self, part: Part) -> str:
        load = f'network.load_state_dict(torch.load("{MODEL}", weights_only=True))'
        return "\n".join(["import torch", *torchvision_lines(part, load), *input_lines(part), *_call(part)])


def torchvision_lines(part: Part, load: str) -> list[str]:
    """Lines of code that make torchvision's network of a part and load it by a line."""
    assert isinstance(part.extractor, Backbone), "it was refused"
    made = f"network = torchvision.models.{part.extractor.architecture}(num_classes={len(part.phases)})"
    if part.classifier is None:
        made = (
            f"network = torchvision.models.{part.extractor.architecture}()\n"
            "network.fc = torch.nn.Identity()  # it has no classifier"
        )
    return ["import torchvision", made, load, "network.eval()"]


def _call(part: Part) -> list[str]:
    if part.classifier is None:
        return [f"features = network(images)  # N×{part.extractor.num_features}"]
    return [f"probabilities = network(images).softmax(1)  # N×{len(part.phases)}"]


class MoCoFormat(Format):
    """A checkpoint as MoCo's training script saves it: query and key encoder with their heads, without a queue."""

    name = "moco"

    def refusal(self, part: Part) -> str:
        if part.encoders is None:
            return "MoCo's checkpoints hold an encoder without a classifier"
        if not isinstance(part.extractor, Backbone):
            return foreign(part.extractor, "MoCo's code")
        head = {name.removeprefix("head.") for name in part.encoders["query"] if name.startswith("head.")}
        if head != MOCO_HEAD.keys():
            return "its projection head is not that of MoCo v2"
        return ""

    def write(self, part: Part, folder: Path, metadata: dict[str, str]) -> None:
        assert part.encoders is not None, "it was refused"
        assert isinstance(part.extractor, Backbone), "it was refused"
        state = _public(part.encoders["query"], QUERY)
        if "key" in part.encoders:
            state |= _public(part.encoders["key"], KEY)
        content = {"arch": part.extractor.architecture, "state_dict": state, "freelunch": metadata}
        torch.save(content, folder / CHECKPOINT)

    def read_back(self, part: Part, folder: Path, images: Tensor) -> Tensor:
        checkpoint = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        network = _network(part)
        network.load_state_dict(
            {
                name.removeprefix(QUERY): tensor
                for name, tensor in checkpoint["state_dict"].items()
                if name.startswith(QUERY) and not name.startswith(f"{QUERY}fc")
            }
        )
        return part.result_of(network, images)

    def usage(self, part: Part) -> str:
        assert isinstance(part.extractor, Backbone), "it was refused"
        lines = ["import torch", f'state = torch.load("{CHECKPOINT}", weights_only=True)["state_dict"]']
        lines += [
            f'state = {{name.removeprefix("{QUERY}"): state[name] for name in state if name.startswith("{QUERY}")}}'
        ]
        load = 'network.load_state_dict({name: state[name] for name in state if not name.startswith("fc.")})'
        if is_torchvisions(part.extractor):
            lines += torchvision_lines(part, load)
        else:
            made = f"network = {expression(part.extractor)}.build(seed=0)"
            lines += [*imports(part.extractor), made, load, "network.eval()"]
        return "\n".join([*lines, *input_lines(part), *_call(part)])


def _network(part: Part) -> nn.Module:
    assert isinstance(part.extractor, Backbone), "it was refused"
    if is_torchvisions(part.extractor):
        return torchvision_network(part)
    return part.extractor.build(seed=0).eval()


def _public(encoder: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """An encoder's tensors under MoCo's names."""
    named = {}
    for name, tensor in encoder.items():
        place, _, rest = name.partition(".")
        named[prefix + (rest if place == "backbone" else MOCO_HEAD[rest])] = tensor
    return named
