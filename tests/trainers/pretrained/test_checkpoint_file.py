"""Files that do harm, are cut off, too large, or something else: one sentence each, and no code of theirs runs."""

import errno
import json
import mmap
import pickle
import resource
import struct
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.trainers.pretrained.layout_files import layout_file
from trainers.networks.backbones import Backbone
from trainers.pretrained.checkpoint_file import read_checkpoint, read_tensors
from trainers.pretrained.contents import inspect
from trainers.stage import InputError, MachineError

SMALL = Backbone(architecture="resnet10", width=4)
GIGABYTE = 10**9


class Harmful:
    """What a checkpoint with code in it would do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harm"),)


class Shell:
    """The usual harm."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch harm",)


class Evaluated:
    """Harm by a name that every process has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("open('harm', 'w')",)


def save_zip(content: Any, path: Path) -> None:
    torch.save(content, path)


def save_old(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("save", [save_zip, save_old, save_pickle])
@pytest.mark.parametrize(("harm", "name"), [(Harmful, "getattr"), (Shell, "system"), (Evaluated, "eval")])
def test_no_code_of_a_file_is_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[[Any, Path], None],
    harm: Callable[[], Any],
    name: str,
):
    monkeypatch.chdir(tmp_path)
    save({"state_dict": {"conv1.weight": torch.zeros(1), "more": harm()}}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=rf"bad\.pth (names \S*({name})\S*, which is code|is no torch checkpoint)"):
        read_tensors(tmp_path / "bad.pth")
    assert not (tmp_path / "harm").exists()


def test_a_whole_network_with_its_class_is_refused_by_the_name_of_the_class(tmp_path: Path):
    torch.save(nn.Linear(2, 2), tmp_path / "network.pt")
    with pytest.raises(
        InputError, match=r"network\.pt names torch\.nn\.modules\.linear\.Linear, which is code .*state_dict"
    ):
        read_tensors(tmp_path / "network.pt")


def test_a_program_of_torchscript_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"program/{name}", b"x")
    with pytest.raises(InputError, match=r"program\.pt is a program of TorchScript, which holds code"):
        read_tensors(tmp_path / "program.pt")


def test_mappings_that_hold_each_other_many_times_are_refused(tmp_path: Path):
    nested: dict[str, Any] = {"a": torch.zeros(1)}
    for _ in range(20):
        nested = {"a": nested, "b": nested}
    torch.save(nested, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match=r"bomb\.pth holds mappings in mappings without end"):
        read_tensors(tmp_path / "bomb.pth")


@pytest.mark.parametrize("save", [save_zip, save_old, save_pickle])
def test_tuples_that_hold_each_other_many_times_are_refused(tmp_path: Path, save: Callable[[Any, Path], None]):
    nested: tuple[Any, ...] = ()
    for _ in range(40):
        nested = (nested, nested)  # its hash would take 2⁴⁰ steps
    save({"weight": torch.zeros(1), "key": nested}, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match=r"bomb\.pth holds tuples in tuples without end"):
        read_tensors(tmp_path / "bomb.pth")


def test_a_file_that_asks_for_more_memory_than_there_is_is_refused(tmp_path: Path):
    asks = b"\x80\x02cbuiltins\nbytearray\n\x8a\x07" + (10**15).to_bytes(7, "little") + b"\x85R."
    (tmp_path / "asks.pth").write_bytes(asks)
    with pytest.raises(InputError, match=r"asks\.pth is no torch checkpoint of tensors alone"):
        read_tensors(tmp_path / "asks.pth")


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(2**20))
    with pytest.raises(InputError, match=r"bomb\.pt is a compressed archive, which torch does not write"):
        read_tensors(tmp_path / "bomb.pt")


def sparse(path: Path, start: bytes, size: int) -> Path:
    """A file of this size that takes no room on disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path


@pytest.mark.parametrize("start", [b"", b"\x80\x02", b"PK\x03\x04", b"PK\x03\x04\x00\x00\x00\x00{"])
def test_forty_gigabytes_of_something_else_are_refused_unread(tmp_path: Path, start: bytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = r"large\.pth has (37 GiB and is in no format|37\.3 GiB, more than this machine)|is cut off or damaged"
    with pytest.raises((InputError, MachineError), match=sentence):
        read_tensors(sparse(tmp_path / "large.pth", start, 40 * GIGABYTE))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**6  # kilobytes


def test_a_network_is_read_out_of_a_large_file(tmp_path: Path):
    path = tmp_path / "large.safetensors"
    state = {f"backbone.{name}": value for name, value in SMALL.build(3).state_dict().items()}
    save_file(state, path)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header, numbers = json.loads(path.read_bytes()[8 : 8 + length]), path.read_bytes()[8 + length :]
    end = len(numbers) + 2 * GIGABYTE
    header["optimizer"] = {"dtype": "F32", "shape": [GIGABYTE // 2], "data_offsets": [len(numbers), end]}
    text = json.dumps(header).encode()
    start = struct.pack("<Q", len(text)) + text + numbers
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tensors = read_tensors(sparse(path, start, 8 + len(text) + end))
    found = inspect(tensors, path, "resnet10")
    assert (found.prefix, found.left_out) == ("backbone.", ("optimizer",))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**6  # kilobytes


def test_a_file_that_does_not_fit_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    torch.save({"weight": torch.zeros(1)}, tmp_path / "large.pth")
    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(MachineError, match=r"large\.pth has 0\.0 GiB, more than this machine can map into memory"):
        read_tensors(tmp_path / "large.pth")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("save", [save_zip, save_old])
def test_half_a_download_is_refused(tmp_path: Path, save: Callable[[Any, Path], None], share: float):
    path, _ = layout_file(tmp_path / "half.pth", "DINO", SMALL)
    save(torch.load(path, weights_only=False), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"half\.pth .*download (it|the file) again"):
        read_tensors(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_half_a_download_of_safetensors_is_refused(tmp_path: Path, share: float):
    path = tmp_path / "half.safetensors"
    save_file({"conv1.weight": torch.zeros(4000)}, path)
    path.write_bytes(path.read_bytes()[: max(int(path.stat().st_size * share), 9)])
    with pytest.raises(InputError, match=r"half\.safetensors is cut off or damaged \(.*\): download it again"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<!DOCTYPE html>", "is a page of the web"),
        (b"\n<html>", "is a page of the web"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"\x1f\x8b\x08", "is compressed by gzip"),
        (b"\x89HDF\r\n", "is an HDF5 file"),
        (b"", "is empty: download it again"),
        (
            b'{"architecture": "vit"}',
            "is a text in JSON, such as a configuration or an index: name the file of tensors",
        ),
        (b"\x08\x08\x12\x07pytorch", "is a graph of ONNX"),
        (b"not a checkpoint", "is no torch checkpoint of tensors alone"),
        (pickle.dumps([1, 2], 2), "is no torch checkpoint of tensors alone"),
    ],
)
def test_something_else_than_a_checkpoint_is_one_sentence(tmp_path: Path, content: bytes, sentence: str):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.pth {sentence}"):
        read_tensors(tmp_path / "x.pth")


def test_a_tensor_without_a_name_is_no_network(tmp_path: Path):
    torch.save(torch.zeros(3), tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x\.pth holds one tensor without a name, no network"):
        read_tensors(tmp_path / "x.pth")


def test_a_folder_is_refused_by_the_name_of_the_file_in_it(tmp_path: Path):
    with pytest.raises(InputError, match=r"is no file: name the checkpoint itself\.$"):
        read_tensors(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"name the checkpoint itself, such as .*/model\.safetensors\.$"):
        read_tensors(tmp_path)


def test_a_header_of_any_length_is_read_with_its_metadata(tmp_path: Path):
    """The first byte of a safetensors file is the lowest of its header's length, a space among others."""
    first = set()
    for length in range(0, 256, 4):
        save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", {"origin": "x" * length})
        assert read_checkpoint(tmp_path / "x.safetensors").metadata["origin"] == "x" * length
        first.add((tmp_path / "x.safetensors").read_bytes()[:1])
    assert {b" ", b"\x08"} <= first


def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x\.pth holds no tensor"):
        read_tensors(tmp_path / "x.pth")


OPTIONS: dict[str, Any] = {
    "Namespace": Namespace(lr=0.1, betas=(0.9, 0.99), out=Path("/out"), nested=Namespace(a=1)),
    "scalars": {"float64": np.float64(1.5), "int64": np.int64(3), "bool": np.bool_(True), "float32": np.float32(1)},
    "arrays": {"history": np.arange(3), "texts": np.array(["a", "b"])},
    "paths and sets": {"path": Path("/out"), "set": {1, 2}, "frozen": frozenset({1})},
    "random states": {"numpy": ("MT19937", np.zeros(4, dtype=np.uint32), 4, 0, 0.0), "torch": torch.get_rng_state()},
}


@pytest.mark.parametrize("save", [save_zip, save_old])
@pytest.mark.parametrize("what", OPTIONS)
def test_options_and_numbers_beside_the_tensors_are_no_reason_to_refuse(
    tmp_path: Path, what: str, save: Callable[[Any, Path], None]
):
    save({"model": {"weight": torch.arange(3.0)}, "options": OPTIONS[what]}, tmp_path / "x.pth")
    assert torch.equal(read_tensors(tmp_path / "x.pth")["model.weight"], torch.arange(3.0))


class Config(dict[str, Any]):
    """A mapping with attributes, as mmengine's and Lightning's checkpoints hold it."""


def test_classes_of_training_frameworks_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options = Config(lr=1, more={"a": 1})
    options.__dict__["filename"] = "moco.py"
    with monkeypatch.context() as patch:
        framework = ModuleType("mmengine")
        patch.setattr(Config, "__module__", "mmengine")
        patch.setitem(sys.modules, "mmengine", framework)
        patch.setattr(framework, "Config", Config, raising=False)
        torch.save({"weight": torch.zeros(1), "config": options}, tmp_path / "x.pth")
    assert list(read_tensors(tmp_path / "x.pth")) == ["weight"]
    assert "mmengine" not in sys.modules


def test_options_of_omegaconf_are_no_reason_to_refuse(tmp_path: Path):
    omegaconf = pytest.importorskip("omegaconf")
    options = omegaconf.OmegaConf.create({"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "name": "moco"})
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "hyper_parameters": options}, tmp_path / "x.pth")
    assert list(read_tensors(tmp_path / "x.pth")) == ["state_dict.weight"]


def test_nothing_stays_allow_listed(tmp_path: Path):
    before = torch.serialization.get_safe_globals()
    torch.save({"weight": torch.zeros(1), "args": Namespace(lr=1)}, tmp_path / "x.pth")
    assert list(read_tensors(tmp_path / "x.pth")) == ["weight"]
    assert torch.serialization.get_safe_globals() == before
