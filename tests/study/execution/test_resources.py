from dataclasses import dataclass
from pathlib import Path

import pytest

from study.execution.resources import Profile, read_profile, suggested
from trainers.stage import InputError, Resources, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Ingest(Stage):
    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 1.0


class Extract(Ingest):
    uses_gpu = True


class Train(Extract):
    trains_on_workers = True


class Small(Extract):
    @property
    def gpu_share(self) -> float:
        return 0.25


def written(folder: Path, text: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text(text)
    return path


def test_a_stage_is_granted_only_what_it_can_use():
    profile = Profile(default=Resources(workers=4, gpus=1, threads=8))
    assert profile.grant(Train()) == Resources(workers=4, gpus=1, threads=8)
    assert profile.grant(Extract()) == Resources(workers=1, gpus=1, threads=8)
    assert profile.grant(Ingest()) == Resources(workers=1, gpus=0, threads=8)


def test_a_file_grants_by_type_and_leaves_open_what_it_does_not_say(tmp_path: Path):
    path = written(tmp_path, "[default]\nthreads = 3\n[Train]\nworkers = 2\ngpus = 0.5\n")
    profile = read_profile(path, Profile(default=Resources(threads=1, gpus=1)))
    assert profile.grant(Train()) == Resources(workers=2, gpus=0.5, threads=3)
    assert profile.grant(Extract()) == Resources(gpus=1, threads=3)


def test_the_command_line_has_the_last_word(tmp_path: Path):
    profile = read_profile(written(tmp_path, "[Train]\nworkers = 2\nthreads = 6\n"), Profile())
    assert profile.having(workers=4, gpus=0).grant(Train()) == Resources(workers=4, threads=6)
    assert profile.having() == profile


def test_small_stages_share_a_gpu_unless_their_type_or_the_command_line_is_granted_its_own(tmp_path: Path):
    default = Profile(default=Resources(gpus=1, threads=8))
    assert default.grant(Small()) == Resources(gpus=0.25, threads=2)
    assert default.grant(Extract()) == Resources(gpus=1, threads=8)
    assert default.having(gpus=1).grant(Small()) == Resources(gpus=1, threads=8)
    assert default.having(threads=4).grant(Small()) == Resources(gpus=0.25, threads=1)
    own = read_profile(written(tmp_path, "[Small]\ngpus = 0.5\n"), default)
    assert own.grant(Small()) == Resources(gpus=0.5, threads=8)


def test_without_a_gpu_small_stages_are_granted_what_others_are():
    cores = Resources(threads=8)
    assert Profile(default=cores).grant(Small()) == cores
    half = Resources(gpus=0.5, threads=8)
    assert Profile(default=half).grant(Small()) == half


@pytest.mark.parametrize(
    ("cpus", "gpus", "granted"),
    [
        (1, 0, Resources(threads=1)),
        (2, 0, Resources(threads=1)),
        (64, 0, Resources(threads=16)),
        (16, 4, Resources(threads=4, gpus=1)),
        (2, 8, Resources(threads=1, gpus=1)),
    ],
)
def test_what_is_suggested_suits_the_nodes(cpus: int, gpus: int, granted: Resources):
    assert suggested(cpus, gpus).grant(Extract()) == granted


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("threads = 3", ("threads = 3", "outside a table")),
        ("[Train]\nworker = 3", ("[Train]", "no field 'worker'", "workers, threads, gpus")),
        ("[Train]\nworkers = 0", ("[Train] workers = 0", "from 1 to")),
        ("[Train]\nworkers = 1.5", ("[Train] workers = 1.5: give a whole number from 1 to",)),
        ("[Train]\nthreads = true", ("[Train] threads = True",)),
        ("[Train", ("is not TOML",)),
        ("[Stage]\nworkers = 2", ("[Stage] is no type of stage",)),
        ("[Trian]\nworkers = 2", ("[Trian] is no type of stage", "did you mean 'Train'?")),
        ("[Train]\ngpus = nan", ("[Train] gpus = nan",)),
        ("[Train]\ngpus = 1.5", ("[Train] gpus = 1.5", "whole GPUs")),
        ("[Train]\ngpus = 0.00001", ("[Train] gpus = 1e-05", "from 0.0001 on")),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_the_place(tmp_path: Path, text: str, parts: tuple[str, ...]):
    with pytest.raises(InputError) as raised:
        read_profile(written(tmp_path, text), Profile())
    assert all(part in str(raised.value) for part in ("cluster.toml", *parts))


def test_a_file_in_another_encoding_is_named(tmp_path: Path):
    file = tmp_path / "cluster.toml"
    file.write_bytes("# Gerät".encode("latin-1"))
    with pytest.raises(InputError, match=r"cluster\.toml is not UTF-8 \(byte 5\): save it as UTF-8\.$"):
        read_profile(file, Profile())


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.toml cannot be read"):
        read_profile(tmp_path / "nowhere.toml", Profile())


class Record(Train):
    granted_as = "Train"


def test_a_stage_is_granted_what_another_type_is_where_nothing_names_its_own(tmp_path: Path):
    """A recording whose conditions are not those of the trainings would not be replayed."""
    profile = read_profile(written(tmp_path, "[Train]\nworkers = 2\nthreads = 6\n"), Profile())
    assert profile.grant(Record()) == profile.grant(Train())
    assert Profile(default=Resources(threads=2)).grant(Record()) == Resources(threads=2)
