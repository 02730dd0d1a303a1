"""Budgets: a run ends in order when its GPU-hours or its disk are used up, and the same command goes on."""

from pathlib import Path

import pytest

from study.cli.budget import Budget, BudgetWatch, parse_budget
from study.core.graph import key
from study.core.plan import Sizes
from study.core.store import Store
from study.execution.events import Started
from study.home.interrupts import RunEnded
from tests.study.core.test_plan import Clip, publish
from tests.study.tiny_cli import called
from tests.study.tiny_home import LOCAL, copy_of, done, refused
from trainers.stage import InputError, Progress

CLIPS = tuple(Clip(name=str(number)) for number in range(3))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch(home: Path, text: str, clock: Clock, gpus: float = 1) -> BudgetWatch:
    store = Store(home)
    sizes = Sizes(store.manifests())
    return BudgetWatch(budget=parse_budget(text), store=store, sizes=sizes, gpus_of=lambda stage: gpus, clock=clock)


def start(watched: BudgetWatch, stage: Clip) -> None:
    watched.on_started(stage, Started(key=key(stage), resumed=False))


def test_gpu_hours_of_all_stages_at_work_and_finished_count(tmp_path: Path):
    clock = Clock()
    watched = watch(tmp_path, "3gpuh", clock, gpus=2)
    start(watched, CLIPS[0])
    clock.now = 3600
    publish(Store(tmp_path), CLIPS[0])
    watched.on_finished(CLIPS[0], 3600.0)
    clock.now = 2 * 3600  # nothing is at work
    start(watched, CLIPS[1])
    clock.now += 1799
    watched.on_progress(CLIPS[1], Progress(fraction=0.9))
    clock.now += 1
    with pytest.raises(RunEnded, match="--budget 3gpuh is used up"):
        watched.on_progress(CLIPS[1], Progress(fraction=0.91))


def test_the_stage_that_does_not_fit_into_the_disk_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Clip, "expected_bytes", lambda clip: 4e8)
    watched = watch(tmp_path, "1GB", Clock())
    start(watched, CLIPS[0])
    start(watched, CLIPS[1])
    with pytest.raises(RunEnded, match=r"--budget 1GB does not hold the next stage: 0 kB are used, .* about 1\.2 GB$"):
        start(watched, CLIPS[2])


def test_a_budget_in_which_no_stage_fits_says_that_it_can_never_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Clip, "expected_bytes", lambda clip: 2e9)
    with pytest.raises(RunEnded, match=r"takes about 2\.0 GB, so that a larger one is needed to go on$"):
        start(watch(tmp_path, "1GB", Clock()), CLIPS[0])


@pytest.mark.parametrize("text", ["40", "40h", "0GB", "-1GB", "1e3GB", "GB", "४०gpuh"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises(InputError, match="is no amount: give GPU-hours or disk, such as 40gpuh or 200GB"):
        parse_budget(text)


def test_amounts_are_gpu_seconds_or_bytes():
    assert parse_budget("1.5gpuh") == Budget("1.5gpuh", 5400, "gpuh")
    assert parse_budget("200 GB").amount == 2e11


@pytest.mark.usefixtures("tiny_scale", "no_pictures")
def test_a_run_ends_with_a_sentence_and_the_same_command_goes_on(tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    asked = ("run", "table3", *LOCAL, "--row", "majority")
    refused(called(home, *asked, "--budget", "1gpuh", "--gpus-per-worker", "0"), 2, "no stage gets a GPU here")
    ended = called(home, *asked, "--budget", "0.0001GB")
    assert ended.exit_code == 130, ended.output
    assert "stopped: --budget 0.0001GB does not hold the next stage" in ended.stderr
    assert "nothing is lost. To go on, type: freelunch --home" in ended.stderr
    assert "--budget 0.0001GB" in ended.stderr.rpartition("type: ")[2]
    done(called(home, *asked, "--budget", "1GB"))
