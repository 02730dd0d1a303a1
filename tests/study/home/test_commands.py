import shlex
from pathlib import Path

import pytest

from study.home.commands import expand_commands, program, with_home


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FREELUNCH_HOME", raising=False)


@pytest.mark.parametrize("home", [".freelunch", "./.freelunch"])
def test_a_home_that_is_found_anyway_is_left_out(home: str, tmp_path: Path):
    assert program(Path(home)) == program(tmp_path / home) == "freelunch"


def test_another_home_is_named_as_a_shell_reads_it(tmp_path: Path):
    assert program(Path("/a b")) == "freelunch --home '/a b'"
    assert shlex.split(program(tmp_path / "it's")) == ["freelunch", "--home", f"{tmp_path}/it's"]


def test_the_environment_says_which_home_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FREELUNCH_HOME", "/data/home")
    assert program(Path("/data/home")) == "freelunch"
    assert program(Path(".freelunch")) == "freelunch --home .freelunch"


def test_a_command_that_was_kept_is_typed_for_the_home_it_is_read_from():
    assert with_home("freelunch run 'freelunch x'", Path("/h")) == "freelunch --home /h run 'freelunch x'"


def test_commands_in_backticks_and_brackets_get_the_home_and_other_words_do_not():
    sentence = "freelunch has it: `freelunch logs abc` (freelunch stop x), `freelunch`."
    assert expand_commands(sentence, Path("/h")) == (
        "freelunch has it: `freelunch --home /h logs abc` (freelunch --home /h stop x), `freelunch`."
    )
    assert expand_commands(sentence, Path(".freelunch")) == sentence
