"""Projection heads of public checkpoints: those that ours can take over, and classifiers, which it leaves out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from trainers.fields import Channels
from trainers.pretrained.prefixes import is_copy, plain_names

WITHIN = (("fc", "0", "2"),)
"""Heads in place of a network's classifier, as MoCo's: the module, and in it the hidden and the last layer."""
BESIDE = (
    ("projection_head", "layers.0", "layers.2"),  # lightly
    ("projection_head", "0", "2"),
    ("projector", "0", "2"),  # solo-learn
    ("neck", "mlp.0", "mlp.2"),  # mmselfsup
    ("1", "mlp.0", "mlp.2"),  # mmselfsup, in a Sequential of backbone and neck
    ("heads", "0.clf.0", "1.clf.0"),  # VISSL
)
"""Heads that a training script keeps beside the backbone."""
LARGEST_EMBEDDING = 2**14

CLASSIFIERS = ("fc", "head", "head.fc", "heads.head", "classifier", "classifier.1", "cls_head.fc", "heads.0.clf.0")
FEWEST_OF_EMBEDDING = 64
"""A last layer of this length, or of a larger power of two, may be a projection as well as a classifier."""

SELF_SUPERVISED = {
    "queue",
    "momentum",
    "momentum_encoder",
    "encoder_q",
    "encoder_k",
    "predictor",
    "projector",
    "projection_head",
    "prediction_head",
    "prototypes",
    "prototype",
    "teacher",
    "student",
    "online_network",
    "online_encoder",
    "online_net",
    "target_network",
    "target_encoder",
    "target_net",
    "moco_encoder",
    "neck",
    "dino_head",
    "mask_token",
    "backbone_momentum",
    "momentum_backbone",
}
"""Parts of names of tensors that only self-supervised training leaves."""
NOT_NETWORKS = {"optimizer", "optimizers", "optimizer_states", "lr_schedulers", "callbacks", "scheduler"}


@dataclass(frozen=True, kw_only=True)
class PublicHead:
    """A head of two layers with a ReLU between them, by the names of its tensors in the file.

    Attributes:
        names: the file's names by those of our head.
        embedding_size: length of its embeddings.
    """

    names: Mapping[str, str]
    embedding_size: Channels


def projection_head(tensors: Mapping[str, Tensor], prefix: str, num_features: int) -> PublicHead | None:
    """The head of a backbone that ours can take over: two layers, the first as wide as the features.

    Args:
        tensors: of the file.
        prefix: of the backbone.
        num_features: of the backbone.
    """
    plain = plain_names(tensors)
    places = [(prefix, *layers) for layers in WITHIN]
    places += [(owner, *layers) for owner in _owners(prefix) for layers in BESIDE]
    heads = (_head(tensors, plain, *place, num_features) for place in places)
    return next((each for each in heads if each is not None), None)


def has_classifier(tensors: Mapping[str, Tensor], prefix: str, num_features: int) -> bool:
    """Whether a classifier stands behind a backbone, of a number of classes that is no usual length of embeddings."""
    plain = plain_names(tensors)
    for start in (prefix, *_owners(prefix)):
        for name in CLASSIFIERS:
            weight, bias = (plain.get(f"{start}{name}.{kind}") for kind in ("weight", "bias"))
            shape = tuple(tensors[weight].shape) if weight else ()
            if bias and len(shape) == 2 and shape[1] == num_features and not _may_be_projection(shape[0]):
                return True
    return False


def is_self_supervised(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file has parts that only self-supervised training leaves."""
    networks = (name.split(".") for name in tensors)
    return any(SELF_SUPERVISED & set(parts) and not NOT_NETWORKS & set(parts) for parts in networks)


def _owners(prefix: str) -> Iterator[str]:
    """The prefixes of the modules around a backbone, the nearest first; where it is a copy, those of the copy alone."""
    parts = prefix.rstrip(".").split(".") if prefix else []
    copy = is_copy(prefix)
    for length in range(len(parts) - 1, -1, -1):
        owner = "".join(f"{part}." for part in parts[:length])
        if not copy or is_copy(owner):
            yield owner


def _head(
    tensors: Mapping[str, Tensor],
    plain: Mapping[str, str],
    owner: str,
    module: str,
    hidden: str,
    last: str,
    num_features: int,
) -> PublicHead | None:
    """The head in a module, if it has these two layers and no other tensor, such as those of a normalisation."""
    root = f"{owner}{module}."
    theirs = {"hidden": root + hidden, "output": root + last}
    names = {f"{ours}.{kind}": f"{name}.{kind}" for ours, name in theirs.items() for kind in ("weight", "bias")}
    if {name for name in plain if name.startswith(root)} != set(names.values()):
        return None
    shapes = {ours: tuple(tensors[plain[name]].shape) for ours, name in names.items()}
    size = next(iter(shapes["output.bias"]), 0)
    wanted = {"hidden.weight": (num_features, num_features), "hidden.bias": (num_features,)}
    wanted |= {"output.weight": (size, num_features), "output.bias": (size,)}
    if shapes != wanted or not 1 <= size <= LARGEST_EMBEDDING:
        return None
    return PublicHead(names={ours: plain[name] for ours, name in names.items()}, embedding_size=size)


def _may_be_projection(length: int) -> bool:
    return length >= FEWEST_OF_EMBEDDING and length & (length - 1) == 0
