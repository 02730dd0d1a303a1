"""Journal of trials: what a search has on a network file system."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from study.home.runs import register_run
from study.search.home_storage import move_to_journal, storage_url
from study.search.storage import read_trials
from tests.study.search.stub_search import SEARCH, Conditions, on_nfs, open_study, remembered, searched
from trainers.stage import InputError, MachineError

NUM_TRIALS = 4


def test_a_search_on_a_network_file_system_has_the_trials_that_it_has_on_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, on_disk = searched(tmp_path / "disk", NUM_TRIALS)
    home = tmp_path / "shared"
    on_nfs(monkeypatch, home)
    searched(home, 2)
    assert not list(home.glob("optuna.db*"))
    _, on_network = searched(home, NUM_TRIALS)
    assert remembered(on_network) == remembered(on_disk)
    monkeypatch.undo()  # a machine that has the folder on its own disk uses the journal, too
    assert remembered(read_trials("stub", storage_url(home))) == remembered(on_disk)


def test_trials_move_from_a_database_to_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    searched(tmp_path, 2)
    with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
        optuna_study.ask()
    known = remembered(read_trials("stub", storage_url(tmp_path)))
    assert [trial[1] for trial in known][2:] == ["RUNNING"]
    move_to_journal(tmp_path)
    on_nfs(monkeypatch, tmp_path)
    assert remembered(read_trials("stub", storage_url(tmp_path))) == known
    with (
        register_run(tmp_path, "stub", "freelunch search stub --trials 3"),
        pytest.raises(InputError, match=r"nfs4 at .* searches in it: wait for it, or `freelunch stop stub`"),
    ):
        move_to_journal(tmp_path)
    (tmp_path / "optuna.journal.0123.part").write_text("of a process that was killed while it copied")
    with caplog.at_level(logging.WARNING):
        move_to_journal(tmp_path)
    assert "is kept as optuna.db.moved" in caplog.messages[-1]
    assert {path.name for path in tmp_path.glob("optuna.*")} == {"optuna.db.moved", "optuna.journal"}
    assert remembered(read_trials("stub", storage_url(tmp_path))) == known


@pytest.mark.parametrize("left", ['{"op_code":8,"worker', "\0\0\0\0", "\0\0\0\0\n", "[1]\n", "\n"])
def test_half_an_entry_of_a_killed_process_is_cut_off(tmp_path: Path, left: str):
    journal = tmp_path / "optuna.journal"
    journal.touch()
    searched(tmp_path, 2)
    known = remembered(read_trials("stub", storage_url(tmp_path)))
    with journal.open("a") as file:
        file.write(left)
    _, trials = searched(tmp_path, NUM_TRIALS)
    assert remembered(trials[:2]) == known
    assert remembered(read_trials("stub", storage_url(tmp_path))) == remembered(trials)


def test_a_journal_that_is_damaged_in_its_middle_is_told_in_a_sentence(tmp_path: Path):
    journal = tmp_path / "optuna.journal"
    journal.touch()
    searched(tmp_path, 1)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], "nonsense\n", *lines[1:]]))
    for use in (lambda: searched(tmp_path, 2), lambda: read_trials("stub", storage_url(tmp_path))):
        with pytest.raises(MachineError, match=r"journal:.*is damaged.*move the file away and search again"):
            use()


def test_drivers_that_add_to_one_journal_at_once_lose_nothing(tmp_path: Path):
    (tmp_path / "optuna.journal").touch()
    space = SEARCH.bind(Conditions())

    def ask(_: int) -> int:
        with open_study(tmp_path, space) as optuna_study:
            return optuna_study.ask().number

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(ask, range(8)))
    assert len(set(numbers)) == 8
    assert set(numbers) <= {trial.number for trial in read_trials("stub", storage_url(tmp_path))}
