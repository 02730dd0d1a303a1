"""Notes of a plan and a report on label fractions that were raised so that no phase is missing."""

from collections.abc import Iterable, Mapping, Sequence

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import SplitName, is_split
from study import Trial
from study.core.graph import walk
from trainers.data.datasets.label_fraction import Draw
from trainers.data.ingest.video import Ingest
from trainers.stage import InputError

Draws = tuple[float | None, SplitName | None, int]
"""Label fraction, split and seed: they decide whose labels a trial learns from."""
Counts = Mapping[int, Sequence[int]]
"""Number of videos taken -> the seeds that take this number."""


def label_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence for every label fraction of the trials that takes more videos than it asks for.

    A user's recipe may mean something else by these names: a trial counts only where one of its stages reads exactly
    the videos that its values draw.
    """
    raised: dict[tuple[float, int, int], dict[int, list[int]]] = {}
    for (fraction, split, seed), alike in _by_values(trials).items():
        draw = _draw(conditions, seed, fraction, split)
        if draw is not None and draw.is_raised and any(_reads(trial, draw.videos) for trial in alike):
            fraction = conditions.preset.label_fraction if fraction is None else fraction
            asked = (fraction, draw.num_asked, len(conditions.videos(split).train))
            raised.setdefault(asked, {}).setdefault(len(draw.videos), []).append(seed)
    return tuple(_sentence(*asked, raised[asked]) for asked in sorted(raised))


def _by_values(trials: Iterable[Trial]) -> dict[Draws, list[Trial]]:
    """The trials by what decides their labels, without those whose values the recipes of this repository refuse."""
    found: dict[Draws, list[Trial]] = {}
    for trial in trials:
        fraction, split = trial.parameters.get("label_fraction"), trial.parameters.get("split")
        if isinstance(fraction, float | None) and is_split(split):
            found.setdefault((fraction, split, trial.seed), []).append(trial)
    return found


def _draw(conditions: Conditions, seed: int, fraction: float | None, split: SplitName | None) -> Draw | None:
    """The draw of a seed; None where it is refused: a trial that exists all the same means something else."""
    try:
        return conditions.label_draw(seed, fraction, split)
    except InputError:
        return None


def _reads(trial: Trial, videos: tuple[Ingest, ...]) -> bool:
    """Whether a stage of a trial reads these videos and no others."""
    values = (value for stage in walk(trial.stage).values() for value in vars(stage).values())
    return any(isinstance(value, tuple) and value == videos for value in values)


def _sentence(fraction: float, num_asked: int, num_videos: int, taken: Counts) -> str:
    if len(taken) == 1:
        ((count, seeds),) = taken.items()
        counted = f"{count} of {num_videos} training videos with {_seeds(seeds)}"
    else:
        counts = [f"{count} ({_seeds(seeds)})" for count, seeds in sorted(taken.items())]
        counted = f"{', '.join(counts[:-1])} and {counts[-1]} of {num_videos} training videos"
    too_few = "fewer would leave a phase without a video"
    return f"label_fraction {fraction:g} takes {counted} instead of {num_asked}: {too_few}."


def _seeds(seeds: Sequence[int]) -> str:
    """Seeds in order, neighbours as a range: seeds 0 to 3, 7."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(texts)}"
