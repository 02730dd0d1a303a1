"""Public weights at the command line: registered, downloaded by name, and looked up by studies."""

from pathlib import Path
from typing import Any

from study.home.sharing import check_shared
from trainers.pretrained import registry
from trainers.pretrained.downloads import download, is_source, name_of
from trainers.pretrained.registry import Asked, RegisteredWeights
from trainers.runtime.registry import names
from trainers.stage import InputError

FOLDER, FILES = "weights", "files"
"""Of a home: the records, and in it the files that were downloaded."""
OPTIONS = {"title": "origin", "licence": "licence", "kind": "kind"}
"""Options for what a file's metadata may say, by the fields of a record."""


def find_weights(home: Path, name: str) -> RegisteredWeights:
    """Weights by the name that they were added under, or by one to download, which is done once.

    Raises:
        InputError: there are none of this name, or they have changed.
        MachineError: they cannot be downloaded or read.
    """
    if not is_source(name):
        return registry.load(home / FOLDER, name)
    registered = registered_as(home, name)
    return registry.load(home / FOLDER, registered) if registered else add_weights(home, name, None, Asked())


def registered_as(home: Path, source: str) -> str | None:
    """The name under which weights that are downloaded by name are registered; None where they are not."""
    records = (registry.recorded(home / FOLDER, each) for each in names(home / FOLDER))
    return next((each.name for each in records if each.source == source), None)


def add_weights(home: Path, file: str, name: str | None, asked: Asked) -> RegisteredWeights:
    """Registers a file, or weights that are downloaded by name; a downloaded file is kept in the home folder.

    Args:
        home: the home folder.
        file: its path, or a name to download by.
        name: of the weights; for downloaded ones, made of the name that they are downloaded by where None.
        asked: what the command says of them; of downloaded ones, the publisher says the rest.

    Raises:
        InputError: the file is no checkpoint that can be used, or has no name.
        MachineError: it cannot be downloaded or read.
    """
    check_shared(home, writing=True)
    folder = home / FOLDER
    if not is_source(file) or Path(file).exists():
        if name is None:
            raise InputError(f"--name is missing: say what to call {file}.")
        return registry.register(folder, name, Path(file), asked)
    found = download(file, folder / FILES)
    said = Asked(
        architecture=asked.architecture or found.architecture,
        kind=asked.kind or found.kind,
        prefix=asked.prefix,
        licence=asked.licence or found.licence,
        origin=asked.origin,
        source=file,
        title=found.title,
    )
    return registry.register(folder, name or name_of(file), found.path, said)


def weights_record(weights: RegisteredWeights) -> dict[str, Any]:
    """Everything that is known of weights, and what has become of their file."""
    return {**vars(weights), "fault": registry.fault_of_file(weights)}


def found_in(weights: RegisteredWeights) -> list[str]:
    """Lines on what of a file is used, and on every tensor that is not."""
    head = "with its projection head" if weights.has_head else "without a projection head that ours can take over"
    where = f"under {weights.prefix}" if weights.prefix else "without a prefix"
    lines = [f"{weights.kind}; {weights.num_used} tensors {where}, {head}"]
    lines += [f"the file holds another network under {other}: --prefix chooses it" for other in weights.others]
    lines += [f"left out: {', '.join(weights.left_out)}"] if weights.left_out else []
    lines += [f"licence: {weights.licence}" if weights.licence else "no licence noted: --licence notes it"]
    said = [OPTIONS[name] for name in weights.from_metadata]
    options = ", ".join(f"--{option}" for option in said)
    return lines + (
        [f"{', '.join(said)}: as the file's metadata says, unless {options} says otherwise"] if said else []
    )
