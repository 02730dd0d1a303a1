import pytest

from search_spaces.catalogue import STUDIES, by_name
from study.graph import key, walk
from study.plan import make_plan
from study.spec import Study
from study.store import Store
from tests.search_spaces.fake_dataset import conditions
from trainers.stage import InputError

PAPERS_TABLE_3 = """
| frozen | frozen | 84.7 ± 11.0 | 67.5 ± 11.4 | 84.2 ± 8.2 | 79.6 ± 8.8 |
| frozen | trained (the paper's) | 87.3 ± 9.5 | 73.5 ± 9.9 | 85.1 ± 7.6 | 86.1 ± 6.9 |
| trained | frozen | 86.1 ± 11.8 | 72.4 ± 9.4 | 86.1 ± 6.5 | 84.8 ± 9.3 |
| trained | trained | 85.2 ± 10.9 | 71.3 ± 10.4 | 85.1 ± 5.7 | 85.8 ± 6.5 |
"""
"""As printed, with the columns Acc, Prec, Rec, Jacc."""


def every_study() -> list[Study]:
    return list(STUDIES.values())


def test_two_studies_of_one_name_are_refused():
    with pytest.raises(InputError, match="two studies are named 'table3'"):
        by_name([STUDIES["table3"], STUDIES["table3"]])


@pytest.mark.parametrize("study", every_study(), ids=lambda study: study.name)
def test_a_study_asks_something(study: Study):
    assert study.title
    assert study.question.endswith((".", "?"))


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
    plan = make_plan(study.trials(conditions(scale)), Store(tmp_path))
    assert len(plan.trials) == len(study.all_rows())
    assert len({key(trial.stage) for trial in plan.trials}) == len(plan.trials)
    assert plan.expected_seconds > 0
    assert plan.expected_seconds < plan.unshared_seconds


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
