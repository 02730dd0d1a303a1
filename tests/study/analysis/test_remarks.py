"""What stages say of their own metrics: in `status`, in the lines of a run, and in the report."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from study import Trial
from study.analysis.remarks import Remark, stage_remarks
from study.console.lines import LinePrinter
from study.console.status import status_record, status_tables
from study.core.graph import key, walk
from study.core.plan import make_plan
from study.core.store import Store
from study.report.study_report import write_report
from tests.study import small_study
from tests.study.small_study import CONTEXT, STUDY, compute


def stuck(stage: small_study.Pretrain, metrics: Mapping[str, float]) -> tuple[str, ...]:
    """Whoever distils ends at 3.8; the others stay higher."""
    return (f"the loss, {metrics['loss_contrastive']:.1f}, is [high].",) if metrics["loss_contrastive"] > 4.5 else ()


@pytest.fixture
def remarking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_study.Pretrain, "remarks", stuck)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Trial, ...], Store]:
    trials = STUDY.trials(2, only=("none", "head", "public"))
    return trials, compute(trials, tmp_path_factory.mktemp("home"))[0]


def high(trials: tuple[Trial, ...]) -> dict[str, small_study.Pretrain]:
    """The stages whose last loss is above 4.5: those of a quality below 0.7."""
    stages = walk(*(trial.stage for trial in trials))
    return {k: s for k, s in stages.items() if isinstance(s, small_study.Pretrain) and s.quality < 0.7}


@pytest.mark.usefixtures("remarking")
def test_a_finished_stage_is_judged_by_its_last_epoch(computed: tuple[tuple[Trial, ...], Store]):
    trials, store = computed
    remarks = stage_remarks(walk(*(trial.stage for trial in trials)), store)
    assert len(remarks) == len(high(trials)) > 1
    assert {remark.key for remark in remarks} == high(trials).keys()
    assert all(remark.sentence.endswith(", is [high].") for remark in remarks)


@pytest.mark.usefixtures("remarking")
def test_a_stage_at_work_is_judged_by_its_latest_report(tmp_path: Path):
    store, stages = Store(tmp_path), high(STUDY.trials(2, only=("public",)))
    ((stage_key, stage),) = stages.items()
    assert stage_remarks({}, store) == []
    with store.claim(stage_key) as folder:
        progress = {"epoch": 1, "metrics": {"loss_contrastive": 6.9}, "time": 0.0, "seconds": 1.0, "host": "here"}
        (folder / "progress.json").write_text(json.dumps(progress))
    assert stage_remarks(stages, store) == [
        Remark(key=stage_key, title=stage.title, sentence="the loss, 6.9, is [high].")
    ]


@pytest.mark.usefixtures("remarking")
def test_status_shows_the_remarks(computed: tuple[tuple[Trial, ...], Store]):
    trials, store = computed
    record = status_record(make_plan(trials, store), store, {})
    assert {remark["key"] for remark in record["remarks"]} == high(trials).keys()
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    for line in status_tables("tiny", record, store.home):
        console.print(line, highlight=False)
    for stage_key in high(trials):
        assert f"note Pretrain {stage_key[:8]}: the loss, " in shown.getvalue()
    assert "is [high]." in shown.getvalue()


@pytest.mark.usefixtures("remarking")
def test_a_report_shows_the_remarks_with_the_rows_that_they_touch(
    computed: tuple[tuple[Trial, ...], Store], tmp_path: Path
):
    text = write_report(STUDY, *computed, tmp_path, context=CONTEXT).markdown.read_text()
    lines = [line for line in text.splitlines() if "is [high]." in line]
    free = next(k for k, stage in high(computed[0]).items() if stage.start is None)
    said = f"> - **Pretrain {free[:8]} (teacher as it is; head trained; free weights alone): the loss, "
    assert [line.startswith(said) for line in lines].count(True) == 1
    assert len(lines) == len(high(computed[0]))


def test_a_report_without_remarks_has_no_notice_of_them(computed: tuple[tuple[Trial, ...], Store], tmp_path: Path):
    text = write_report(STUDY, *computed, tmp_path, context=CONTEXT).markdown.read_text()
    assert "is [high]." not in text


@pytest.mark.usefixtures("remarking")
def test_a_run_says_it_once_from_the_second_epoch_on(tmp_path: Path):
    trials = STUDY.trials(2, only=("public",))
    ((stage_key, stage),) = high(trials).items()
    heard = io.StringIO()
    printer = LinePrinter(make_plan(trials, Store(tmp_path)), Console(file=heard, width=200), tmp_path)
    for epoch in (1, 2, 3):
        printer.on_epoch(stage, epoch, {"loss_contrastive": 6.0 + epoch / 10})
    (line,) = heard.getvalue().splitlines()
    assert line.endswith("epoch 2: the loss, 6.2, is [high].")
    assert stage_key == key(stage)
    assert stage_key[:8] in line
