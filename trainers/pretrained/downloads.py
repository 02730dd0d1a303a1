"""Downloads of public weights by name: from the hub by huggingface_hub, from torchvision by torch.hub."""

import http.client
import json
import re
import sys
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainers.names import alike
from trainers.networks.timm_backbones import PREFIX as TIMM
from trainers.networks.timm_backbones import licence_note
from trainers.pretrained.contents import Kind
from trainers.stage import InputError, MachineError

HUB, TORCHVISION = "hf:", "torchvision:"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Usual names of the weights in a repository, the preferred one first."""
ENDINGS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".tar", ".torch")
CONFIG = "config.json"

OURS = ("resnet50", "resnet18")
"""Architectures of the same names in torchvision, in timm and here."""
TORCHVISION_BY_TIMM = (
    "resnet34",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
"""Networks whose tensors have the same names in torchvision and in timm."""


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A downloaded file, and what its publisher says of it.

    Attributes:
        path: where it lies.
        architecture: of its network, where it is said.
        kind: whether it was trained with labels, where that is known.
        licence: as it is published; empty where it is not.
        title: in words.
    """

    path: Path
    architecture: str | None
    kind: Kind | None
    licence: str
    title: str


def is_source(name: str) -> bool:
    """Whether a name is one to download by."""
    return name.startswith((HUB, TORCHVISION))


def name_of(source: str) -> str:
    """The name that downloaded weights get here, which can name a file: `hf-timm-resnet50.a1_in1k`."""
    return re.sub(r"[^\w.]+", "-", source).strip("-")


def download(source: str, folder: Path) -> Downloaded:
    """Downloads weights; a download that was cut off goes on, or starts again.

    Args:
        source: `hf:ORGANISATION/REPOSITORY`, with `/FILE` where it holds several, or `torchvision:MODEL`, with
            `.WEIGHTS` where others than its default are meant.
        folder: of all downloaded weights.

    Raises:
        InputError: there is no such model, repository or file, or it must be asked for.
        MachineError: there is no network, or the download failed.
    """
    folder = folder / name_of(source)
    if source.startswith(HUB):
        return _from_hub(source, folder)
    return _from_torchvision(source, folder)


def _from_torchvision(source: str, folder: Path) -> Downloaded:
    import torch
    from torchvision.models import get_model_weights

    model, _, entry = source.removeprefix(TORCHVISION).partition(".")
    known = (*OURS, *TORCHVISION_BY_TIMM)
    if model not in known:
        raise InputError(
            f"{source} is not read here, others come from the hub, as hf:timm/NAME: {_nearest(model, known)}"
        )
    enum = get_model_weights(model)
    if entry and entry not in enum.__members__:
        raise InputError(f"{source}: torchvision has no such weights: {_nearest(entry, list(enum.__members__))}")
    weights = enum[entry] if entry else enum.DEFAULT
    path = folder / weights.url.rpartition("/")[2]
    folder.mkdir(parents=True, exist_ok=True)
    digits = re.search(r"-([0-9a-f]{8,})\.", path.name)
    with _translated(source):
        if not path.exists():
            torch.hub.download_url_to_file(
                weights.url, str(path), digits[1] if digits else None, progress=sys.stderr.isatty()
            )
    architecture = model if model in OURS else f"{TIMM}{model}.tv_in1k"
    title = f"{model}, supervised on ImageNet (torchvision, {weights.name})"
    return Downloaded(path=path, architecture=architecture, kind="supervised", licence="", title=title)


def _from_hub(source: str, folder: Path) -> Downloaded:
    from huggingface_hub import HfApi, hf_hub_download

    organisation, _, rest = source.removeprefix(HUB).partition("/")
    name, _, file = rest.partition("/")
    if not (organisation and name):
        raise InputError(
            f"{source} names no repository: write {HUB}ORGANISATION/REPOSITORY, such as {HUB}timm/resnet50.a1_in1k."
        )
    repository = f"{organisation}/{name}"
    with _translated(source):
        info = HfApi().model_info(repository)
        files = [each.rfilename for each in info.siblings or []]
        file = file or _weights_file(source, files)
        fetch = partial(hf_hub_download, repository, revision=info.sha, local_dir=folder)
        path = Path(fetch(file))
        config = Path(fetch(CONFIG)) if CONFIG in files else None
    described = _read(config) if config else {}
    card = info.card_data
    architecture = _architecture(name, described)
    return Downloaded(
        path=path,
        architecture=architecture,
        kind=None,
        licence=str((card and (card.license_name or card.license)) or "") or _timms_note(architecture),
        title=f"{repository} of the hub, commit {str(info.sha)[:8]}",
    )


def _weights_file(source: str, files: Sequence[str]) -> str:
    """The file of a repository that holds its weights.

    Raises:
        InputError: there are several, or none.
    """
    usual = next((name for name in WEIGHTS if name in files), None)
    others = [name for name in files if name.endswith(ENDINGS)]
    if usual is not None or len(others) == 1:
        return usual or others[0]
    if not others:
        raise InputError(f"{source} holds no file of weights ({', '.join(ENDINGS)}).")
    raise InputError(f"{source} holds {len(others)} files of weights: name one, such as {source}/{others[0]}.")


def _architecture(repository: str, described: dict[str, object]) -> str | None:
    """The architecture that a repository of timm names, with the tag of its weights."""
    name = described.get("architecture")
    if not isinstance(name, str):
        return None
    if name in OURS:
        return name
    pretrained = described.get("pretrained_cfg")
    tag = pretrained.get("tag") if isinstance(pretrained, dict) else repository.partition(".")[2]
    return f"{TIMM}{name}.{tag}" if tag else f"{TIMM}{name}"


def _timms_note(architecture: str | None) -> str:
    """Licence in timm's note of an architecture's weights; empty where it has none."""
    with suppress(InputError):  # the hub has weights that this version of timm does not know
        return licence_note((architecture or "").removeprefix(TIMM))
    return ""


def _read(config: Path) -> dict[str, object]:
    try:
        described = json.loads(config.read_text())
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


def _nearest(name: str, known: Sequence[str]) -> str:
    near = alike(name, known, most=2)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}."


@contextmanager
def _translated(source: str) -> Iterator[None]:
    """Turns what a download raises into a sentence.

    Raises:
        InputError: there is no such repository or file, or it must be asked for.
        MachineError: there is no network, or the download failed.
    """
    from huggingface_hub import errors

    network: type[Exception] = errors.HfHubHTTPError.__bases__[0]  # of the HTTP library that the hub uses
    try:
        yield
    except errors.GatedRepoError:
        raise InputError(
            f"{source} must be asked for: accept its terms on its page, log in by `hf auth login`, and type this again."
        ) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise InputError(f"{source}: the hub has no such repository, or only for those who are logged in.") from None
    except errors.RemoteEntryNotFoundError:
        raise InputError(
            f"{source}: the repository has no such file: leave the file out, or correct its name."
        ) from None
    except errors.OfflineModeIsEnabled:
        raise MachineError(f"{source} cannot be downloaded: HF_HUB_OFFLINE forbids it; {_by_hand(source)}") from None
    except (network, OSError, http.client.HTTPException, RuntimeError) as error:
        said = str(error.reason) if isinstance(error, urllib.error.URLError) else str(error)
        reason = (said.strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise MachineError(f"{source} could not be downloaded ({reason}): {_by_hand(source)}") from None


def _by_hand(source: str) -> str:
    return (
        "without a network, bring the file here and register it: "
        f"`freelunch weights add FILE --name {name_of(source)}`."
    )
