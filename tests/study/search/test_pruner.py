"""Pruner: the decisions of Optuna's, and their epochs."""

import random

import optuna
import pytest
from optuna.trial import TrialState

from study.search.pruner import SuccessiveHalving


def test_halving_decides_as_optunas_pruner_does():
    drawn = random.Random(0)
    ours = SuccessiveHalving(9)
    optunas = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(direction="maximize", pruner=optunas)
    decisions = []
    for _ in range(60):
        trial, quality = study.ask(), drawn.random()
        for epoch in range(1, 9):
            trial.report(quality * epoch + drawn.gauss(0, 0.3), epoch)
            stop = trial.should_prune()
            frozen = study.get_trials()[-1]
            assert ours.prune(study, frozen) == stop
            assert ours.prune(study, frozen) == stop, "asked again, it says the same"
            decisions.append(stop)
            if stop:
                break
        study.tell(trial, state=TrialState.PRUNED if stop else None, values=None if stop else quality)
    assert 20 < sum(decisions) < len(decisions)


@pytest.mark.parametrize(("epochs", "rungs"), [(200, (23, 69)), (10, (2, 6)), (9, (1, 3)), (2, (1,)), (1, ())])
def test_trials_are_judged_at_a_ninth_and_a_third_of_their_epochs(epochs: int, rungs: tuple[int, ...]):
    assert SuccessiveHalving(epochs).rungs == rungs


def test_no_trial_is_stopped_at_the_first_measurement_of_a_short_training():
    watched = dict.fromkeys((3, 6, 9, 12), 50.0)
    trial = optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values=watched)
    assert SuccessiveHalving(12).decision_epochs([trial]) == (3, 6)
    assert SuccessiveHalving(12, first_epoch=6).decision_epochs([trial]) == (6,)
    assert SuccessiveHalving(200, first_epoch=20).rungs == SuccessiveHalving(200).rungs
    assert SuccessiveHalving(10, first_epoch=2).rungs == SuccessiveHalving(10).rungs
