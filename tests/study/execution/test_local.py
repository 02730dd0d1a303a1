import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import pytest

from study.core.disk import DiskFullError
from study.core.graph import key
from study.core.manifest import LOG
from study.core.store import Store
from study.execution.events import Failure, StageStopped
from tests.study import steps
from tests.study.execution.stub_stages import Listener, Step, chain, compute
from trainers.stage import Progress, Stage


def start_process(home: Path, diary: Path, pause_seconds: float) -> "subprocess.Popen[bytes]":
    """Computes `chain` in a process of its own."""
    code = (
        "import sys; from pathlib import Path; from tests.study.execution.stub_stages import chain, compute;"
        "outcome = compute(Path(sys.argv[1]), chain(Path(sys.argv[2]), float(sys.argv[3])));"
        "sys.exit(len(outcome.failures))"
    )
    return subprocess.Popen([sys.executable, "-c", code, home, diary, str(pause_seconds)])


def wait_for(diary: Path, line: str) -> None:
    deadline = time.monotonic() + 120
    while not diary.exists() or line not in diary.read_text().split():
        assert time.monotonic() < deadline, f"{line} was never reached"
        time.sleep(0.01)


def test_stages_are_computed_in_order_each_after_its_inputs(tmp_path: Path):
    listener = Listener()
    outcome = compute(tmp_path, chain(), observer=listener)
    assert listener.heard == ["first started", "first finished", "second started", "second finished"]
    assert outcome.computed == [key(Step(name="first")), key(chain())]
    assert not outcome.failures
    assert Store(tmp_path).check(key(chain()))


def test_what_is_finished_is_not_computed_again(tmp_path: Path):
    compute(tmp_path, chain())
    listener = Listener()
    assert compute(tmp_path, chain(), observer=listener).computed == []
    assert listener.heard == []


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(tmp_path: Path):
    listener = Listener()
    full = Step(name="full", raises="ENOSPC")
    with pytest.raises(DiskFullError, match="free some space and type the same command again"):
        compute(tmp_path, Step(name="first"), full, Step(name="later"), observer=listener)
    assert listener.heard == ["first started", "first finished", "full started"]
    assert Store(tmp_path).find(key(Step(name="first")))
    assert Store(tmp_path).unfinished(key(full))


@pytest.mark.parametrize(
    ("raises", "sentence", "fault"),
    [
        ("InputError", "the moon is full: wait.", "input"),
        ("ValueError", "ValueError: first line", "program"),
        ("exit", "bad ends its process (SystemExit: 3): let it return, or raise an Exception.", "input"),
        (
            "BaseException",
            "bad ends its process (BaseException: of its own): let it return, or raise an Exception.",
            "input",
        ),
    ],
)
def test_a_stage_that_raises_fails_alone_and_blocks_what_needs_it(
    tmp_path: Path, raises: str, sentence: str, fault: Literal["input", "program"]
):
    bad = Step(name="bad", raises=raises)
    needing = Step(name="needing", needs=(bad, Step(name="good")))
    last = Step(name="last", needs=(needing,))
    listener = Listener()
    outcome = compute(tmp_path, last, Step(name="other"), observer=listener)
    assert [line for line in listener.heard if "started" not in line] == [
        "bad failed",
        "good finished",
        "needing blocked by bad",
        "last blocked by bad",
        "other finished",
    ]
    failure = Failure(sentence=sentence, fault=fault, key=key(bad), title="bad")
    assert outcome.failures == {key(bad): failure}
    last_lines = outcome.failures[key(bad)].last_lines
    assert last_lines[-2:] == (() if fault == "input" else ("ValueError: first line", "second line"))
    assert len(last_lines) == (0 if fault == "input" else 5)
    assert outcome.blocked == {key(needing): failure, key(last): failure}
    assert outcome.root_failure(key(last)) == outcome.root_failure(key(bad)) == failure
    assert outcome.root_failure(key(Step(name="other"))) is None


def test_what_a_stage_prints_and_its_traceback_are_in_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bad = Step(name="bad", raises="ValueError")
    compute(tmp_path, Step(name="good"), bad)
    store = Store(tmp_path)
    logs = [store.log(key(stage)) for stage in (Step(name="good"), bad)]
    assert all(logs)
    good_log, bad_log = (path.read_text() for path in logs if path)
    assert "good says hello" in good_log
    assert "Traceback" not in good_log
    assert "bad says hello" in bad_log
    assert "ValueError: first line" in bad_log
    assert capsys.readouterr() == ("", "")


def test_a_failed_stage_is_tried_again_and_goes_on_in_its_folder(tmp_path: Path):
    bad = Step(name="bad", raises="ValueError", steps=2, diary=tmp_path / "diary")
    compute(tmp_path, bad)
    listener = Listener()
    compute(tmp_path, bad, observer=listener)
    assert listener.heard == ["bad resumed", "bad failed"]
    assert (tmp_path / "diary").read_text().split() == ["bad0", "bad1"]


def test_a_damaged_input_fails_the_stage_that_reads_it(tmp_path: Path):
    compute(tmp_path, Step(name="first"))
    (tmp_path / "artifacts" / key(Step(name="first")) / "done").write_text("other")
    listener = Listener()
    compute(tmp_path, chain(), observer=listener)
    assert listener.heard == ["second started", "second failed"]
    assert listener.failures[0].fault == "machine"
    assert "is damaged" in listener.failures[0].sentence
    assert "freelunch remove" in listener.failures[0].sentence


def test_an_interrupt_ends_the_run_and_leaves_a_folder_to_go_on_from(tmp_path: Path):
    stage = Step(name="long", steps=2, raises="KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, stage)
    store = Store(tmp_path)
    folder = store.unfinished(key(stage))
    assert folder is not None
    assert (folder / "checkpoint").read_text() == "2"
    assert "KeyboardInterrupt" in (folder / LOG).read_text()
    assert not store.is_claimed(key(stage))


def test_a_killed_run_goes_on_from_its_checkpoint_and_repeats_nothing_finished(tmp_path: Path):
    home, diary = tmp_path / "home", tmp_path / "diary"
    process = start_process(home, diary, pause_seconds=0.3)
    wait_for(diary, "second2")
    process.kill()
    process.wait()
    assert Store(home).find(key(Step(name="first")))
    assert Store(home).find(key(chain())) is None
    listener = Listener()
    compute(home, chain(diary), observer=listener)
    assert listener.heard == ["second resumed", "second finished"]
    lines = diary.read_text().split()
    assert lines == ["first0", "second0", "second1", "second2", "second2", "second3", "second4", "second5"]
    assert Store(home).manifest(key(chain())).seconds > 0.3  # the killed run's share is counted


def test_a_stage_killed_before_it_was_published_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage = Step(name="long", steps=3, diary=tmp_path / "diary")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("study.core.store.manifest_of", killed)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, stage)
    assert Store(tmp_path).find(key(stage)) is None
    assert compute(tmp_path, stage).computed == [key(stage)]
    assert (tmp_path / "diary").read_text().split() == ["long0", "long1", "long2"]
    assert set(Store(tmp_path).manifest(key(stage)).files) == {"done", LOG}


def test_an_interrupt_once_a_stage_is_published_leaves_its_artifact_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stage, publish = Step(name="long"), Store.publish

    def interrupted(*arguments: Any) -> None:
        publish(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, stage)
    Store(tmp_path).check(key(stage))
    assert compute(tmp_path, stage).computed == []


def test_two_processes_on_one_plan_compute_each_stage_once(tmp_path: Path):
    home, diary = tmp_path / "home", tmp_path / "diary"
    process = start_process(home, diary, pause_seconds=0.3)
    wait_for(diary, "second0")
    listener = Listener()
    outcome = compute(home, chain(diary), observer=listener)
    assert process.wait() == 0
    assert listener.heard == ["second found"]
    assert outcome.computed == []
    assert diary.read_text().split() == ["first0", *(f"second{number}" for number in range(6))]


def test_an_observer_ends_a_run_in_the_middle_of_a_stage_which_has_not_failed(tmp_path: Path):
    class Stopping(Listener):
        def on_progress(self, stage: Stage, progress: Progress) -> None:
            raise StageStopped

    step, listener = Step(name="step", steps=3), Stopping()
    with pytest.raises(StageStopped):
        compute(tmp_path, step, observer=listener)
    assert "step failed" not in listener.heard
    assert Store(tmp_path).unfinished(key(step))


def test_a_stage_is_computed_without_an_aid_that_failed_or_is_damaged(tmp_path: Path):
    """Aids are no inputs: what they are for goes on without them."""
    store, diary = Store(tmp_path / "home"), tmp_path / "diary"
    whole, bad, torn = (
        steps.Step(name=name, does="raise" if name == "bad" else "", diary=diary) for name in ("whole", "bad", "torn")
    )
    compute(store.home, torn)
    (store.check(key(torn)) / "done").write_text("cut")
    outcome = compute(store.home, steps.Step(name="last", aided_by=(whole, bad, torn), diary=diary))
    assert [failure.title for failure in outcome.failures.values()] == ["bad"]
    assert outcome.blocked == {}
    assert [line for line in steps.lines(diary) if line[0] == "given"][-1] == ["given", "last", "aid0"]
    log = store.log(key(steps.Step(name="last")))
    assert log is not None
    assert "computed without its aid2: " in log.read_text()
