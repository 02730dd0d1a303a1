"""Simulated searches on a made-up table of points: what they pay, what they choose, and what that is worth."""

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.search_against_grid import RESULTS, asked_of
from benchmarks.search_points import Point, best_of, best_so_far, point_from, spent_by, within
from benchmarks.search_replay import FIRST, SHARES, Strategy, at_share, printed, replayed, simulated, space_of
from study.search.pruner import SuccessiveHalving

STUDENT_EPOCHS, TEACHER_EPOCHS = 12, 6
WHOLE = Strategy(name="whole", is_guided=False, halving=None)
SEARCH = Strategy(name="search", is_guided=True, halving=SuccessiveHalving(STUDENT_EPOCHS, first_epoch=6))


def point(teacher: str, weight: float, temperature: float) -> Point:
    """A point that is the better the larger its weight; the test videos prefer small temperatures."""
    student, value = f"student {teacher} {weight} {temperature}", 70 + weight + temperature
    teachers = {} if teacher == "none" else {f"teacher {temperature}": TEACHER_EPOCHS}
    return Point(
        name=student,
        parameters={"teacher_trains": teacher, "distillation_weight": weight, "temperature": temperature},
        value=value,
        epochs={**teachers, student: STUDENT_EPOCHS},
        student=student,
        curve={epoch: value - 12 + epoch for epoch in (3, 6, 9, 12)},
        test=90 - temperature,
    )


TABLE = [point(*each) for each in itertools.product(("none", "head"), (1.0, 5.0, 20.0), (0.07, 0.2))]


def test_a_search_without_stopping_pays_for_every_student_and_for_every_teacher_once():
    steps = simulated(TABLE, space_of(TABLE), WHOLE, seed=0)
    assert len(steps) == len(TABLE)
    assert steps[-1].spent == spent_by(TABLE) == len(TABLE) * STUDENT_EPOCHS + 2 * TEACHER_EPOCHS
    assert steps[-1].value == best_of(TABLE).value


def test_a_search_begins_at_the_papers_point_and_pays_less_for_students_that_it_stops():
    for seed in range(3):
        steps = simulated(TABLE, space_of(TABLE), SEARCH, seed)
        assert (steps[0].spent, steps[0].value) == (STUDENT_EPOCHS + TEACHER_EPOCHS, point(*FIRST.values()).value)  # type: ignore[arg-type]
        assert len(steps) == len(TABLE)
        assert steps[-1].spent < spent_by(TABLE)
        assert steps[-1].value == best_of(TABLE).value, "the curves are in the order of the values"


def test_what_is_reported_on_test_videos_is_of_the_point_that_the_values_choose():
    steps = simulated(TABLE, space_of(TABLE), SEARCH, seed=1)
    assert steps[-1].test == pytest.approx(90 - 0.2)
    assert best_of(TABLE).test == steps[-1].test < max(each.test for each in TABLE if each.test)


def test_before_its_first_value_a_search_has_none():
    steps = simulated(TABLE, space_of(TABLE), WHOLE, seed=0)
    assert at_share(steps, steps[0].spent - 1) is None
    assert at_share(steps, steps[0].spent) == steps[0]


def test_every_strategy_is_compared_at_every_share_of_the_grids_cost():
    records = replayed(TABLE, num_seeds=2)
    assert {record["share"] for record in records} == set(SHARES)
    last = [record for record in records if record["share"] == 1]
    assert [record["found_the_best"] for record in last] == [1] * 5
    text = printed(records)
    assert text.count("\n") == 1 + 5
    assert "| search | " in text


def test_a_limit_leaves_out_what_does_not_fit():
    spent, _ = best_so_far(TABLE)
    assert within(TABLE, int(spent[3])) == TABLE[:4]
    assert within(TABLE, int(spent[3]) - 1) == TABLE[:3]


def test_points_survive_json():
    stopped = replace(TABLE[0], value=None, test=None)
    for each in (TABLE[0], stopped):
        assert point_from(json.loads(json.dumps(asdict(each)))) == each


def test_the_command_line_gives_home_scale_and_settings(tmp_path: Path):
    asked = asked_of(["--home", str(tmp_path), "--scale", "small", "--set", "precision=bf16"])
    request = asked.request("grid")
    assert (request.scale, request.settings, asked.home) == ("small", {"precision": "bf16"}, tmp_path)
    assert asked.output == RESULTS / "search-against-grid-small"
