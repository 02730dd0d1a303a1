"""Runs that are interrupted, killed or stopped from another terminal, and the runs that go on with them."""

import json
import signal
from pathlib import Path

import pytest

from study.core.store import Store
from tests.study.tiny_cli import called
from tests.study.tiny_home import LOCAL, PATIENCE_SECONDS, copy_of, done, start, tiny_settings, wait_until

pytestmark = [pytest.mark.usefixtures("tiny_scale", "no_pictures"), pytest.mark.kills]

LONG = ("run", "table3", *LOCAL, "--row", "head", "--set", "student_epochs=25")
MOST_ATTEMPTS = 5


@pytest.fixture(scope="module")
def begun(table3_home: Path) -> Path:
    """A home in which everything is finished that a longer student needs."""
    return table3_home


@pytest.fixture(scope="module")
def undisturbed(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one row with a longer student was run from the first stage to the last."""
    home = copy_of(begun, tmp_path_factory.mktemp("undisturbed"))
    with tiny_settings():
        done(called(home, *LONG))
    return home


@pytest.fixture(scope="module")
def student(begun: Path, undisturbed: Path) -> str:
    """The key of the longer student."""
    known = {manifest.key for manifest in Store(begun).manifests()}
    (found,) = (
        manifest.key
        for manifest in Store(undisturbed).manifests()
        if manifest.title == "Pretrain DistilledMoCo" and manifest.key not in known
    )
    return found


def contents(home: Path) -> dict[str, dict[str, tuple[int, str]]]:
    """Size and digest of every file of every artifact but its log, by key."""
    return {
        manifest.key: {name: known for name, known in manifest.files.items() if name != "log.txt"}
        for manifest in Store(home).manifests()
    }


def interrupted(begun: Path, folder: Path, student: str, number: signal.Signals) -> tuple[Path, int, str]:
    """A home whose run a signal ended while the student was trained; the run's exit code, and what it said of it."""
    for attempt in range(MOST_ATTEMPTS):
        folder.mkdir(exist_ok=True)
        home = copy_of(begun, folder / str(attempt))
        checkpoint = home / "unfinished" / student / "checkpoint.pt"
        before = changed(checkpoint)
        process = start(home, *LONG)
        wait_until(lambda: changed(checkpoint) != before, process)  # noqa: B023 (called at once)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        if Store(home).find(student) is None:
            return home, process.returncode, errors
    raise AssertionError(f"the student was trained before the signal came, {MOST_ATTEMPTS} times")


def changed(path: Path) -> int:
    """The time at which a file changed last; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_a_students_run_that_is_interrupted_in_one_way_after_the_other_goes_on_to_bit_identical_results(
    begun: Path, undisturbed: Path, student: str, tmp_path: Path
):
    home = begun
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        home, exit_code, errors = interrupted(home, tmp_path / number.name, student, number)
        options = "--threads 1 --no-mlflow --scale tiny --dataset tiny --set student_epochs=25 --row head"
        command = f"freelunch --home {home} run table3 --local {options}"
        if number == signal.SIGKILL:
            assert exit_code == -signal.SIGKILL
        else:
            assert exit_code == 130
            assert errors.strip() == f"interrupted; nothing is lost. To go on, type: {command}"
        status = json.loads(called(home, "status", "--json").output)["table3"]
        assert status["trials"][0]["state"] == "interrupted"
        assert f"next: {command}" in called(home, "status").output
    result = done(called(home, *command.split()[3:]))
    assert "Pretrain DistilledMoCo" in result.output
    assert "goes on where it was interrupted" in result.output
    assert contents(home) == contents(undisturbed)


def test_a_running_study_is_seen_and_stopped_from_another_terminal(begun: Path, tmp_path: Path):
    home = copy_of(begun, tmp_path)
    process = start(home, "run", "table3", *LOCAL, "--row", "head", "--set", "student_epochs=5000")
    wait_until(lambda: list(home.glob("unfinished/*/checkpoint.pt")), process)
    status = called(home, "status", "table3")
    assert f"as process {process.pid} on" in status.output
    assert "next:" not in status.output
    assert json.loads(called(home, "status", "--json").output)["table3"]["drivers"][0]["pid"] == process.pid
    stopped = called(home, "stop", "table3")
    assert stopped.exit_code == 0
    assert f"stopped process {process.pid}" in stopped.output
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "interrupted; nothing is lost" in errors
    assert stopped.output.strip().splitlines()[-1].startswith("next: freelunch --home")
    assert "next: freelunch" in called(home, "status", "table3").output
