"""Searches against a grid, from the command line to the JSON, on a tiny home and a grid of two points."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import search_against_grid
from benchmarks.search_against_grid import Asked, main
from benchmarks.search_points import point_from, spent_by
from search_spaces.protocol.scales import SCALES
from tests.study.tiny_cli import TINY, called
from tests.study.tiny_home import copy_of, done

TWO_POINTS = """
from search_spaces.recipes import distilled
from study import Choice, Study

grid = Study(
    name="grid", title="two", question="?", recipe=distilled,
    axes={
        "teacher_trains": Choice(("none", "head")),
        "distillation_weight": Choice((5.0,)),
        "temperature": Choice((0.07,)),
    },
)
"""


@pytest.mark.usefixtures("tiny_scale", "no_pictures")
def test_grid_and_searches_are_computed_valued_and_evaluated_once(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home, file, output = copy_of(tiny_home, tmp_path), tmp_path / "two_points.py", tmp_path / "compared"
    file.write_text(TWO_POINTS)
    commands: list[tuple[str, ...]] = []

    def run(asked: Asked, *command: str) -> None:
        commands.append(command)
        done(called(asked.home, *command, "--local", "--threads", "1"))

    monkeypatch.setitem(SCALES, "tiny", replace(TINY, dataset="tiny"))
    monkeypatch.setattr(Asked, "run", run)
    monkeypatch.setattr(search_against_grid, "GRID", f"{file}:grid")
    monkeypatch.setattr(search_against_grid, "SAMPLER_SEEDS", (1,))
    asked = ["--home", str(home), "--scale", "tiny", "--set", "weight_decay=0.001", "--share", "0.6"]
    monkeypatch.setattr("sys.argv", ["search_against_grid.py", *asked, "--output", str(output)])
    main()
    written = json.loads(output.with_suffix(".json").read_text())
    grid = [point_from(record) for record in written["grid"]]
    assert [point.parameters["teacher_trains"] for point in grid] == ["none", "head"]
    assert all(point.value is not None and point.test is not None and point.curve for point in grid)
    assert spent_by(grid) == 2 * TINY.student_epochs + TINY.teacher_epochs
    (search,) = written["searches"].values()
    assert spent_by([point_from(record) for record in search]) <= written["limit_epochs"]
    assert sum(record["test"] is not None for record in search) == 1
    assert search[0]["value"] == grid[1].value, "both begin at the paper's point, with the same stages"
    assert output.with_suffix(".png").stat().st_size > 1000
    assert all("weight_decay=0.001" in command for command in commands)
    before = list(commands)
    main()
    assert json.loads(output.with_suffix(".json").read_text()) == written
    assert len(commands) <= 2 * len(before)
