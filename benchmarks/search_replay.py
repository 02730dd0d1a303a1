"""Searches that are simulated on a table of finished points, hundreds of them, without any training.

    python -m benchmarks.search_replay benchmarks/results/search-against-grid-small.json --seeds 200

The table is the grid of `benchmarks.search_against_grid`: of every point the parameters, the value over folds, the
curve of its probe, the accuracy on the test videos, and the epochs of what it needs. A simulated search may ask for
these points alone. It begins at the paper's, draws the others as `freelunch search` does, is stopped early by its rule
and the stored curves, and pays for its students as far as they were trained and for every teacher once. Beside it are
the grid in random order, random points that are stopped early, and the search without stopping and with another rule.
At every share of the grid's cost stands the mean over seeds of the best value so far, and of the accuracy on the test
videos of the point that has it: no search sees that, and it is what the settings are worth.
"""

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.search_points import Point, best_of, point_from, spent_by
from search_spaces.recipes import distilled
from search_spaces.searches.objectives import ON_FOLDS, PROBES_BEFORE_STOPPING
from study import Choice
from study.search.pruner import SuccessiveHalving
from study.search.sampling import distribution, sample
from study.search.space import Search, Space

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
NUM_SEEDS = 200
FIRST: Mapping[str, object] = {"teacher_trains": "head", "distillation_weight": 5.0, "temperature": 0.07}
"""The paper's point, where searches begin."""
ATTEMPTS = 10
"""Points that the sampler draws for one trial, as long as each was tried already; then one that was not is drawn."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way to choose points and to stop them.

    Attributes:
        name: in tables.
        is_guided: whether points come from the sampler of searches; at random where not.
        halving: the rule of early stopping; None where every point is trained to its end.
    """

    name: str
    is_guided: bool
    halving: SuccessiveHalving | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """The state of a simulated search after a trial.

    Attributes:
        spent: epochs.
        value: the best value so far; None before there is one.
        test: accuracy on the test videos of the point that has it.
    """

    spent: int
    value: float | None
    test: float | None


def strategies_for(table: Sequence[Point]) -> tuple[Strategy, ...]:
    """What is compared on a table, whose first curve says how often students are probed."""
    epochs, probed = table[0].epochs[table[0].student], sorted(table[0].curve)
    first_epoch = probed[min(PROBES_BEFORE_STOPPING, len(probed)) - 1]
    usual = SuccessiveHalving(epochs, first_epoch=first_epoch)
    return (
        Strategy(name="grid in random order", is_guided=False, halving=None),
        Strategy(name="random, stopped early", is_guided=False, halving=usual),
        Strategy(name="search without stopping", is_guided=True, halving=None),
        Strategy(name="search", is_guided=True, halving=usual),
        Strategy(name="search, stopped from the first probe on", is_guided=True, halving=SuccessiveHalving(epochs)),
    )


def space_of(table: Sequence[Point]) -> Space:
    """The space that the points of a table span."""
    axes = {name: Choice(tuple(dict.fromkeys(p.parameters[name] for p in table))) for name in table[0].parameters}
    search = Search(
        name="replay",
        title="the points of a table",
        question="",
        recipe=distilled,
        axes=axes,
        objective=ON_FOLDS,
        evaluated_in="table3",
    )
    return search.bind(None)


def simulated(table: Sequence[Point], space: Space, strategy: Strategy, seed: int) -> list[Step]:
    """A search over the points of a table, until every point was tried."""
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction="maximize")
    left = list(table)
    random.Random(seed).shuffle(left)
    known: dict[str, int] = {}
    best: Point | None = None
    steps = []
    for number in range(len(table)):
        point = _next(left, space, study, number, seed) if strategy.is_guided else left[0]
        left.remove(point)
        stopped = _stopped_after(point, space, study, number, strategy.halving)
        _tell(study, point, space, stopped)
        epochs = {**point.epochs} | ({point.student: stopped} if stopped else {})
        known |= {stage_key: max(n, known.get(stage_key, 0)) for stage_key, n in epochs.items()}
        if not stopped and (best is None or _value(point) > _value(best)):
            best = point
        value, test = (None, None) if best is None else (best.value, best.test)
        steps.append(Step(spent=sum(known.values()), value=value, test=test))
    return steps


def at_share(steps: Sequence[Step], spent: float) -> Step | None:
    """The state of a search when it has spent so many epochs; None before its first value."""
    reached = [step for step in steps if step.spent <= spent and step.value is not None]
    return reached[-1] if reached else None


def replayed(table: Sequence[Point], num_seeds: int) -> list[dict[str, object]]:
    """One record per strategy and share of the grid's cost: means over seeds, and how many had a value by then."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, whole, best = space_of(table), spent_by(table), _value(best_of(table))
    records: list[dict[str, object]] = []
    for strategy in strategies_for(table):
        runs = [simulated(table, space, strategy, seed) for seed in range(num_seeds)]
        records += [_record(strategy, share, runs, whole, best) for share in SHARES]
    return records


def _record(
    strategy: Strategy, share: float, runs: Sequence[Sequence[Step]], whole: int, best: float
) -> dict[str, object]:
    reached = [step for run in runs if (step := at_share(run, share * whole)) is not None]
    values = np.array([step.value for step in reached], dtype=float)
    tests = np.array([np.nan if step.test is None else step.test for step in reached])
    return {
        "strategy": strategy.name,
        "share": share,
        "with_a_value": len(reached) / len(runs),
        "value": float(values.mean()) if len(values) else None,
        "found_the_best": float((values >= best).sum() / len(runs)),
        "test": float(tests.mean()) if len(tests) and not np.isnan(tests).any() else None,
        "test_se": float(tests.std(ddof=1) / len(tests) ** 0.5) if len(tests) > 1 else None,
    }


def _next(left: Sequence[Point], space: Space, study: optuna.Study, number: int, seed: int) -> Point:
    """The first point that the sampler draws and that was not tried; after ATTEMPTS, any that was not."""
    for attempt in range(ATTEMPTS):
        drawn = dict(FIRST) if number == attempt == 0 else sample(space, study, number, seed, attempt)
        found = next((point for point in left if point.parameters == drawn), None)
        if found is not None:
            return found
    return left[0]


def _stopped_after(
    point: Point, space: Space, study: optuna.Study, number: int, halving: SuccessiveHalving | None
) -> int | None:
    """The epoch after which a point is stopped; None where it is trained to its end."""
    if halving is None:
        return None
    others = study.get_trials(deepcopy=False)
    return next(
        (
            watched.last_step
            for watched in _watched(point, space, number)
            if halving.stops(watched, others, StudyDirection.MAXIMIZE)
        ),
        None,
    )


def _watched(point: Point, space: Space, number: int) -> Iterator[FrozenTrial]:
    """A point as a running trial, after every measurement of its probe."""
    for epoch in sorted(point.curve):
        trial = _trial(point, space, TrialState.RUNNING, epoch)
        trial.number = number
        yield trial


def _tell(study: optuna.Study, point: Point, space: Space, stopped: int | None) -> None:
    state = TrialState.PRUNED if stopped else TrialState.COMPLETE
    study.add_trial(_trial(point, space, state, stopped or max(point.curve, default=0)))


def _trial(point: Point, space: Space, state: TrialState, until: int) -> FrozenTrial:
    distributions = {name: distribution(axis, space.unit(name)) for name, axis in space.axes.items()}
    watched = {epoch: value for epoch, value in point.curve.items() if epoch <= until}
    return create_trial(
        state=state,
        value=point.value if state == TrialState.COMPLETE else None,
        params=dict(point.parameters),
        distributions=distributions,
        intermediate_values=watched,
    )


def _value(point: Point) -> float:
    assert point.value is not None, "the points of a grid are all valued"
    return point.value


def printed(records: Sequence[Mapping[str, object]]) -> str:
    """The records as a table in Markdown: best value, and accuracy on test videos, by share of the grid's cost."""
    names = list(dict.fromkeys(record["strategy"] for record in records))
    by_place = {(record["strategy"], record["share"]): record for record in records}
    head = "| strategy | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |"
    lines = [head, "|---" * (len(SHARES) + 1) + "|"]
    for name in names:
        cells = [_cell(by_place[name, share]) for share in SHARES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(record: Mapping[str, object]) -> str:
    if record["value"] is None:
        return "–"
    tested = "" if record["test"] is None else f", test {record['test']:.2f}"
    return f"{record['value']:.2f}{tested}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulates searches on the points of a grid.")
    parser.add_argument("table", type=Path, help="JSON of benchmarks.search_against_grid")
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="simulated searches per strategy")
    parser.add_argument("--output", type=Path, help="JSON of the means")
    values = parser.parse_args()
    table = [point_from(record) for record in json.loads(values.table.read_text(encoding="utf-8"))["grid"]]
    records = replayed(table, values.seeds)
    if values.output:
        values.output.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    best = best_of(table)
    print(f"grid of {len(table)} points, {spent_by(table)} epochs; its best: {best.value:.2f}, test {best.test}")
    print(printed(records))


if __name__ == "__main__":
    main()
