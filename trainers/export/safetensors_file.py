"""A file of safetensors: tensors alone, which any program can read, of every part and architecture."""

from collections import OrderedDict
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainers.export.code import expression, imports
from trainers.export.formats import Format, foreign, input_lines
from trainers.export.networks import Pipeline
from trainers.export.parts import Part, built
from trainers.export.timm_folder import TimmFormat, timm_line, timm_network, timm_tensors
from trainers.export.torch_files import named_tensors, torchvision_lines, torchvision_network
from trainers.networks.timm_backbones import TimmBackbone

MODEL = "model.safetensors"
LOAD = f'network.load_state_dict(load_file("{MODEL}"))'


class SafetensorsFormat(Format):
    """Names of parameters are torchvision's or timm's where these have the network, and freelunch's elsewhere."""

    name = "safetensors"

    def refusal(self, part: Part) -> str:
        return ""

    def write(self, part: Part, folder: Path, metadata: dict[str, str]) -> None:
        if _is_torchvisions(part):
            state = named_tensors(part)
        else:
            state = timm_tensors(part) if _is_timms(part) else _own_network(part).state_dict()
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / MODEL, metadata)

    def read_back(self, part: Part, folder: Path, images: Tensor) -> Tensor:
        network = _readers_network(part)
        network.load_state_dict(load_file(folder / MODEL))
        return network(images) if isinstance(network, Pipeline) else part.result_of(network, images)

    def usage(self, part: Part) -> str:
        lines = ["import torch", "from safetensors.torch import load_file"]
        if part.temporal_network is not None:
            return "\n".join([*lines, *_pipeline_lines(part)])
        if _is_torchvisions(part):
            lines += torchvision_lines(part, LOAD)
        else:
            lines += ["import timm", timm_line(part), LOAD, "network.eval()"] if _is_timms(part) else _own_lines(part)
        result = (
            "features = network(images)" if part.classifier is None else "probabilities = network(images).softmax(1)"
        )
        return "\n".join([*lines, *input_lines(part), result])


def _is_torchvisions(part: Part) -> bool:
    return part.temporal is None and not foreign(part.extractor, "torchvision")


def _is_timms(part: Part) -> bool:
    return not TimmFormat().refusal(part)


def _readers_network(part: Part) -> nn.Module:
    """The network that a reader of the file makes."""
    if _is_torchvisions(part):
        return torchvision_network(part)
    return timm_network(part) if _is_timms(part) else _own_network(part, trained=False).eval()


def _own_network(part: Part, *, trained: bool = True) -> nn.Module:
    """The module whose tensors are written: the backbone, alone or with what follows it.

    Args:
        part: the networks.
        trained: whether they are the part's own, or as a reader makes them.
    """
    if part.temporal_network is not None:
        return Pipeline.of(part) if trained else _untrained_pipeline(part)
    network = part.network if trained else built(part.extractor)
    if part.classifier is None:
        return network
    classifier = part.classifier if trained else nn.Linear(part.extractor.num_features, len(part.phases))
    return nn.Sequential(OrderedDict(network=network, classifier=classifier))


def _untrained_pipeline(part: Part) -> Pipeline:
    assert part.temporal_network is not None, "the part is a pipeline"
    return Pipeline.untrained(
        part.extractor,
        part.temporal_network,
        num_phases=len(part.phases),
        size_px=part.image.size_px,
        mean=part.image.mean,
        std=part.image.std,
    )


def _own_lines(part: Part) -> list[str]:
    made = f"{expression(part.extractor)}.build(seed=0)"
    made += ".network" if isinstance(part.extractor, TimmBackbone) else ""
    before = imports(part.extractor)
    if part.classifier is None:
        return [*before, f"network = {made}", LOAD, "network.eval()"]
    classifier = f"torch.nn.Linear({part.extractor.num_features}, {len(part.phases)})"
    together = f"network = torch.nn.Sequential(OrderedDict(network={made}, classifier={classifier}))"
    return ["from collections import OrderedDict", *before, together, LOAD, "network.eval()"]


def _pipeline_lines(part: Part) -> list[str]:
    assert part.temporal_network is not None, "the part is a pipeline"
    image = part.image
    return [
        "from trainers.export.networks import Pipeline",
        *imports(part.extractor, part.temporal_network),
        "network = Pipeline.untrained(",
        f"    {expression(part.extractor)},",
        f"    {expression(part.temporal_network)},",
        f"    num_phases={len(part.phases)}, size_px={image.size_px}, mean={image.mean}, std={image.std},",
        ")",
        LOAD,
        f"images = torch.from_numpy(frames).permute(0, 3, 1, 2)  # T×3×{image.size_px}×{image.size_px}, uint8",
        f"probabilities = network(images)  # T×{len(part.phases)}, one video, in order of time",
    ]
