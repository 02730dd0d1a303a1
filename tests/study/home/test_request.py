import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from study.cli import main
from study.home.request import (
    Request,
    absolute_name,
    has_been_run,
    known_studies,
    latest_request,
    save_request,
    saved_problems,
    saved_requests,
)
from trainers.stage import InputError, MachineError

REQUEST = Request(
    study="table3",
    scale="demo",
    dataset="mine",
    seeds=3,
    settings={"temperature": "0.1"},
    rows=("head", "a b"),
    weights=("w",),
)


def test_what_was_asked_is_remembered_as_the_latest(tmp_path: Path):
    folder = save_request(REQUEST, tmp_path, {"abc": "failed."}, "freelunch run table3 --local")
    assert latest_request("table3", tmp_path) == REQUEST
    assert saved_problems(REQUEST, tmp_path) == {"abc": "failed."}
    assert known_studies(tmp_path) == ["table3"]
    assert folder.is_dir()
    assert saved_problems(Request(study="other"), tmp_path) == {}


def test_the_command_asks_for_the_same_again():
    command = REQUEST.command("plan", program="freelunch --home '/a b'")
    assert command == (
        "freelunch --home '/a b' plan table3 --scale demo --dataset mine --weights w --seeds 3 "
        "--set temperature=0.1 --row head --row 'a b'"
    )
    assert Request(study="table3").command("run", "--local") == "freelunch run table3 --local"


def test_a_transfer_to_several_datasets_is_kept_and_asked_for_again(tmp_path: Path):
    asked = Request(study="fig3", dataset="a", pretrain_on="a", beside=("b", "c"))
    assert asked.command("run") == "freelunch run fig3 --pretrain-on a --dataset a --dataset b --dataset c"
    save_request(asked, tmp_path, {}, "freelunch run fig3")
    assert latest_request("fig3", tmp_path) == asked
    assert asked.each_dataset() == (
        Request(study="fig3", dataset="a"),
        Request(study="fig3", dataset="b", pretrain_on="a"),
        Request(study="fig3", dataset="c", pretrain_on="a"),
    )
    alone = {each.folder(tmp_path) for each in asked.each_dataset()}
    assert len({*alone, asked.folder(tmp_path), Request(study="fig3", dataset="b").folder(tmp_path)}) == 5


def test_a_request_of_a_version_without_transfers_is_read(tmp_path: Path):
    folder = save_request(Request(study="table3", dataset="a"), tmp_path, {}, "")
    for path in (folder / "request.json", folder.parent / "request.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({n: value for n, value in record.items() if n not in ("pretrain_on", "beside")}))
    assert latest_request("table3", tmp_path) == Request(study="table3", dataset="a")
    assert saved_requests("table3", tmp_path) == [Request(study="table3", dataset="a")]


def test_the_command_is_one_the_command_line_understands(tmp_path: Path):
    result = CliRunner().invoke(main, ["--home", str(tmp_path), *shlex.split(REQUEST.command("plan"))[1:]])
    assert "no dataset named 'mine'" in result.stderr


@pytest.mark.parametrize(
    "other",
    [
        Request(study="table3", scale="demo", dataset="mine"),
        Request(study="table3", scale="demo", dataset="mine", settings={"temperature": "0.2"}),
        Request(study="table3", scale="full", dataset="mine", settings={"temperature": "0.1"}),
        Request(study="table3", scale="demo", settings={"temperature": "0.1"}),
        replace(REQUEST, pretrain_on="theirs"),
        replace(REQUEST, beside=("theirs",)),
        Request(study="table3", scale="demo", dataset="mine", settings={"temperature": "0.1"}, weights=("moco-v2",)),
    ],
)
def test_other_conditions_and_settings_are_another_report(other: Request, tmp_path: Path):
    assert other.folder(tmp_path) != REQUEST.folder(tmp_path)


def test_no_setting_leads_out_of_the_home(tmp_path: Path):
    request = Request(study="table3", settings={"split": "../../../x"})
    assert request.folder(tmp_path).parent == tmp_path / "studies" / "table3"


def test_a_study_that_was_not_run_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="study 'table3' has not been run in"):
        latest_request("table3", tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"study": "table3", "rows": [], "weights": [], "other": 1}'])
def test_a_damaged_note_is_one_sentence(tmp_path: Path, content: str):
    save_request(REQUEST, tmp_path, {}, "freelunch run table3")
    (tmp_path / "studies" / "table3" / "request.json").write_text(content)
    with pytest.raises(MachineError, match=r"request\.json is damaged: remove it"):
        latest_request("table3", tmp_path)


def test_a_study_of_ones_own_is_asked_by_its_whole_path_and_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    request = Request(study=absolute_name("my study.py:mine"))
    assert request.study == f"{tmp_path}/my study.py:mine"
    assert request.command("run") == f"freelunch run '{tmp_path}/my study.py:mine'"
    assert not has_been_run("mine", tmp_path)
    save_request(request, tmp_path, {}, "freelunch run")
    assert has_been_run("mine", tmp_path)
    assert latest_request("mine", tmp_path) == request
    assert absolute_name("table3") == "table3"


def test_every_report_of_a_study_has_the_latest_request_for_it(tmp_path: Path):
    other = Request(study="table3", dataset="other")
    for request in (REQUEST, other, replace(other, seeds=4)):
        save_request(request, tmp_path, {}, "freelunch run")
    assert saved_requests("table3", tmp_path) == sorted(
        [REQUEST, replace(other, seeds=4)], key=lambda request: request.folder(tmp_path)
    )


@pytest.mark.parametrize("content", ["", "\0\0\0", '{"study": "tin', "[]", "7", '{"study": 7}', '{"seeds": "many"}'])
def test_a_damaged_request_is_one_sentence_and_what_is_only_remembered_is_forgotten(tmp_path: Path, content: str):
    request = Request(study="tiny")
    folder = save_request(request, tmp_path, {"key": "a sentence"}, "freelunch run tiny")
    for path in (folder / "request.json", folder / "problems.json", tmp_path / "studies" / "tiny" / "request.json"):
        path.write_text(content)
    with pytest.raises(MachineError, match=r"request\.json is damaged: remove it"):
        latest_request("tiny", tmp_path)
    assert saved_problems(request, tmp_path).keys() <= {"study", "seeds"}
    save_request(request, tmp_path, {}, "freelunch run tiny")
    assert latest_request("tiny", tmp_path) == request
