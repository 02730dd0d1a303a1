"""Files of tensors, read without running code of theirs and without reading what is not needed."""

import io
import mmap
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainers.pretrained.left_out_objects import stand_ins
from trainers.pretrained.pickle_scan import TooDeepError, named_objects
from trainers.stage import InputError, MachineError

LARGEST_INDEX = 2**26
"""Bytes of a file's description of its tensors; that of a ResNet-50 with its optimiser has a few hundred thousand."""
LARGEST_OLD_FILE = 2**33
"""Bytes of a file in the format of torch before 1.6, which is read whole."""
MOST_VALUES, DEEPEST, LONGEST_KEY = 200_000, 24, 400
OLD_PICKLES = 4
"""Pickles of a file of torch before 1.6 that come before its numbers: two numbers, the machine, and the tensors."""
FOREIGN = {
    b"{": "a text in JSON, such as a configuration or an index: name the file of tensors beside it",
    b"\x08": "a graph of ONNX, not a checkpoint of torch",
    b"<": "a page of the web, not the file that it offers: download the file itself",
    b"version https://git-lfs": "a pointer of Git LFS, not the file that it points to: fetch that with git lfs pull",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"\x89HDF": "an HDF5 file, of another library than torch: give a file of torch or safetensors",
    b"BZh": "compressed by bzip2: unpack it",
    b"\xfd7zXZ": "compressed by xz: unpack it",
}
"""Beginnings of files that users take for checkpoints, and what these are."""

BROKEN = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""Errors of torch on a file that is damaged, or that is no checkpoint."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """Content of a file of tensors.

    Attributes:
        tensors: by their names, those of mappings within mappings joined by dots.
        metadata: texts beside them, by their names: those in the header of a safetensors file, and of a file of torch
            the texts beside its mappings and in a mapping `freelunch`.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint, as `read_checkpoint` reads them."""
    return read_checkpoint(path).tensors


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors and the metadata of a checkpoint.

    The numbers of a file of torch 1.6 and later, or of safetensors, stay on disk until they are used.

    Raises:
        InputError: it is no file of tensors, is cut off, or holds code.
        MachineError: it cannot be read here.
    """
    start = _beginning(path)
    is_safetensors = start[8:9] == b"{" and not start.startswith(b"PK")
    if not is_safetensors:
        _check_ours(start, path)
    if start.startswith(b"PK") or is_safetensors:
        _check_mappable(path)
    if is_safetensors:
        found, metadata = _of_safetensors(path)
    else:
        found = _of_zip(path) if start.startswith(b"PK") else _of_old_file(path)
        metadata = _texts(found)
    tensors = dict(_flat(found, path))
    if "" in tensors:
        raise InputError(f"{path} holds one tensor without a name, no network: give a checkpoint, as published.")
    if not tensors:
        raise InputError(f"{path} holds no tensor: give a checkpoint, as published.")
    return Checkpoint(tensors=tensors, metadata=metadata)


def check_readable(path: Path) -> None:
    """Refuses what is no file, or cannot be read.

    Raises:
        InputError: it is a folder, a pipe or a device.
        MachineError: it cannot be read here.
    """
    if path.exists() and not path.is_file():
        inside = sorted(path.glob("*.safetensors")) if path.is_dir() else []
        raise InputError(f"{path} is no file: name the checkpoint itself{f', such as {inside[0]}' if inside else ''}.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise MachineError(
            f"{path} cannot be read on this machine ({error.strerror}): name another file, or put it where "
            "every machine sees it."
        ) from None


def _beginning(path: Path) -> bytes:
    check_readable(path)
    with path.open("rb") as file:
        return file.read(64)


def _check_ours(start: bytes, path: Path) -> None:
    """Refuses files of other kinds by their beginnings.

    Raises:
        InputError: it is one of them, or empty.
    """
    if not start:
        raise InputError(f"{path} is empty: download it again, as published.")
    for mark, what in FOREIGN.items():
        if start.lstrip(b" \r\n\t").startswith(mark):
            raise InputError(f"{path} is {what}.")


def _check_mappable(path: Path) -> None:
    """Refuses a file that this machine cannot map into memory, whose pages are read when they are used.

    Raises:
        MachineError: it is larger than the machine's memory.
    """
    try:
        with path.open("rb") as file:
            mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE).close()
    except (OSError, ValueError):
        size = path.stat().st_size / 2**30
        raise MachineError(
            f"{path} has {size:.1f} GiB, more than this machine can map into memory: save its state_dict alone, or "
            "take a larger machine."
        ) from None


def _of_zip(path: Path) -> object:
    """The content of a file of torch 1.6 and later, its numbers mapped into memory, not read.

    Raises:
        InputError: it is cut off, compressed, a program, or holds code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries, path)
            index = next((each for each in entries if each.filename.endswith("/data.pkl")), None)
            if index is None:
                raise InputError(
                    f"{path} is a zip archive without tensors of torch: unpack it, and name the checkpoint."
                )
            if index.file_size > LARGEST_INDEX:
                raise InputError(f"{path} describes its tensors in {index.file_size:,} bytes, more than any network's.")
            named = _named_objects(io.BytesIO(archive.read(index)), 1, path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, OSError):
        raise InputError(f"{path} is cut off or damaged, its table of content is missing: download it again.") from None
    return _loaded(path, named, mapped=True)


def _check_entries(entries: list[zipfile.ZipInfo], path: Path) -> None:
    if any("/code/" in each.filename or each.filename.endswith("/constants.pkl") for each in entries):
        raise InputError(f"{path} is a program of TorchScript, which holds code: give the weights alone (state_dict).")
    if any(each.compress_type != zipfile.ZIP_STORED for each in entries):
        raise InputError(
            f"{path} is a compressed archive, which torch does not write: unpack it, or download it again."
        )


def _of_safetensors(path: Path) -> tuple[object, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise InputError(
            f"{path} is cut off or damaged ({str(error).rstrip('.')}): download it again, as published."
        ) from None


def _of_old_file(path: Path) -> object:
    """The content of a file of torch before 1.6, in memory.

    Raises:
        InputError: it is too large, damaged, or holds code.
    """
    size = path.stat().st_size
    if size > LARGEST_OLD_FILE:
        raise InputError(
            f"{path} has {size / 2**30:.0f} GiB and is in no format of which single tensors can be read: save its "
            "state_dict alone, with torch.save of torch 1.6 or later."
        )
    with path.open("rb") as file:
        named = _named_objects(file, OLD_PICKLES, path)
    return _loaded(path, named, mapped=False)


def _named_objects(stream: IO[bytes], num_pickles: int, path: Path) -> set[str]:
    try:
        return named_objects(stream, num_pickles)
    except TooDeepError:
        raise InputError(f"{path} holds tuples in tuples without end: give a checkpoint, as published.") from None


def _loaded(path: Path, named: set[str], *, mapped: bool) -> object:
    """What torch reads of a file with `weights_only`, which looks up no name but those of tensors and stand-ins.

    Raises:
        InputError: it is damaged, or it names anything else.
    """
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([*stand_ins(named)]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except BROKEN as error:
        named_there = str(error).partition("GLOBAL ")[2].split()
        if isinstance(error, pickle.UnpicklingError) and named_there:
            raise InputError(
                f"{path} names {named_there[0].rstrip('.')}, which is code and is not run: only tensors, numbers and "
                "texts are read; save the state_dict alone."
            ) from None
    raise InputError(f"{path} is no torch checkpoint of tensors alone: download the file again, as published.")


def _texts(content: object) -> dict[str, str]:
    """The texts of a mapping of torch, and of its mapping `freelunch`, by their names."""
    if not isinstance(content, dict):
        return {}
    own = content.get("freelunch")
    items = (*content.items(), *(own.items() if isinstance(own, dict) else ()))
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, str)}


def _flat(content: object, path: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its dotted name, in the order of the file.

    Raises:
        InputError: there are more values, or deeper mappings, than a checkpoint has.
    """
    waiting: list[tuple[tuple[str, ...], object]] = [((), content)]
    num_seen = 0
    while waiting:
        place, value = waiting.pop()
        num_seen += 1
        if num_seen > MOST_VALUES or len(place) > DEEPEST:
            raise InputError(f"{path} holds mappings in mappings without end: give a checkpoint, as published.")
        if isinstance(value, Tensor):
            yield ".".join(place), value.detach()
        inner = _inner(value)
        waiting += [((*place, name), each) for name, each in reversed(inner)]


def _inner(value: object) -> list[tuple[str, object]]:
    """What a mapping or a list holds that can hold tensors."""
    if isinstance(value, list | tuple):
        items = [(str(index), each) for index, each in enumerate(value)]
    elif isinstance(value, dict | OrderedDict):
        items = [(str(name), each) for name, each in value.items() if isinstance(name, str | int)]
    else:
        return []
    holds = (Tensor, dict, list, tuple)
    return [(name, each) for name, each in items if isinstance(each, holds) and len(name) <= LONGEST_KEY]
