"""Planning: a request becomes the trials of a study on a dataset, and the plan of their stages."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.label_notes import label_notes
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.queue_notes import queue_notes
from search_spaces.protocol.trial_splits import fold_notes, num_videos
from study.cli.demo import DEMO, UNMADE_NOTE, asks_for_demo, is_made, unmade_demo
from study.cli.resolve import check_last_stages, find_study, translate_own_study_errors
from study.cli.videos import find_scale
from study.core.manifest import versions
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.study import Study, Trial, setting_notes
from study.core.suite import Part, Suite, together
from study.home.request import Request
from study.home.sharing import check_shared
from study.home.text import nearest
from trainers.data.datasets import registry as datasets
from trainers.pretrained import registry as weights_registry
from trainers.stage import InputError

FULL_SCALE_DATASET = "cholec80"
TRIAL_NOTES = (label_notes, queue_notes, fold_notes)
PUBLISHED_NOTE = "Published numbers are of the paper's settings, not of those that --set has fixed."


class PlannedStudy:
    """A study request, with everything that it names looked up, and the plan of its stages; nothing is written.

    Attributes:
        request: the request.
        study: the study that it names, or the suite of studies.
        home: the home folder.
        store: the artifacts of the home folder.
        conditions: preset, scale, dataset and weights.
        parts: every study of the request, with its own trials.
        trials: the trials of all parts, in table order.
        plan: the stages of all trials.

    Raises:
        InputError: the request names something that does not exist, or a value that does not fit.
        MachineError: the home folder cannot be used.
    """

    def __init__(self, home: Path, request: Request, *, brief: bool = False) -> None:
        self.request = request
        self.study: Study | Suite = find_study(request.study)
        self.home = home
        check_shared(home, writing=False)
        self.store = Store(home, create=False)
        self.conditions: Conditions = replace(conditions_of(self.store, request), brief=brief)
        layout = self.conditions.dataset.layout
        with translate_own_study_errors(request.study):
            self.parts: tuple[Part, ...] = parts_of(self.study, request, self.conditions, layout)
            self.trials: tuple[Trial, ...] = together(self.parts)
            check_last_stages(self.trials)
            self.plan: Plan = make_plan(self.trials, self.store)

    def num_videos(self) -> dict[str, int]:
        """Number of videos by side of the splits that the trials ask for; unlabelled ones only where there are any."""
        return num_videos(self.conditions, (trial.parameters.get("split") for trial in self.trials))

    def notes(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """Sentences that the plan and the report of these parts must show."""
        return (*self.data_notes(), *self.conditions.notes, *self.trial_notes(parts))

    def data_notes(self) -> tuple[str, ...]:
        """A note where the demo's videos do not exist yet."""
        return (UNMADE_NOTE,) if asks_for_demo(self.request) and not is_made(self.home) else ()

    def trial_notes(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """Notes on the trials of these parts: label fractions, queues, settings without effect, published numbers."""
        settings, trials = self.request.settings, together(parts)
        published = (PUBLISHED_NOTE,) if settings and any(part.study.published for part in parts) else ()
        with translate_own_study_errors(self.request.study):
            own = [note for notes in TRIAL_NOTES for note in notes(self.conditions, trials)]
            return (*own, *setting_notes(trials, settings), *published)

    def context(self, part: Part) -> dict[str, str]:
        """Facts that the report of a part shows above its table."""
        return self.context_of(part.request, (part,))

    def context_of(self, request: Request, parts: Sequence[Part]) -> dict[str, str]:
        """Facts that the report of several parts shows above its table."""
        conditions, trials = self.conditions, together(parts)
        sides = ", ".join(f"{count} {side}" for side, count in self.num_videos().items())
        return {
            "preset": f"{request.preset}: {conditions.preset.description}",
            "scale": f"{request.scale}: {conditions.scale.description}",
            "dataset": f"{conditions.dataset.name}, {sides} videos",
            "seeds": str(len({trial.seed for trial in trials})),
            "date": datetime.now(UTC).date().isoformat(),
            "notes": " ".join(self.notes(parts)),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": request.command("run"),
        }


def parts_of(asked: Study | Suite, request: Request, conditions: object, layout: str) -> tuple[Part, ...]:
    """The studies of a request, with their trials.

    Args:
        asked: the study or suite that the request names.
        request: rows, seeds and settings; they hold for every study.
        conditions: preset, scale and dataset.
        layout: of the dataset; it decides which published numbers results are compared with.

    Raises:
        InputError: an unknown row or hyperparameter, or a value that does not fit.
    """
    if isinstance(asked, Study):
        return (_part(asked, request, conditions, layout),)
    chosen = asked.rows_by_study(request.rows)
    return tuple(
        _part(study, replace(request, study=study.name, rows=chosen[study.name]), conditions, layout)
        for study in asked.studies
        if study.name in chosen
    )


def conditions_of(store: Store, request: Request) -> Conditions:
    """Preset, scale and dataset of a request; the demo's videos need not exist yet.

    Raises:
        InputError: one of them does not exist.
    """
    if request.preset not in PRESETS:
        raise InputError(f"no preset named {request.preset!r}{nearest(request.preset, PRESETS)}")
    scale = find_scale(request.scale)
    folder = store.home / "datasets"
    if not asks_for_demo(request):
        dataset = datasets.load(folder, request.dataset or FULL_SCALE_DATASET)
    else:
        dataset = datasets.load(folder, DEMO) if is_made(store.home) else unmade_demo()
    weights = tuple(weights_registry.load(store.home / "weights", each) for each in request.weights)
    return Conditions(preset=PRESETS[request.preset], scale=scale, dataset=dataset, weights=weights)


def _part(study: Study, request: Request, conditions: object, layout: str) -> Part:
    request = replace(request, seeds=max(request.seeds, study.fewest_seeds))
    trials = study.trials(conditions, seeds=range(request.seeds), settings=request.settings, only=request.rows)
    return Part(study=study.on(layout), request=request, trials=trials)
