"""Trials that a search is expected to have, for its plan: as many points as it will try, drawn at random."""

from collections.abc import Iterator
from itertools import islice

import optuna

from study.core.graph import key
from study.core.study import Trial
from study.search.sampling import sample
from study.search.space import Space
from trainers.stage import InputError

MOST = 200
"""Trials that are drawn: plans of further ones would say nothing new."""
ATTEMPTS = 10
"""Points that are drawn for each of them: some are refused, or lead to stages that are drawn already."""


def expected_trials(space: Space, number: int, seed: int) -> list[Trial]:
    """As many trials as asked for, at most MOST: the first at the initial point, where there is one, others at random.

    Fewer, where the space has not so many points.

    Args:
        space: what is searched.
        number: of the trials.
        seed: of the points.
    """
    number = min(number, MOST)
    known: dict[str, Trial] = {}
    for trial in islice(_drawn(space, seed), ATTEMPTS * number):
        known.setdefault(key(trial.stage), trial)
        if len(known) == number:
            break
    return list(known.values())


def _drawn(space: Space, seed: int) -> Iterator[Trial]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    first = space.initial_point()
    if first is not None:
        yield space.trial(0, first)
    for number in range(1, ATTEMPTS * MOST + 1):
        try:
            yield space.trial(number, sample(space, study, number, seed, attempt=0))
        except InputError:  # a point that the recipe refuses
            continue
