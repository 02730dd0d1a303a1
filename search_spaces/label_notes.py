"""What a plan and a report say of label fractions that were raised, lest a phase be missing."""

from collections.abc import Iterable, Mapping, Sequence

from search_spaces.conditions import Conditions
from study.spec import Trial

DECISIVE = ("label_fraction", "split")
"""The hyperparameters that decide, with the seed, whose labels a trial learns from."""

Counts = Mapping[int, Sequence[int]]
"""Number of videos taken -> the seeds that take so many."""


def label_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence for every label fraction of the trials that takes more videos than it asks for."""
    raised: dict[tuple[float, int, int], dict[int, list[int]]] = {}
    for decided, seed in dict.fromkeys((_decided(trial), trial.seed) for trial in trials):
        here = conditions.having(**dict(decided))
        draw = here.label_draw(seed)
        if draw.is_raised:
            asked = (here.preset.label_fraction, draw.num_asked, len(here.videos().train))
            raised.setdefault(asked, {}).setdefault(len(draw.videos), []).append(seed)
    return tuple(_sentence(*asked, raised[asked]) for asked in sorted(raised))


def _decided(trial: Trial) -> tuple[tuple[str, object], ...]:
    """What a trial sets of the hyperparameters that decide its labels."""
    return tuple((name, trial.parameters[name]) for name in DECISIVE if name in trial.parameters)


def _sentence(fraction: float, num_asked: int, num_videos: int, taken: Counts) -> str:
    if len(taken) == 1:
        ((count, seeds),) = taken.items()
        told = f"{count} of {num_videos} training videos with {_seeds(seeds)}"
    else:
        counts = [f"{count} ({_seeds(seeds)})" for count, seeds in sorted(taken.items())]
        told = f"{', '.join(counts[:-1])} and {counts[-1]} of {num_videos} training videos"
    return (
        f"label_fraction {fraction:g} takes {told} instead of {num_asked}: fewer would leave a phase without a video."
    )


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
