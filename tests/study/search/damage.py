"""Damaged artifacts in the middle of a search, and their repair."""

import re

from study import Trial
from study.core.graph import walk
from study.core.manifest import LOG
from study.core.plan import Plan
from study.core.store import Store
from study.search.observer import SearchObserver

AT_FAULT = "the machine is at fault, not the hyperparameters. "


def damage(store: Store, stage_key: str, name: str = LOG) -> None:
    """Changes a file of a published artifact."""
    path = store.check(stage_key) / name
    path.write_bytes(path.read_bytes() + b"!")


def repair(store: Store, sentence: str) -> None:
    """Runs the command that a sentence names."""
    (command,) = re.findall(r"`freelunch remove (\w+)`", sentence)
    store.remove(store.key_beginning(command))


def data_of(trial: Trial) -> str:
    """The key of the data of a trial without a teacher; no hyperparameter changes it."""
    return next(stage_key for stage_key, stage in walk(trial.stage).items() if stage.title == "Data")


class DataDamager(SearchObserver):
    """Damages the data when the third trial begins."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        if trial.number == 2:
            damage(self._store, data_of(trial))
