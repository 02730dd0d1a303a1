"""Points of a search space: the first ones spread over every axis, all others drawn by Optuna's TPE sampler."""

import hashlib
import math
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from study.core.rows import Choice
from study.search.domains import Axis, LogUniform, PowerOfTwo, Uniform, domain_of, is_active, is_optional, rounded
from study.search.space import Parameters, Space

INCLUDE = CategoricalDistribution((False, True))
"""Whether an optional hyperparameter is set."""
NUM_FIRST = 8
"""Points that are spread over the space before TPE learns from trials: Optuna's 10 would be most of a short search."""


def sample(space: Space, study: optuna.Study, number: int, seed: int, attempt: int) -> dict[str, Any]:
    """A point of a space, as a function of the study's trials, the number of the new trial, and the seed.

    The first ones are a Latin hypercube (McKay et al., Technometrics 1979): each lies in another eighth of every axis.

    Args:
        space: what is searched.
        study: the trials so far.
        number: of the trial that the point is for.
        seed: of the search.
        attempt: counts the points that were drawn for the same trial, from 0.
    """
    derived = _derived_seed(seed, number, attempt)
    spread = _Spread(seed, number) if number < NUM_FIRST and attempt == 0 else None
    sampler = optuna.samplers.TPESampler(  # one axis at a time: the space depends on the point
        seed=derived, multivariate=False, n_startup_trials=NUM_FIRST
    )
    blank = optuna.create_trial(state=TrialState.RUNNING)
    blank.number = number

    def draw(name: str, values: BaseDistribution) -> Any:
        return spread.draw(name, values) if spread else sampler.sample_independent(study, blank, name, values)

    parameters: dict[str, Any] = {}
    for name, axis in space.axes.items():
        if not is_active(axis, {**space.fixed, **parameters}):
            continue
        if is_optional(axis) and not draw(inclusion(name), INCLUDE):
            continue
        unit = space.unit(name)
        parameters[name] = _snapped(axis, unit, draw(name, distribution(axis, unit)))
    return parameters


class _Spread:
    """One of the first points: on every axis it has a part of the values that no other of them has."""

    def __init__(self, seed: int, number: int) -> None:
        self._seed, self._number = seed, number

    def draw(self, name: str, values: BaseDistribution) -> Any:
        """A value of the point's part of a distribution."""
        generator = np.random.default_rng(_derived_seed(self._seed, name))
        parts, places = generator.permutation(NUM_FIRST), generator.random(NUM_FIRST)
        return _at_share(values, float(parts[self._number] + places[self._number]) / NUM_FIRST)


def as_optuna_trial(space: Space, parameters: Parameters, attributes: dict[str, Any]) -> FrozenTrial:
    """A running Optuna trial at a point, which no storage has yet; `attributes` are its user attributes."""
    distributions = _distributions(space, parameters)
    inclusions = {inclusion(name) for name in parameters}
    return optuna.create_trial(
        state=TrialState.RUNNING,
        params={name: parameters.get(name, name in inclusions) for name in distributions},
        distributions=distributions,
        user_attrs=attributes,
    )


def inclusion(name: str) -> str:
    """Name in Optuna of the decision whether an optional hyperparameter is set."""
    return f"{name} of its own"


def distribution(axis: Axis, unit: int) -> BaseDistribution:
    """Optuna's distribution of the values of an axis."""
    match domain_of(axis):
        case Uniform(low, high):
            return FloatDistribution(low, high)
        case LogUniform(low, high):
            return FloatDistribution(low, high, log=True)
        case PowerOfTwo(low, high):
            # Half a power more on both sides, so that the outer ones are as probable as the others.
            return IntDistribution(math.ceil(low * unit / math.sqrt(2)), int(high * unit * math.sqrt(2)), log=True)
        case Choice(values):
            return CategoricalDistribution(values)  # type: ignore[arg-type]


def _distributions(space: Space, parameters: Parameters) -> dict[str, BaseDistribution]:
    """The distribution of each value of a point, inclusions of optional hyperparameters among them."""
    distributions: dict[str, BaseDistribution] = {}
    for name, axis in space.axes.items():
        if is_optional(axis) and is_active(axis, {**space.fixed, **parameters}):
            distributions[inclusion(name)] = INCLUDE
        if name in parameters:
            distributions[name] = distribution(axis, space.unit(name))
    return distributions


def _snapped(axis: Axis, unit: int, value: Any) -> Any:
    """The nearest value that the axis takes."""
    match domain_of(axis):
        case Uniform() | LogUniform():
            return rounded(value)
        case PowerOfTwo() as domain:
            return domain.nearest(value, unit)
    return value


def _at_share(values: BaseDistribution, share: float) -> Any:
    """The value of a distribution below which it has a share of its values, 0 to 1."""
    match values:
        case CategoricalDistribution():
            return values.choices[min(int(share * len(values.choices)), len(values.choices) - 1)]
        case FloatDistribution(log=True) | IntDistribution(log=True):
            drawn = math.exp(math.log(values.low) + share * (math.log(values.high) - math.log(values.low)))
        case FloatDistribution() | IntDistribution():
            drawn = values.low + share * (values.high - values.low)
        case _:
            raise AssertionError(values)
    inside = min(max(drawn, values.low), values.high)
    return round(inside) if isinstance(values, IntDistribution) else inside


def _derived_seed(*parts: int | str) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest())
