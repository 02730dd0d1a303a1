import io
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from study import Row, Study, Trial
from study.console import lines as console_lines
from study.console.lines import LinePrinter
from study.console.live import LiveDisplay, observer_for
from study.core.eta import Forecast
from study.core.graph import key
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Failure, Started
from study.home.text import duration, size
from trainers.stage import Progress, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Clip(Stage):
    name: str

    @property
    def title(self) -> str:
        return f"Clip {self.name}"

    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 10.0


@dataclass(frozen=True, kw_only=True)
class Train(Clip):
    clips: tuple[Clip, ...]


CLIPS = (Clip(name="01"), Clip(name="[02]"))


def recipe(conditions: None, *, seed: int, name: str = "x") -> Train:
    return Train(name=name, clips=CLIPS)


ROWS = tuple(Row(name=name, title=name, parameters={"name": name}) for name in ("slow", "fast"))
STUDY = Study(name="s", title="S", question="?", recipe=recipe, rows=ROWS)


def line_printer(home: Path, trials: tuple[Trial, ...]) -> tuple[LinePrinter, io.StringIO]:
    heard = io.StringIO()
    return LinePrinter(make_plan(trials, Store(home)), Console(file=heard, width=80), home), heard


def lines(heard: io.StringIO) -> list[str]:
    """What was said, without the clock."""
    return [line[10:] if line[2:3] == ":" else line for line in heard.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (4.25, "4.2 s"),
        (9.96, "10 s"),
        (40, "40 s"),
        (180, "3 min"),
        (9000, "2.5 h"),
        (6 * 86400, "6 days"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(40_400, "40 kB"), (3.24e6, "3.2 MB"), (59e6, "59 MB"), (1.5e9, "1.5 GB"), (359e9, "359 GB")],
)
def test_sizes_are_said_in_one_number(num_bytes: float, words: str):
    assert size(num_bytes) == words


def started(*, resumed: bool, where: str = "") -> Started:
    return Started(key="", resumed=resumed, where=where)


def test_a_short_stage_gets_one_line_and_its_own_row_is_not_repeated(tmp_path: Path):
    observer, heard = line_printer(tmp_path, standalone(CLIPS))
    with observer:
        for clip in CLIPS:
            observer.on_started(clip, started(resumed=False))
            observer.on_finished(clip, 0.5)
    assert lines(heard) == [
        f"Clip 01 {key(CLIPS[0])[:8]} done in 0.5 s; 1/2 stages, about 0.5 s left",
        f"Clip [02] {key(CLIPS[1])[:8]} done in 0.5 s; 2/2 stages",
    ]


def test_a_longer_stage_is_said_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console_lines, "SHORT_SECONDS", 0.01)
    observer, heard = line_printer(tmp_path, STUDY.trials(None))
    with observer:
        observer.on_started(CLIPS[0], started(resumed=False))
        deadline = time.monotonic() + 10
        while not heard.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lines(heard) == [f"Clip 01 {key(CLIPS[0])[:8]} (all rows) starts"]


def test_resuming_waiting_and_another_process_are_said(tmp_path: Path):
    trials = STUDY.trials(None)
    observer, heard = line_printer(tmp_path, trials)
    stage = trials[0].stage
    observer.on_started(stage, started(resumed=True))
    observer.on_waiting(stage, "another process is computing it")
    observer.on_started(stage, started(resumed=True, where="node-b"))
    observer.on_interrupted(stage, "node-b died")
    observer.on_found(stage)
    name = f"Clip slow {key(stage)[:8]} (slow)"
    assert lines(heard) == [
        f"{name} goes on where it was interrupted",
        f"{name} waits: another process is computing it",
        f"{name} goes on where it was interrupted, on node-b",
        f"{name} interrupted, will go on: node-b died",
        f"{name} done by another process; 1/4 stages, about 30 s left",
    ]


def test_a_failure_is_said_once_with_how_many_stages_it_takes_along(tmp_path: Path):
    observer, heard = line_printer(tmp_path, STUDY.trials(None))
    observer.on_failed(CLIPS[0], Failure(sentence="bad [thing]: mend it.", fault="program"))
    for trial in STUDY.trials(None):
        observer.on_blocked(trial.stage, Failure(sentence="bad [thing]: mend it.", fault="program"))
    assert lines(heard) == [
        f"Clip 01 {key(CLIPS[0])[:8]} (all rows) failed: bad [thing]: mend it.",
        "          2 stages that need it are left out",
        f"          more: freelunch --home {tmp_path} logs {key(CLIPS[0])[:12]}",
    ]
    assert observer.num_done == 3


def test_a_failure_that_nobody_expected_shows_the_end_of_its_traceback(tmp_path: Path):
    observer, heard = line_printer(tmp_path, STUDY.trials(None))
    lines_of_it = ('  File "x.py", line 3, in run', "    clips[9]", "IndexError: [no] such clip")
    observer.on_failed(
        CLIPS[0], Failure(sentence="IndexError: [no] such clip", fault="program", last_lines=lines_of_it)
    )
    assert lines(heard)[2:-1] == [f"          {line}" for line in lines_of_it]


def test_commands_in_a_sentence_can_be_copied(tmp_path: Path):
    observer, heard = line_printer(tmp_path, STUDY.trials(None))
    observer.on_failed(CLIPS[0], Failure(sentence="it is damaged: `freelunch remove abc` removes it.", fault="input"))
    assert f"it is damaged: `freelunch --home {tmp_path} remove abc` removes it." in heard.getvalue()
    assert "more:" not in heard.getvalue()


def test_the_forecast_follows_what_stages_of_a_kind_took(tmp_path: Path):
    trials = STUDY.trials(None)
    forecast = Forecast(make_plan(trials, Store(tmp_path)))
    assert forecast.seconds() == 40
    forecast.measure(CLIPS[0], 1.0)
    forecast.settle(CLIPS[0])
    assert forecast.seconds() == 1 + 20
    forecast.advance(trials[0].stage, 0.75)
    assert forecast.seconds() == 1 + 2.5 + 10


def test_the_forecast_counts_stages_that_run_side_by_side_and_never_less_than_the_longest_chain(tmp_path: Path):
    forecast = Forecast(make_plan(STUDY.trials(None), Store(tmp_path)))
    for clip in CLIPS:
        forecast.start(clip)
    assert forecast.seconds() == 40 / 2
    forecast.pause(CLIPS[0])
    forecast.start(CLIPS[0])
    assert forecast.seconds() == 40 / 2
    for clip in (*CLIPS, STUDY.trials(None)[0].stage):
        forecast.start(clip)
    assert forecast.seconds() == 10 + 10


def display(home: Path) -> tuple[LiveDisplay, io.StringIO]:
    plan = make_plan(STUDY.trials(None), Store(home))
    heard = io.StringIO()
    shown = observer_for(plan, Console(file=heard, force_terminal=True, width=120, height=40, color_system=None), home)
    assert isinstance(shown, LiveDisplay)
    return shown, heard


def screen(shown: LiveDisplay) -> list[str]:
    """The tables as they stand now, columns parted by single spaces."""
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as captured:
        console.print(shown._render())
    return [" ".join(line.split()) for line in captured.get().splitlines() if line.strip()]


def test_a_terminal_gets_tables_and_a_file_gets_lines(tmp_path: Path):
    plan = make_plan(STUDY.trials(None), Store(tmp_path))
    assert type(observer_for(plan, Console(file=io.StringIO()), tmp_path)) is LinePrinter
    shown, heard = display(tmp_path)
    with shown:
        shown.on_started(CLIPS[0], started(resumed=False))
        shown.on_finished(CLIPS[0], 2.0)
    assert "Clip 01" in heard.getvalue()
    assert "starts" not in heard.getvalue()
    assert "1/4 stages" in heard.getvalue()


def test_the_screen_shows_trials_and_every_stage_at_work(tmp_path: Path):
    shown, _ = display(tmp_path)
    shown.on_started(CLIPS[0], started(resumed=False, where="node-a"))
    shown.on_started(CLIPS[1], started(resumed=False, where="node-b"))
    progress = Progress(fraction=0.5, epoch=2, metrics={"loss_contrastive": 5.0}, frames_per_second=99.6)
    shown.on_progress(CLIPS[0], progress)
    said = screen(shown)
    assert said[0].startswith("trial stages: cached done left state")
    assert said[1:3] == ["slow 0 0 3 Clip 01, Clip [02]", "fast 0 0 3 Clip 01, Clip [02]"]
    assert said[4].startswith(f"Clip 01 {key(CLIPS[0])[:8]} all rows node-a")
    assert said[4].endswith("50 % 5.0 s epoch 2, contrastive 5.000, 100 frames/s")
    assert said[5].startswith(f"Clip [02] {key(CLIPS[1])[:8]} all rows node-b")
    assert said[6] == "0/4 stages, about 20 s left"


def test_the_screen_drops_what_is_done_and_keeps_what_failed(tmp_path: Path):
    shown, _ = display(tmp_path)
    slow, fast = (trial.stage for trial in STUDY.trials(None))
    for clip in CLIPS:
        shown.on_found(clip)
    shown.on_started(fast, started(resumed=True))
    shown.on_finished(fast, 3.0)
    shown.on_started(slow, started(resumed=False))
    shown.on_interrupted(slow, "its node died")
    assert screen(shown)[1:] == ["slow 0 2 1 waiting", "1 more 1 done, 0 not shown", "3/4 stages, about 3.0 s left"]
    shown.on_started(slow, started(resumed=False))
    shown.on_failed(slow, Failure(sentence="no.", fault="input"))
    assert screen(shown)[1] == "slow 0 3 0 failed"


def test_the_screen_shows_a_dozen_trials_and_counts_the_others(tmp_path: Path):
    rows = tuple(Row(name=f"row{n}", title=f"row {n}", parameters={"name": f"{n}"}) for n in range(20))
    study = replace(STUDY, rows=rows)
    plan = make_plan(study.trials(None), Store(tmp_path))
    shown = LiveDisplay(plan, Console(file=io.StringIO(), width=120), tmp_path)
    said = screen(shown)
    assert [line.split()[0] for line in said[1:13]] == [f"row{n}" for n in range(12)]
    assert said[13] == "8 more 0 done, 8 not shown"


def test_what_was_reported_is_noted_in_a_few_words():
    metrics = {"loss_contrastive": 5.0, "frames_per_second": 99.6, "knn_accuracy": 61.25, "fraction": 0.5}
    assert console_lines.progress_note(metrics, 2) == "epoch 2, contrastive 5.000, 100 frames/s, kNN 61.2 %"
    assert console_lines.progress_note({"fraction": 0.5}, 0) == ""


def test_seeds_are_named_where_there_are_several(tmp_path: Path):
    trials = STUDY.trials(None, seeds=(0,))
    observer, heard = line_printer(tmp_path, (*trials, replace(trials[0], number=2, seed=1)))
    observer.on_waiting(trials[1].stage, "another process is computing it")
    assert "(fast, seed 0)" in heard.getvalue()
