"""Requests, saved in the home folder so that `status` and `report` answer for the last run."""

import hashlib
import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from study.home.commands import NAME
from study.home.files import damaged_file, note_ignored, read_json, write_json, write_text
from trainers.records import checked
from trainers.stage import InputError, MachineError

REQUEST = "request.json"
PROBLEMS = "problems.json"
COMMAND = "command.txt"
MOST_SEEDS = "most_seeds"
LARGEST_SEEDS = 1000
"""Greatest number of seeds that can be asked for."""
LONGEST_NAME_BYTES = 240


@dataclass(frozen=True, kw_only=True)
class Request:
    """Request for a study, by its name or as FILE.py:NAME, with everything that decides its trials.

    Attributes:
        study: its name.
        preset: name of the protocol.
        scale: name of the sizes.
        dataset: name of the dataset that is tested on; where None, the default of the scale.
        seeds: number of seeds.
        settings: hyperparameters that are fixed for all rows.
        rows: names of the rows wanted; all where empty.
        weights: names of public weights.
        pretrain_on: name of the dataset that encoders are pre-trained on; `dataset` where None.
        beside: names of further datasets of which the same is asked.
        stand_in: whether to train stand-ins where public weights are missing, and in place of the package's own.
    """

    study: str
    preset: str = "corrected"
    scale: str = "full"
    dataset: str | None = None
    seeds: int = 1
    settings: dict[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    pretrain_on: str | None = None
    beside: tuple[str, ...] = ()
    stand_in: bool = False

    @property
    def name(self) -> str:
        """The study's name in the home folder."""
        return self.study.rpartition(":")[2]

    def each_dataset(self) -> tuple["Request", ...]:
        """The requests for its datasets one by one; pre-training on the dataset itself is no transfer."""
        alone = (replace(self, dataset=name, beside=()) for name in (self.dataset, *self.beside))
        return tuple(replace(each, pretrain_on=None) if each.dataset == each.pretrain_on else each for each in alone)

    def command(self, verb: str, *extra: str, program: str = "freelunch") -> str:
        """The command line that asks for this."""
        options = [f"--scale {self.scale}"] if self.scale != Request.scale else []
        options += [f"--preset {self.preset}"] if self.preset != Request.preset else []
        options += [f"--pretrain-on {self.pretrain_on}"] if self.pretrain_on else []
        options += [f"--dataset {name}" for name in (self.dataset, *self.beside) if name]
        options += [f"--weights {shlex.quote(name)}" for name in self.weights]
        options += ["--stand-in"] if self.stand_in else []
        options += [f"--seeds {self.seeds}"] if self.seeds != Request.seeds else []
        options += [f"--set {shlex.quote(f'{name}={value}')}" for name, value in self.settings.items()]
        options += [f"--row {shlex.quote(name)}" for name in self.rows]
        return " ".join([program, verb, shlex.quote(self.study), *extra, *options])

    def folder(self, home: Path) -> Path:
        """Folder of this study's report; other settings are another report."""
        settings = [f"{name}={value}" for name, value in sorted(self.settings.items())]
        dataset = ["+".join((self.dataset or "default", *self.beside))]
        dataset += [f"pretrain_on={self.pretrain_on}"] if self.pretrain_on else []
        stand_in = ["stand-in"] if self.stand_in else []
        name = "-".join([self.preset, self.scale, *dataset, *sorted(self.weights), *stand_in, *settings])
        return home / "studies" / self.name / _shortened(re.sub(r"[^\w.=+-]", "_", name))


def _shortened(name: str) -> str:
    """A name of a folder, its end replaced by a digest where file systems would not take the whole."""
    if len(name.encode()) <= LONGEST_NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name.encode()[: LONGEST_NAME_BYTES - 20].decode(errors='ignore')}-{digest}"


def absolute_name(study: str) -> str:
    """The name by which a study is found from any folder: a file by its absolute path."""
    file, colon, variable = study.rpartition(":")
    return f"{os.path.realpath(file)}:{variable}" if colon else study


def save_request(request: Request, home: Path, problems: dict[str, str], command: str) -> Path:
    """Saves a request, why stages failed (a sentence by stage key) and its command, as the study's latest.

    Commands and sentences are saved without the home folder, to which other users may have another path.
    """
    folder = request.folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    most = max(request.seeds, most_seeds(request, home))
    write_json(folder / REQUEST, {**asdict(request), MOST_SEEDS: most})
    write_json(folder / PROBLEMS, problems)
    write_text(home / "studies" / request.name / COMMAND, command)
    write_json(home / "studies" / request.name / REQUEST, asdict(request))
    return folder


def latest_request(study: str, home: Path) -> Request:
    """Latest request for a study.

    Raises:
        InputError: it has not been run in this home.
    """
    path = home / "studies" / study / REQUEST
    if not path.exists():
        raise never_run(f"study {study!r}", home, "run", study)
    return _request(path)


def never_run(what: str, home: Path, verb: str, asked: str) -> InputError:
    """The error of a study or a search that has not been run in a home.

    Args:
        what: the study or the search, in words.
        home: the home folder.
        verb: of the command that runs it.
        asked: its name in that command, FILE.py:NAME for one of a user's own.
    """
    return InputError(f"{what} has not been run in {home}: `{NAME} {verb} {shlex.quote(asked)}` runs it.")


def saved_problems(request: Request, home: Path) -> dict[str, str]:
    """Sentences on the stages that failed when the study was last run, by stage key; none where they are damaged."""
    found = _remembered(request.folder(home) / PROBLEMS)
    return {stage_key: sentence for stage_key, sentence in found.items() if isinstance(sentence, str)}


def latest_command(study: str, home: Path) -> str:
    """Latest command that ran a study; the one that its request makes where it is missing or damaged."""
    path = home / "studies" / study / COMMAND
    with suppress(OSError, ValueError):
        if (command := path.read_text(encoding="utf-8")).isprintable() and command.startswith(f"{NAME} "):
            return command
    return latest_request(study, home).command("run")


def most_seeds(request: Request, home: Path) -> int:
    """Largest number of seeds of all requests for this study with these settings; 1 where it is not known."""
    most = _remembered(request.folder(home) / REQUEST).get(MOST_SEEDS, 1)
    return most if type(most) is int and 1 <= most <= LARGEST_SEEDS else 1


def has_been_run(study: str, home: Path) -> bool:
    """Whether a study was run in a home, by the name it has there."""
    return (home / "studies" / study / REQUEST).exists()


def saved_requests(study: str, home: Path) -> list[Request]:
    """The latest request of every report of a study: each with its own settings, scale or dataset."""
    return [_request(path) for path in sorted((home / "studies" / study).glob(f"*/{REQUEST}"))]


def known_studies(home: Path) -> list[str]:
    """The studies that have been run in a home."""
    return sorted(path.parent.name for path in (home / "studies").glob(f"*/{REQUEST}"))


def request_from_record(record: Mapping[str, Any]) -> Request:
    """Request of a saved record.

    Raises:
        TypeError, KeyError: the record is of no request.
    """
    texts_of = {name: tuple(record[name]) for name in ("rows", "weights")}
    texts_of["beside"] = tuple(record.get("beside", ()))  # requests of earlier versions have none
    request = checked(Request(**{**record, **texts_of}))
    if not 1 <= request.seeds <= LARGEST_SEEDS:
        raise TypeError("nobody can ask for so many seeds")
    return request


def _remembered(path: Path) -> dict[str, Any]:
    """The object in a file that only remembers something: empty, with a note, where it is damaged."""
    try:
        return read_json(path) if path.exists() else {}
    except (OSError, MachineError):
        note_ignored(path)
        return {}


def _request(path: Path) -> Request:
    try:
        return request_from_record({name: value for name, value in read_json(path).items() if name != MOST_SEEDS})
    except (TypeError, KeyError):
        raise damaged_file(path) from None
