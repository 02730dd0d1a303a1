"""Downloads by name, against a hub and a torchvision of this process: what they ask for, and how they fail."""

import hashlib
import json
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import errors
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from trainers.pretrained.downloads import download, name_of
from trainers.stage import InputError, MachineError

NETWORK: type[Exception] = errors.HfHubHTTPError.__bases__[0]


class Hub:
    """A hub with one repository."""

    def __init__(self, files: dict[str, bytes], card: dict[str, str] | None = None) -> None:
        self.files = files
        self.card = card
        self.asked: list[str] = []
        self.fault: Exception | None = None

    def model_info(self, repository: str) -> SimpleNamespace:
        if self.fault is not None:
            raise self.fault
        self.asked.append(repository)
        card = SimpleNamespace(**{"license": None, "license_name": None, **self.card}) if self.card else None
        siblings = [SimpleNamespace(rfilename=name) for name in self.files]
        return SimpleNamespace(sha="c0ffee00" * 5, siblings=siblings, card_data=card)

    def fetch(self, repository: str, file: str, *, revision: str, local_dir: Path) -> str:
        assert revision == "c0ffee00" * 5
        if file not in self.files:
            raise missing(errors.RemoteEntryNotFoundError)
        self.asked.append(f"{repository}/{file}")
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / file).write_bytes(self.files[file])
        return str(local_dir / file)


def missing(kind: type[Any]) -> Any:
    response = SimpleNamespace(headers={}, status_code=404, request=None, url="")
    return kind("404", response=response)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hub]]:
    def make(files: dict[str, bytes], card: dict[str, str] | None = None) -> Hub:
        made = Hub(files, card)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: made)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", made.fetch)
        return made

    return make


TIMM = {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": {"tag": "a1_in1k"}}
VIT = {"architecture": "vit_small_patch14_dinov2", "num_classes": 0, "pretrained_cfg": {"tag": "lvd142m"}}


def described(config: dict[str, Any]) -> dict[str, bytes]:
    weights = {"model.safetensors": b"weights", "pytorch_model.bin": b"the same"}
    return {"README.md": b"", **weights, "config.json": json.dumps(config).encode()}


def test_a_model_of_timm_comes_with_its_architecture_and_licence(tmp_path: Path, hub: Callable[..., Hub]):
    hub(described(TIMM), {"license": "apache-2.0"})
    found = download("hf:timm/resnet50.a1_in1k", tmp_path)
    assert found.path == tmp_path / "hf-timm-resnet50.a1_in1k" / "model.safetensors"
    assert found.path.read_bytes() == b"weights"
    assert (found.architecture, found.licence) == ("resnet50", "apache-2.0")
    assert found.title == "timm/resnet50.a1_in1k of the hub, commit c0ffee00"


def test_an_architecture_of_timm_keeps_the_tag_of_its_weights(tmp_path: Path, hub: Callable[..., Hub]):
    hub(described(VIT), {"license": "other", "license_name": "dinov3-license"})
    found = download("hf:timm/vit_small_patch14_dinov2.lvd142m", tmp_path)
    assert (found.architecture, found.licence) == ("timm:vit_small_patch14_dinov2.lvd142m", "dinov3-license")


def test_a_licence_that_the_repository_does_not_name_is_that_of_timms_note(tmp_path: Path, hub: Callable[..., Hub]):
    hub(described(VIT))
    assert download("hf:timm/vit_small_patch14_dinov2.lvd142m", tmp_path).licence == "apache-2.0"
    hub(described({"architecture": "of_tomorrow"}))
    assert download("hf:timm/of_tomorrow", tmp_path).licence == ""


def test_a_file_of_a_repository_is_named_where_there_are_several(tmp_path: Path, hub: Callable[..., Hub]):
    asked = hub({"LemonFM.pth": b"1", "LemonFM-small.pth": b"2", "README.md": b""})
    with pytest.raises(
        InputError, match=r"hf:visurg/LemonFM holds 2 files of weights: name one, such as hf:visurg/Lem"
    ):
        download("hf:visurg/LemonFM", tmp_path)
    found = download("hf:visurg/LemonFM/LemonFM-small.pth", tmp_path)
    assert (found.path.read_bytes(), found.architecture, found.licence) == (b"2", None, "")
    assert asked.asked[-1] == "visurg/LemonFM/LemonFM-small.pth"


REFUSALS: list[tuple[Exception, type[Exception], str]] = [
    (
        NETWORK("[Errno -3] name resolution"),
        MachineError,
        r"could not be downloaded \(.*name resolution\): without a net",
    ),
    (errors.OfflineModeIsEnabled("offline"), MachineError, "HF_HUB_OFFLINE forbids it"),
    (ConnectionError("refused"), MachineError, r"could not be downloaded \(refused\)"),
    (TimeoutError(), MachineError, r"could not be downloaded \(TimeoutError\)"),
    (missing(errors.RepositoryNotFoundError), InputError, "the hub has no such repository"),
    (missing(errors.GatedRepoError), InputError, "must be asked for: accept its terms"),
]


@pytest.mark.parametrize(("fault", "kind", "sentence"), REFUSALS, ids=lambda value: type(value).__name__)
def test_a_download_that_fails_is_one_sentence(
    tmp_path: Path, hub: Callable[..., Hub], fault: Exception, kind: type[Exception], sentence: str
):
    hub(described(TIMM)).fault = fault
    with pytest.raises(kind, match=rf"^hf:timm/resnet50\.a1_in1k.*{sentence}"):
        download("hf:timm/resnet50.a1_in1k", tmp_path)


def test_a_repository_without_weights_or_without_the_file_is_one_sentence(tmp_path: Path, hub: Callable[..., Hub]):
    hub({"README.md": b""})
    with pytest.raises(InputError, match="hf:a/b holds no file of weights"):
        download("hf:a/b", tmp_path)
    with pytest.raises(InputError, match=r"hf:a/b/c\.pth: the repository has no such file"):
        download("hf:a/b/c.pth", tmp_path)
    with pytest.raises(InputError, match="hf:b names no repository: write hf:ORGANISATION/REPOSITORY"):
        download("hf:b", tmp_path)


class Response:
    """An answer of a web server, which ends where the connection breaks."""

    def __init__(self, content: bytes, length: int) -> None:
        self.content = content
        self.length = length

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def info(self) -> SimpleNamespace:
        return SimpleNamespace(getheaders=lambda name: [str(self.length)])

    def read(self, size: int) -> bytes:
        content, self.content = self.content, b""
        return content


@pytest.fixture
def weights_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, bytes], list[str]]:
    """Gives ResNet-18's weights a content; what is sent may be less."""

    def serve(content: bytes, sent: bytes) -> list[str]:
        asked: list[str] = []
        digits = hashlib.sha256(content).hexdigest()[:8]
        weights = ResNet18_Weights.IMAGENET1K_V1
        monkeypatch.setattr(weights, "_value_", weights.value.__class__(f"models/resnet18-{digits}.pth", None, {}))

        def answer(request: Any) -> Response:
            asked.append(request.full_url)
            return Response(sent, len(content))

        monkeypatch.setattr("torch.hub.urlopen", answer)
        monkeypatch.setattr("torch.hub.Request", lambda url, headers: SimpleNamespace(full_url=url))
        return asked

    return serve


def test_torchvisions_weights_are_downloaded_once_from_its_own_address(
    tmp_path: Path, weights_of: Callable[[bytes, bytes], list[str]]
):
    asked = weights_of(b"weights", b"weights")
    found = download("torchvision:resnet18", tmp_path)
    assert (found.path.read_bytes(), found.architecture, found.kind) == (b"weights", "resnet18", "supervised")
    assert found.title == "resnet18, supervised on ImageNet (torchvision, IMAGENET1K_V1)"
    assert download("torchvision:resnet18.IMAGENET1K_V1", tmp_path).title == found.title
    assert asked == [ResNet18_Weights.IMAGENET1K_V1.url] * 2


def test_half_a_download_is_refused_and_leaves_nothing(tmp_path: Path, weights_of: Callable[[bytes, bytes], list[str]]):
    weights_of(b"weights", b"weig")
    with pytest.raises(MachineError, match=r"torchvision:resnet18 could not be downloaded \(invalid hash value"):
        download("torchvision:resnet18", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_a_network_the_way_by_hand_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(request: object) -> None:
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(MachineError, match=r"`freelunch weights add FILE --name torchvision-resnet50`"):
        download("torchvision:resnet50", tmp_path)


def test_a_model_or_weights_that_torchvision_has_not_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"torchvision:resnet51 is not read here, .*: did you mean resnet50"):
        download("torchvision:resnet51", tmp_path)
    with pytest.raises(
        InputError, match=r"torchvision has no such weights: did you mean IMAGENET1K_V2 or IMAGENET1K_V1\?"
    ):
        download("torchvision:resnet50.IMAGENET1K_V3", tmp_path)
    assert {each.name for each in ResNet50_Weights} == {"IMAGENET1K_V1", "IMAGENET1K_V2"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf:timm/resnet50.a1_in1k", "hf-timm-resnet50.a1_in1k"),
        ("hf:visurg/LemonFM/LemonFM.pth", "hf-visurg-LemonFM-LemonFM.pth"),
        ("torchvision:resnet50.IMAGENET1K_V1", "torchvision-resnet50.IMAGENET1K_V1"),
    ],
)
def test_downloaded_weights_get_a_name_that_can_name_a_file(source: str, name: str):
    assert name_of(source) == name
