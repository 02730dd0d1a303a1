"""Report of a search: best settings, history, importances, and every trial."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from study.home.files import write_text
from study.home.interrupts import defer_interrupts
from study.report.document import Block, Cell, Details, Document, Facts, Notice, Paragraph, Picture, Section, Table
from study.report.glossary import SYNTHETIC_SCALES
from study.report.write import write_document
from study.search import figures
from study.search.optuna_study import KEY, PROBLEM, parameters_of, runs_of
from study.search.results import ENOUGH_TRIALS, STATES, SearchResults, epochs_spent, epochs_unstopped, importances


def write_search_report(found: SearchResults, folder: Path) -> Path:
    """Writes `report.html`, `report.md` with `figures/`, and `search.json`; returns the first."""
    found, search = replace(found, study=_in_memory(found.study)), found.space.search
    blocks = _blocks(found)
    document = Document(title=search.title, question=search.question, label=f"Search {search.name}", blocks=blocks)
    page = write_document(document, folder)
    write_text(folder / "search.json", json.dumps(_data(found), indent=1, ensure_ascii=False) + "\n")
    return page


@defer_interrupts()
def _in_memory(study: optuna.Study) -> optuna.Study:
    """A copy of a study in memory: the storage is read once, and interrupts are deferred meanwhile."""
    kept = optuna.create_study(study_name=study.study_name, direction=study.direction)
    for name, value in study.user_attrs.items():
        kept.set_user_attr(name, value)
    kept.add_trials(study.get_trials(deepcopy=False))
    return kept


def _blocks(found: SearchResults) -> list[Block]:
    blocks: list[Block] = [Facts(found.context)]
    if says := SYNTHETIC_SCALES.get(found.context.get("scale", "").partition(":")[0]):
        blocks.append(Notice(f"{says} (a small network, one seed)."))
    if found.remarks:
        blocks.append(Notice("\n".join(found.remarks)))
    return [*blocks, _best_section(found), _history_section(found), *_slice_section(found), _trials_section(found)]


def _best_section(found: SearchResults) -> Section:
    best, objective = found.best, found.space.search.objective
    if best is None:
        return Section("Best settings", [Paragraph("No trial is completed yet.")])
    selected = (
        f"Trial {best.number}: {best.values[0]:.2f}, {objective.title}. It was selected among {len(found.trials)} "
        "trials by this value alone; no stage of the search has a test video among its inputs. The "
        "maximum over many trials flatters, so this value is no estimate of what the settings are worth."
    )
    blocks: list[Block] = [Paragraph(selected), _settings_table(found, best)]
    if found.evaluation:
        once = (
            f"On test videos: `{found.evaluation}`. It computes only what no trial has computed: the student is there. "
            "Type it once, for the settings chosen here: choosing again after it is choosing on test videos. With "
            "`--set split=official` added, it trains them again on all videos that are not for the test."
        )
        blocks.append(Paragraph(once))
    return Section("Best settings", blocks)


def _settings_table(found: SearchResults, best: FrozenTrial) -> Table:
    parameters, described = parameters_of(best), found.space.described()
    rows = [(Cell(name), Cell(str(parameters.get(name, "–"))), Cell(text)) for name, text in described.items()]
    rows += [(Cell(name), Cell(str(value)), Cell("fixed")) for name, value in found.space.fixed.items()]
    headers = (Cell("hyperparameter"), Cell("best"), Cell("searched"))
    return Table(headers=headers, rows=tuple(rows), text_columns=frozenset({0, 2}))


def _history_section(found: SearchResults) -> Section:
    objective, trials = found.space.search.objective, found.trials
    counts = {state: sum(trial.state == state for trial in trials) for state in STATES}
    said = ", ".join(f"{count} {STATES[state]}" for state, count in counts.items() if count)
    blocks: list[Block] = [Paragraph(f"{len(trials)} trials: {said or 'none yet'}. {_spent(found)}")]
    if counts[TrialState.COMPLETE]:
        figure = figures.history_figure(trials, objective.title, maximised=objective.maximised)
        caption = (
            "A dot is a completed trial. The line is the best so far. Ticks at the foot are trials without a value."
        )
        blocks.append(Picture("history", figure, caption))
    if any(trial.intermediate_values for trial in trials):
        caption = (
            "What was watched of every trial, on validation videos, while its student was trained; the trial of a grey "
            "curve was stopped at its end, failed, or is not finished. Learning rates follow the schedule of the whole "
            "training, stopped or not."
        )
        figure = figures.curves_figure(trials, objective.metric, _decided_after(found))
        blocks.append(Picture("curves", figure, caption))
    return Section("How the search went", blocks)


def _spent(found: SearchResults) -> str:
    if found.halving is None:
        return "Nothing could be watched on the way, so no trial was stopped early."
    spent, whole = epochs_spent(found.trials), epochs_unstopped(found.trials, found.halving.epochs)
    epochs = " and ".join(map(str, _decided_after(found)))
    rule = f"After epoch {epochs}, one of {found.halving.factor} goes on. " if epochs else ""
    return f"{rule}Students were trained for {spent} epochs; without early stopping it would have been {whole}."


def _decided_after(found: SearchResults) -> tuple[int, ...]:
    return found.halving.decision_epochs(found.trials) if found.halving else ()


def _slice_section(found: SearchResults) -> list[Block]:
    objective, trials = found.space.search.objective, found.trials
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not done:
        return []
    names = [name for name in found.space.axes if any(name in parameters_of(t) for t in done)]
    caption = "Every completed trial; darker ones came later. A hyperparameter that a trial did not have is left out."
    blocks: list[Block] = [Picture("slices", figures.slice_figure(trials, names, objective.title), caption)]
    shares = importances(found.study)
    if shares:
        caption = (
            "Importance for reaching the best tenth of the completed trials (PED-ANOVA, arXiv 2304.10255). "
            "Few trials, so an indication and no more."
        )
        blocks.insert(0, Picture("importances", figures.importance_figure(shares), caption))
    else:
        blocks.insert(0, Paragraph(f"Importances need {ENOUGH_TRIALS} completed trials that differ in value."))
    return [Section("What matters", blocks)]


def _trials_section(found: SearchResults) -> Section:
    names = list(found.space.axes)
    headers = tuple(map(Cell, ("trial", "value", "state", "epochs", *names, "stage")))
    rows = tuple(_trial_row(trial, names) for trial in found.trials)
    table = Table(headers=headers, rows=rows, text_columns=frozenset({2, len(headers) - 1}))
    return Section("Every trial", [Details(f"{len(rows)} trials", [table])])


def _trial_row(trial: FrozenTrial, names: Sequence[str]) -> tuple[Cell, ...]:
    parameters = parameters_of(trial)
    problem = trial.user_attrs.get(PROBLEM)
    value = f"{trial.values[0]:.2f}" if trial.state == TrialState.COMPLETE else "–"
    state = Cell(STATES[trial.state], (problem,) if problem else ())
    cells = [Cell(str(parameters.get(name, "–"))) for name in names]
    return Cell(str(trial.number)), Cell(value), state, Cell(str(trial.last_step or 0)), *cells, Cell(_stage_key(trial))


def _stage_key(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(KEY, ""))[:8]


def _data(found: SearchResults) -> dict[str, Any]:
    best, runs = found.best, runs_of(found.study)
    return {
        "search": found.space.search.name,
        "optuna_study": found.study.study_name,
        "context": dict(found.context),
        "objective": found.space.search.objective.title,
        "space": found.space.described(),
        "fixed": {name: str(value) for name, value in found.space.fixed.items()},
        "best": None if best is None else best.number,
        "evaluation": found.evaluation,
        "importances": importances(found.study),
        "remarks": list(found.remarks),
        "rungs": list(_decided_after(found)),
        "trials": [
            {
                "number": trial.number,
                "state": STATES[trial.state],
                "value": trial.values[0] if trial.state == TrialState.COMPLETE else None,
                "parameters": parameters_of(trial),
                "watched": trial.intermediate_values,
                "epochs": trial.last_step or 0,
                "stage": trial.user_attrs.get(KEY),
                "mlflow_run": runs.get(trial.number),
                "problem": trial.user_attrs.get(PROBLEM),
            }
            for trial in found.trials
        ],
    }
