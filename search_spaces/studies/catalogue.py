"""Every named study, and those that are asked together."""

from collections.abc import Iterable

from search_spaces.studies.attribution import attribution
from search_spaces.studies.fig3 import fig3
from search_spaces.studies.losses import losses
from search_spaces.studies.sweeps import sweep_lambda, sweep_queue, sweep_seeds, sweep_temperature
from search_spaces.studies.table1 import table1
from search_spaces.studies.table2 import table2
from search_spaces.studies.table3 import table3
from search_spaces.studies.teachers import teachers
from study import Study
from study.core.suite import Suite
from trainers.stage import InputError


def by_name(studies: Iterable[Study]) -> dict[str, Study]:
    """Studies by their names.

    Raises:
        InputError: two have one name.
    """
    found: dict[str, Study] = {}
    for study in studies:
        if study.name in found:
            raise InputError(f"two studies are named {study.name!r}: give each its own name.")
        found[study.name] = study
    return found


OF_THE_PAPER = (table1, table2, table3, fig3, sweep_lambda, sweep_temperature, sweep_queue, sweep_seeds)
BEYOND_THE_PAPER = (losses, attribution, teachers)
STUDIES = by_name((*OF_THE_PAPER, *BEYOND_THE_PAPER))

PAPER = Suite(
    name="paper",
    title="Every table, figure and hyperparameter of the paper",
    question="All studies of the paper as one plan: a stage that several of them need is computed once.",
    studies=OF_THE_PAPER,
    cost={"demo": "about 28 minutes on two CPU cores", "full": "28 students and 13 teachers, most of 200 epochs"},
)

SUITES = {PAPER.name: PAPER}
