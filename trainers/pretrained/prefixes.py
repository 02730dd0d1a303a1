"""Search for a network among the tensors of a checkpoint, under whatever prefix and in whatever usual naming."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import Backbone
from trainers.networks.timm_backbones import NETWORK, TimmBackbone

Shape = tuple[int, ...]
Naming = Callable[[str], str]

WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
"""Parts of names that torch.compile, checkpointing and FSDP insert wherever they wrap a module."""
COUNTER = ".num_batches_tracked"
"""Ends the names of the counters that files older than torch 0.4.1 do not have; they start at 0 then."""
CHILDREN = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
"""Places of a ResNet's parts in a `Sequential` of its children, as lightly's examples build it."""
TRANSFORMERS_NAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^conv1\.", "embedder.embedder.convolution."),
    (r"^bn1\.", "embedder.embedder.normalization."),
    (r"^layer(\d)\.(\d+)\.", lambda found: f"encoder.stages.{int(found[1]) - 1}.layers.{found[2]}."),
    (r"\.downsample\.0\.", ".shortcut.convolution."),
    (r"\.downsample\.1\.", ".shortcut.normalization."),
    (r"\.conv(\d)\.", lambda found: f".layer.{int(found[1]) - 1}.convolution."),
    (r"\.bn(\d)\.", lambda found: f".layer.{int(found[1]) - 1}.normalization."),
)
COPIES = {"k", "key", "momentum", "target", "student", "loss"}
"""Words in the prefix of a network beside the one that is meant."""
LEAST_MATCHED = 0.3
"""Share of a network's tensors whose names are found where the file is taken to hold it, damaged or not."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place of a network in a checkpoint.

    Attributes:
        prefix: what stands before the names of its tensors.
        names: those of the file by those of the network.
        fault: the first thing that does not fit, as a sentence goes on from the file; empty where all fits.
    """

    prefix: str
    names: Mapping[str, str]
    fault: str


def plain_names(tensors: Iterable[str]) -> dict[str, str]:
    """The file's names of tensors by the same names without what wrappers insert."""
    return {".".join(part for part in name.split(".") if part not in WRAPPERS): name for name in tensors}


def places(tensors: Mapping[str, Tensor], backbone: AnyBackbone) -> list[Place]:
    """The places of a file that hold a network, or most of it; whole ones first, the usual one before the others."""
    shapes = _shapes_of(backbone)
    classifiers = backbone.classifiers if isinstance(backbone, TimmBackbone) else ()
    plain, network = plain_names(tensors), _Expected(backbone.architecture, shapes, classifiers)
    namings = NAMINGS if isinstance(backbone, Backbone) else (_same,)
    wanted_names = [{ours: naming(ours.removeprefix(NETWORK)) for ours in shapes} for naming in namings]
    found = [
        _place(tensors, plain, prefix, wanted, network)
        for wanted in wanted_names
        for prefix in _prefixes(plain, list(wanted.values()))
    ]
    if isinstance(backbone, TimmBackbone) and all(each.fault for each in found):
        found += [_place(tensors, plain, *named, network) for named in _authors_names(tensors, plain, backbone)]
    likely = [each for each in found if len(each.names) >= LEAST_MATCHED * len(shapes)]
    return sorted(likely, key=_whole_and_usual_first)


def _whole_and_usual_first(place: Place) -> tuple[bool, int, tuple[bool, bool, int, str]]:
    return bool(place.fault), -len(place.names) if place.fault else 0, usual_first(place.prefix)


def usual_first(prefix: str) -> tuple[bool, bool, int, str]:
    """Order of the networks of one file: the one that authors evaluate comes first.

    That is MoCo's query and not its key encoder, the online network of BYOL, the teacher of DINO, the moving average
    that timm evaluates, and of the rest the one with the shortest name.
    """
    return is_copy(prefix), "ema" not in _words(prefix), len(prefix), prefix


def is_copy(prefix: str) -> bool:
    """Whether a prefix is that of a network beside the one that authors evaluate."""
    return bool(COPIES & set(_words(prefix)))


def _words(prefix: str) -> list[str]:
    return prefix.replace("_", ".").split(".")


def _authors_names(
    tensors: Mapping[str, Tensor], plain: Mapping[str, str], backbone: TimmBackbone
) -> Iterator[tuple[str, dict[str, str]]]:
    """Prefixes of networks in the naming of a model's authors, each with the names in it by ours."""
    shapes = _shapes_of(backbone)
    parts = (name.split(".") for name in plain)
    starts = Counter("".join(f"{part}." for part in each[:length]) for each in parts for length in range(len(each)))
    for prefix in (start for start, count in starts.items() if count >= LEAST_MATCHED * len(shapes)):
        inner = {name.removeprefix(prefix): tensors[file] for name, file in plain.items() if name.startswith(prefix)}
        theirs = backbone.names_in(inner)
        wanted = {ours: ours.removeprefix(NETWORK) for ours in shapes}
        if theirs:
            yield prefix, {ours: theirs.get(timms, timms) for ours, timms in wanted.items()}


def _prefixes(plain: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """What stands before the first, the last or the middle one of a network's names, of which one may be missing."""
    anchors = (wanted[0], wanted[-1], wanted[len(wanted) // 2])
    pairs = ((name, anchor) for name in plain for anchor in anchors)
    return list(dict.fromkeys(n.removesuffix(a) for n, a in pairs if n == a or n.endswith(f".{a}")))


@dataclass(frozen=True)
class _Expected:
    """A network: its name, the shape of every tensor of it by our names, and names of layers behind its features."""

    architecture: str
    shapes: Mapping[str, Shape]
    classifiers: tuple[str, ...]


def _place(
    tensors: Mapping[str, Tensor], plain: Mapping[str, str], prefix: str, wanted: Mapping[str, str], network: _Expected
) -> Place:
    """What of a network there is under a prefix, by its names in the naming of the file."""
    names = {ours: plain[prefix + theirs] for ours, theirs in wanted.items() if prefix + theirs in plain}
    faults = _faults(tensors, plain, prefix, wanted, network)
    return Place(prefix=prefix, names=names, fault=next(faults, ""))


def _faults(
    tensors: Mapping[str, Tensor], plain: Mapping[str, str], prefix: str, wanted: Mapping[str, str], network: _Expected
) -> Iterator[str]:
    for ours, theirs in wanted.items():
        name, expected = plain.get(prefix + theirs), network.shapes[ours]
        if name is None and not theirs.endswith(COUNTER):
            yield f"lacks {prefix}{theirs}, which {network.architecture} has"
        elif name is not None and tuple(tensors[name].shape) != expected:
            shape = _spelled(tuple(tensors[name].shape))
            yield f"holds {name} as {shape} where {network.architecture} has {_spelled(expected)}"
    surplus = _surplus(plain, prefix, wanted, network.classifiers)
    if surplus is not None:
        yield f"holds {surplus}, which {network.architecture} has not"


@cache
def _shapes_of(backbone: AnyBackbone) -> Mapping[str, Shape]:
    with torch.device("meta"):
        state = backbone.build(0).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _surplus(
    plain: Mapping[str, str], prefix: str, wanted: Mapping[str, str], classifiers: tuple[str, ...]
) -> str | None:
    """The first tensor inside the parts of a network that the architecture does not have: it is another network's."""
    behind = tuple(f"{prefix}{layer}." for layer in classifiers)
    expected = {prefix + theirs for theirs in wanted.values()}
    parts = tuple({f"{prefix}{theirs.partition('.')[0]}." for theirs in wanted.values() if "." in theirs})
    return next(
        (
            name
            for start, name in plain.items()
            if start.startswith(parts) and start not in expected and not start.startswith(behind)
        ),
        None,
    )


def _same(name: str) -> str:
    return name


def _numbered(name: str) -> str:
    part, _, rest = name.partition(".")
    return f"{CHILDREN[part]}.{rest}"


def _of_transformers(name: str) -> str:
    """Names that the library transformers has for the tensors of a ResNet."""
    for ours, theirs in TRANSFORMERS_NAMES:
        name = re.sub(ours, theirs, name)
    return name


NAMINGS: tuple[Naming, ...] = (_same, _numbered, _of_transformers)


def _spelled(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "a single number"
