"""Planning: a request becomes the trials of a study on a dataset, and the plan of their stages."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.forgotten_weights import forgotten_weights_notes
from search_spaces.protocol.label_notes import label_notes
from search_spaces.protocol.queue_notes import queue_notes
from search_spaces.protocol.scales import Scale
from search_spaces.protocol.selection_notes import selection_notes
from search_spaces.protocol.stretch_notes import stretch_notes
from search_spaces.protocol.transfer_notes import of_folds, published_notes
from search_spaces.protocol.trial_splits import fold_notes, num_videos
from search_spaces.protocol.valuation_notes import valuation_notes
from search_spaces.protocol.weights_notes import check_weights_used, stand_in_notes, start_notes, unused_weights_notes
from study.cli.own_file import own_output_aside, translate_own_errors
from study.cli.recorded import check_name_is_free
from study.cli.requested_conditions import conditions_of, in_words, pretraining_fact
from study.cli.resolve import check_last_stages, find_study
from study.cli.synthetic_datasets import asked_synthetic_datasets
from study.core.manifest import versions
from study.core.outlook import PlannedMachine
from study.core.plan import Plan, make_plan
from study.core.rows import MeasuredOn
from study.core.store import Store
from study.core.study import Study, Trial, equal_row_notes, setting_notes
from study.core.suite import Part, Suite, together
from study.core.tapes import TAPES_AT_WORK, TapeChoice
from study.home.request import Request
from study.home.sharing import check_shared
from trainers.stage import InputError

TRIAL_NOTES = (
    start_notes,
    unused_weights_notes,
    stand_in_notes,
    label_notes,
    queue_notes,
    fold_notes,
    stretch_notes,
    selection_notes,
    valuation_notes,
    forgotten_weights_notes,
)
PUBLISHED_NOTE = "Published numbers are of the paper's settings, not of those that --set has fixed."


class PlannedStudy:
    """A study request, with everything that it names looked up, and the plan of its stages; nothing is written.

    Attributes:
        request: the request.
        study: the study that it names, or the suite of studies.
        home: the home folder.
        store: the artifacts of the home folder.
        parts: every study of the request on each of its datasets, with its own trials.
        trials: the trials of all parts, in table order.
        plan: the stages of all trials.
        machine: that it is made for; None where times are those of two CPU cores, or of whatever was measured.

    Raises:
        InputError: the request names something that does not exist, or a value that does not fit.
        MachineError: the home folder cannot be used.
    """

    def __init__(
        self,
        home: Path,
        request: Request,
        *,
        brief: bool = False,
        machine: PlannedMachine | None = None,
        tapes: TapeChoice = TAPES_AT_WORK,
        drops_features: bool = False,
    ) -> None:
        self.request = request
        self.study: Study | Suite = find_study(request.study)
        check_name_is_free(request.study, home, "study")
        self.home = home
        self.machine = machine
        check_shared(home, writing=False)
        self.store = Store(home, create=False)
        self._conditions = {
            _datasets(each): replace(conditions_of(self.store, each), brief=brief) for each in request.each_dataset()
        }
        with own_output_aside(request.study), translate_own_errors(request.study):
            self.parts: tuple[Part, ...] = tuple(
                part for each in request.each_dataset() for part in self.parts_of(self.study, each)
            )
            self.trials: tuple[Trial, ...] = together(self.parts)
            check_last_stages(self.trials)
            check_weights_used(next(iter(self._conditions.values())), self.trials, request.name)
            self.plan: Plan = make_plan(self.trials, self.store, machine, tapes, drops_features=drops_features)

    @property
    def scale(self) -> Scale:
        """The sizes of all trials."""
        return next(iter(self._conditions.values())).scale

    def conditions(self, request: Request) -> Conditions:
        """Preset, scale, datasets and weights of the request of a part."""
        return self._conditions[_datasets(request)]

    def parts_of(self, asked: Study | Suite, request: Request) -> tuple[Part, ...]:
        """The studies of a request for one of the datasets, with their trials.

        Raises:
            InputError: an unknown row or hyperparameter, or a value that does not fit.
        """
        conditions = self.conditions(request)
        return parts_of(asked, request, conditions, conditions.measured_on)

    def num_videos(self) -> dict[str, dict[str, int]]:
        """Number of videos of every dataset by side of the splits that its trials ask for."""
        return {self.conditions(same[0].request).title: self._num_videos(same) for same in self._by_dataset(self.parts)}

    def notes(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """Sentences that the plan and the report of these parts must show."""
        own = dict.fromkeys(note for part in parts for note in self.conditions(part.request).notes)
        return (*self.data_notes(), *own, *self.trial_notes(parts))

    def data_notes(self) -> tuple[str, ...]:
        """A note for every dataset of synthetic videos that do not exist yet."""
        asked = asked_synthetic_datasets(self.request)
        return tuple(each.unmade_note for each in asked if not each.is_made(self.home))

    def trial_notes(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """Notes on the trials of these parts: label fractions, queues, settings without effect, published numbers."""
        settings, trials = self.request.settings, together(parts)
        published = (PUBLISHED_NOTE,) if settings and any(part.study.published for part in parts) else ()
        with own_output_aside(self.request.study), translate_own_errors(self.request.study):
            own = dict.fromkeys(note for same in self._by_dataset(parts) for note in self._notes_of(same))
            return (*own, *setting_notes(trials, settings), *published)

    def check_weights(self) -> None:
        """Refuses to compute what starts from public weights, where none are named and no stand-in is asked for.

        Raises:
            InputError: weights are missing.
        """
        for same in self._by_dataset(self.parts) if self.plan.missing else ():
            for note in forgotten_weights_notes(self.conditions(same[0].request), together(same)):
                raise InputError(note)

    def plan_notes(self) -> tuple[str, ...]:
        """Notes on finished stages whose files have changed since under the same revision, or whose libraries have."""
        changed, warnings = self.plan.changed_sources, self.plan.warnings
        if not changed:
            return warnings
        first, most = next(iter(changed)), max(changed.values())
        others = f" and {len(changed) - 1} more" if changed.keys() - {first} else ""
        return (
            f"the file of {first}{others} changed since {most} of these stages were computed, but its revision did "
            f"not: raise `revision` if its numbers change. `{self.request.command('plan', '--json')}` lists all "
            "(changed_sources).",
            *warnings,
        )

    def context(self, part: Part) -> dict[str, str]:
        """Facts that the report of a part shows above its table."""
        return self.context_of(part.request, (part,))

    def context_of(self, request: Request, parts: Sequence[Part]) -> dict[str, str]:
        """Facts that the report of several parts shows above its table."""
        conditions, trials = self.conditions(parts[0].request), together(parts)
        return {
            "preset": f"{request.preset}: {conditions.preset.description}",
            "scale": f"{request.scale}: {conditions.scale.description}",
            "dataset": f"{conditions.dataset.name}, {in_words(self._num_videos(parts))} videos",
            **pretraining_fact(conditions, _splits(parts)),
            "seeds": str(len({trial.seed for trial in trials})),
            "date": datetime.now(UTC).date().isoformat(),
            "notes": "\n".join(
                (*self.notes(parts), *(note for part in parts for note in equal_row_notes(part.trials)))
            ),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": request.command("run"),
        }

    def _notes_of(self, parts: Sequence[Part]) -> Iterator[str]:
        """Notes on the trials of studies on one dataset, and on published numbers."""
        conditions, trials = self.conditions(parts[0].request), together(parts)
        asked = tuple(each for each in (conditions.pretrain_on, conditions.dataset) if each is not None)
        for notes in TRIAL_NOTES:
            yield from notes(conditions, trials)
        for part in parts:
            data, known = of_folds(conditions.measured_on, part.trials), part.study.all_published()
            yield from published_notes(part.study.published, known, data, asked)

    def _num_videos(self, parts: Sequence[Part]) -> dict[str, int]:
        return num_videos(self.conditions(parts[0].request), _splits(parts))

    def _by_dataset(self, parts: Sequence[Part]) -> list[list[Part]]:
        """The parts in groups, one for each dataset."""
        groups: dict[tuple[str | None, str | None], list[Part]] = {}
        for part in parts:
            groups.setdefault(_datasets(part.request), []).append(part)
        return list(groups.values())


def parts_of(asked: Study | Suite, request: Request, conditions: object, data: MeasuredOn) -> tuple[Part, ...]:
    """The studies of a request, with their trials.

    Args:
        asked: the study or suite that the request names.
        request: rows, seeds and settings; they hold for every study.
        conditions: preset, scale and dataset.
        data: the kinds of dataset, which decide the published numbers that results are compared with.

    Raises:
        InputError: an unknown row or hyperparameter, or a value that does not fit.
    """
    if isinstance(asked, Study):
        return (_part(asked, request, conditions, data),)
    chosen = asked.rows_by_study(request.rows)
    return tuple(
        _part(study, replace(request, study=study.name, rows=chosen[study.name]), conditions, data)
        for study in asked.studies
        if study.name in chosen
    )


def _datasets(request: Request) -> tuple[str | None, str | None]:
    """The datasets of a request, by which its conditions are known."""
    return request.dataset, request.pretrain_on


def _splits(parts: Sequence[Part]) -> list[object]:
    return [trial.parameters.get("split") for part in parts for trial in part.trials]


def _part(study: Study, request: Request, conditions: object, data: MeasuredOn) -> Part:
    study = study.under(conditions)
    request = replace(request, seeds=max(request.seeds, study.fewest_seeds))
    trials = study.trials(conditions, seeds=range(request.seeds), settings=request.settings, only=request.rows)
    return Part(study=study.on(of_folds(data, trials)), request=request, trials=trials)
