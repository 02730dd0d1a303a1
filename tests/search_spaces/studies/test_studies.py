import re
from dataclasses import replace

import pytest

from search_spaces.studies.catalogue import BEYOND_THE_PAPER, PAPER, STUDIES, by_name
from search_spaces.studies.published import ON_CHOLEC80, TABLE1_M2CAI16, TO_M2CAI16
from study import MeasuredOn, Study
from study.analysis.comparisons import exchanged
from study.cli.planning import parts_of
from study.core.graph import key, walk
from study.core.plan import make_plan
from study.core.store import Store
from study.core.suite import together
from study.home.request import Request
from study.report.figures.style import TITLE_LENGTH, short_title
from tests.search_spaces.fake_dataset import conditions
from trainers.stage import InputError, Resources

PAPERS_TABLE_3 = """
| frozen | frozen | 84.7 ± 11.0 | 67.5 ± 11.4 | 84.2 ± 8.2 | 79.6 ± 8.8 |
| frozen | trained (the paper's) | 87.3 ± 9.5 | 73.5 ± 9.9 | 85.1 ± 7.6 | 86.1 ± 6.9 |
| trained | frozen | 86.1 ± 11.8 | 72.4 ± 9.4 | 86.1 ± 6.5 | 84.8 ± 9.3 |
| trained | trained | 85.2 ± 10.9 | 71.3 ± 10.4 | 85.1 ± 5.7 | 85.8 ± 6.5 |
"""
"""As printed, with the columns Acc, Prec, Rec, Jacc."""

PAPERS_TABLE_1 = """
| scratch | 65.0 ± 13.8| 67.7 ± 14.3 | 53.0 ± 21.4 | 40.7 ± 18.4 | 59.8 ± 12.9 | 65.0 ± 13.6| 56.6 ± 29.7| 40.0 ± 23.0 |
| in-sup | 83.1 ± 10.5 | 64.7 ± 11.0 | 82.3 ± 7.6 | 77.8 ± 9.8 | 76.0 ± 6.3 | 78.8 ± 5.2 | 73.8 ± 17.6 | 58.9 ± 15.0 |
| in-moco | 82.3 ± 9.8 | 64.2 ± 12.0 | 81.2 ± 6.1 | 77.7 ± 10.5 | 75.1 ± 5.8 | 77.8 ± 6.4 | 73.5 ± 10.4 | 58.2 ± 14.2 |
| moco | 85.7 ± 10.4 | 72.0 ± 9.1 | 85.4 ± 6.3 | 84.9 ± 5.4 | 78.4 ± 4.6 | 80.5 ± 5.1 | 78.5 ± 12.6 | 63.5 ± 13.6 |
| swav | 84.7 ± 2.8 | 71.6 ± 7.9 | 84.9 ± 7.6 | 84.2 ± 6.3 | 77.3 ± 6.1 | 79.9 ± 6.3 | 77.8 ± 11.3 | 63.1 ± 11.5 |
| simsiam | 83.9 ± 6.7 | 68.5 ± 5.5 | 84.5 ± 5.0 | 82.6 ± 5.7 | 77.0 ± 5.3 | 79.1 ± 6.2 | 77.1 ± 8.2 | 62.8 ± 9.7 |
| regioncl | 84.8 ± 11.4 | 69.8 ± 11.1 | 85.0 ± 6.5 | 82.8 ± 10.9 | 78.2 ± 10.4 | 79.9 ± 8.1 | 78.0 ± 9.5 | 63.4 ± 7.4 |
| ours | 87.3 ± 9.5 | 73.5 ± 9.9 | 85.1 ± 7.6 | 86.1 ± 6.9 | 81.1 ± 6.5 | 80.7 ± 8.3 | 83.2 ± 6.9 | 67.9 ± 5.1 |
"""
"""Cholec80's columns, then M2CAI16's."""

PAPERS_TABLE_2 = """
| addition | 84.0 ± 10.5 | 67.3 ± 11.1 | 82.7 ± 8.7 | 81.6 ± 8.3 |
| concatenation | 84.2 ± 9.4 | 67.9 ± 11.7 | 83.1 ± 8.6 | 81.0 ± 10.1 |
| initialization | 85.5 ± 10.9 | 71.7 ± 8.1 | 83.8 ± 7.2 | 83.2 ± 8.4 |
| distillation | 87.3 ± 9.5 | 73.5 ± 9.9 | 85.1 ± 7.6 | 86.1 ± 6.9 |
"""


def printed(table: str, columns: slice) -> dict[str, dict[str, tuple[float, ...]]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    cells = {name: [tuple(map(float, cell.split("±"))) for cell in numbers[columns]] for name, *numbers in rows}
    metrics = ("accuracy", "precision", "recall", "jaccard")
    return {name: dict(zip(metrics, numbers, strict=True)) for name, numbers in cells.items()}


SAME_AS_ANOTHER_ROW = {("attribution", "demo"): 1}
"""Number of rows: scale demo is in fp32, as the authors' code is."""


def every_study() -> list[Study]:
    return list(STUDIES.values())


def test_two_studies_of_one_name_are_refused():
    with pytest.raises(InputError, match="two studies are named 'table3'"):
        by_name([STUDIES["table3"], STUDIES["table3"]])


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
def test_a_study_asks_something(study: Study):
    assert study.title
    assert study.question.endswith((".", "?"))


@pytest.mark.parametrize("study", BEYOND_THE_PAPER, ids=lambda study: study.name)
def test_titles_of_the_rows_of_studies_beyond_the_paper_fit_beside_a_figure(study: Study):
    titles = [row.title for row in study.all_rows()]
    assert [short_title(title) for title in titles] == titles


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
def test_titles_that_are_cut_beside_a_figure_are_still_told_apart(study: Study):
    titles = [short_title(row.title) for row in study.all_rows()]
    assert len(set(titles)) == len(titles)
    assert all(len(title) <= TITLE_LENGTH for title in titles)


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
def test_published_rows_and_the_reference_are_rows_of_the_study(study: Study):
    names = [row.name for row in study.all_rows()]
    if study.published:
        assert set(study.published.rows) <= set(names)
    if study.reference:
        assert study.reference in names


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
@pytest.mark.parametrize("scale", ["demo", "full"])
def test_every_study_can_be_planned_at_every_scale(study: Study, scale: str, tmp_path):
    plan = make_plan(study.trials(conditions(scale, num_videos=40)), Store(tmp_path))
    assert len(plan.trials) == len(study.all_rows())
    equal = SAME_AS_ANOTHER_ROW.get((study.name, scale), 0)
    assert len({key(trial.stage) for trial in plan.trials}) == len(plan.trials) - equal
    assert plan.expected_seconds > 0
    assert plan.expected_seconds < plan.unshared_seconds


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
@pytest.mark.parametrize("preset", ["paper", "official_code"])
@pytest.mark.parametrize("scale", ["demo", "full"])
def test_every_study_can_be_asked_under_every_preset(study: Study, preset: str, scale: str):
    trials = study.trials(conditions(scale, preset, num_videos=40))
    for stage in walk(*(trial.stage for trial in trials)).values():
        stage.check(Resources())


@pytest.mark.parametrize("asked", [*every_study(), PAPER], ids=lambda study: study.name)
def test_what_a_study_takes_on_the_demos_videos_is_what_it_says(asked: Study, tmp_path):
    demo = conditions(num_videos=32)
    recordings = tuple(replace(recording, num_frames=750) for recording in demo.dataset.recordings)
    demo = replace(demo, dataset=replace(demo.dataset, recordings=recordings))
    parts = parts_of(asked, Request(study=asked.name), demo, ON_CHOLEC80)
    seconds = make_plan(together(parts), Store(tmp_path)).expected_seconds
    (minutes,) = re.findall(r"^about (\d+) minutes", asked.cost["demo"])
    assert 60 * float(minutes) == pytest.approx(seconds, rel=0.25)


def test_table_1_is_what_the_paper_prints():
    study = STUDIES["table1"]
    cholec80, m2cai16 = (study.on(data).published for data in (ON_CHOLEC80, TO_M2CAI16))
    assert cholec80 is not None
    assert cholec80.rows == printed(PAPERS_TABLE_1, slice(4))
    assert (cholec80.swapped, cholec80.unswapped) == (("precision", "jaccard"), ("scratch",))
    assert m2cai16 is TABLE1_M2CAI16
    assert m2cai16.rows == printed(PAPERS_TABLE_1, slice(4, 8))
    assert m2cai16.swapped is None
    assert study.reference == "ours"


def test_precision_is_never_below_jaccard_once_columns_are_exchanged():
    for study in every_study():
        for published in study.all_published():
            for row in published.rows:
                read = exchanged(published, row)
                assert read["precision"][0] > read["jaccard"][0], (study.name, row)


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
def test_published_accuracies_are_told_where_they_were_measured_and_nowhere_else(study: Study):
    best = [f"{row['accuracy'][0]:.1f}" for each in study.all_published() for row in each.rows.values()]
    elsewhere = study.on(MeasuredOn("m2cai16", "m2cai16"))
    assert not any(number in elsewhere.introduction for number in best)
    if study.published:
        assert "Accuracy in Table " in study.introduction
        assert f"{study.published.rows[study.reference or '']['accuracy'][0]:.1f}" in study.introduction
    if study.name == "table1":
        assert "in Table 1 (M2CAI16 after pre-training on Cholec80): scratch 59.8," in study.on(TO_M2CAI16).introduction


def test_table_2_is_what_the_paper_prints():
    published = STUDIES["table2"].published
    assert published is not None
    assert published.rows == printed(PAPERS_TABLE_2, slice(4))


def test_figure_3_asks_for_four_methods_at_five_fractions_of_labels():
    rows = STUDIES["fig3"].all_rows()
    assert len(rows) == 20
    assert len({row.series for row in rows}) == 4
    assert {row.parameters["label_fraction"] for row in rows} == {0.125, 0.25, 0.5, 0.75, 1.0}
    assert {row.parameters["finetune_mode"] for row in rows} == {"full"}


def test_studies_of_the_paper_share_the_trials_they_have_in_common():
    parts = parts_of(PAPER, Request(study="paper"), conditions(num_videos=40), ON_CHOLEC80)
    labels: dict[str, set[str]] = {}
    for trial in together(parts):
        labels.setdefault(key(trial.stage), set()).add(trial.label)
    groups = [group for group in labels.values() if len(group) > 1]
    assert {"table1/scratch, seed 0", "fig3/scratch-100, seed 0"} in groups
    ours = next(group for group in groups if "table1/ours, seed 0" in group)
    assert ours == {
        f"{row}, seed 0"
        for row in ("table1/ours", "table2/distillation", "table3/head", "lambda/5", "temperature/0.07")
    } | {"queue/16, seed 0", "seeds/ours, seed 0"}


def test_the_study_of_seeds_asks_for_three_at_least():
    for seeds, found in ((1, 3), (5, 5)):
        (part,) = parts_of(STUDIES["seeds"], Request(study="seeds", seeds=seeds), conditions(), ON_CHOLEC80)
        assert len({trial.seed for trial in part.trials}) == found


def test_table_3_is_what_the_paper_prints():
    published = STUDIES["table3"].published
    assert published is not None
    lines = PAPERS_TABLE_3.strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    named = {("frozen", "frozen"): "none", ("trained", "frozen"): "backbone", ("trained", "trained"): "all"}
    printed = {}
    for backbone, head, *cells in rows:
        numbers = [tuple(float(number) for number in cell.split("±")) for cell in cells]
        name = named.get((backbone, head), "head")
        printed[name] = dict(zip(("accuracy", "precision", "recall", "jaccard"), numbers, strict=True))
    assert published.rows == printed
    assert published.swapped == ("precision", "jaccard")


def test_table_3_asks_for_four_teachers_and_four_baselines():
    study = STUDIES["table3"]
    rows = {row.name: row.baseline for row in study.all_rows()}
    assert [name for name, baseline in rows.items() if not baseline] == ["none", "head", "backbone", "all"]
    assert [name for name, baseline in rows.items() if baseline] == ["moco", "public", "untrained", "majority"]
    assert study.reference == "head"


def test_table_3_shares_exactly_videos_and_free_weights(tmp_path):
    plan = make_plan(STUDIES["table3"].trials(conditions()), Store(tmp_path))
    shared = [plan.stages[stage_key] for stage_key in plan.shared]
    assert [stage.kind for stage in shared if stage.kind != "Video"] == ["GenericImages", "Pretrain MoCo", "Release"]
    assert sum(stage.kind == "Video" for stage in shared) == 10
    by_row = {trial.row.name: trial.number for trial in plan.trials}
    users = {stage.kind: plan.users[key(stage)] for stage in shared}
    assert users["GenericImages"] == tuple(by_row[row] for row in ("none", "head", "backbone", "all", "public"))
    count = {record["type"]: record["stages"] for record in plan.by_type()}
    assert (count["Pretrain MoCo"], count["Pretrain DistilledMoCo"], count["Evaluate"]) == (1 + 3 + 1, 4, 8)


def test_more_seeds_share_videos_free_weights_and_the_majority_class(tmp_path):
    plan = make_plan(STUDIES["table3"].trials(conditions(), seeds=(0, 1, 2)), Store(tmp_path))
    shared = {plan.stages[stage_key].kind for stage_key in plan.shared}
    by_row = {t.row.name: t for t in plan.trials}
    assert {"Video", "GenericImages", "Pretrain MoCo", "MajorityClass"} <= shared
    assert "Pretrain DistilledMoCo" not in shared
    assert len(plan.users[key(by_row["majority"].stage)]) == 3
    assert set(walk(by_row["public"].stage)) - set(plan.shared)


def test_a_dataset_with_fewer_frames_than_a_rival_takes_in_a_step_names_the_row():
    few = conditions("full", num_videos=10)
    short = tuple(replace(each, num_frames=1250) for each in few.dataset.recordings)
    few = replace(few, dataset=replace(few.dataset, recordings=short))
    with pytest.raises(InputError, match=r"^batch_size of Pretrain SwAV is 256.*This is row swav of study table1"):
        STUDIES["table1"].trials(few)
    assert STUDIES["table1"].trials(few, only=("moco", "ours"))
