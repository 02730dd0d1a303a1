"""Notes of a plan and a report on public weights that were named, and what of a trial uses them."""

from collections.abc import Iterable, Sequence

from search_spaces.protocol.conditions import Conditions
from study import Trial
from study.core.graph import walk
from trainers.pretrained.public_weights import PublicWeights
from trainers.stage import InputError


def unused_weights_notes(conditions: Conditions, trials: Sequence[Trial]) -> tuple[str, ...]:
    """A sentence on the named public weights that no trial uses."""
    left = unused_weights(conditions, trials)
    if not left:
        return ()
    are, them = ("are", "they change") if len(left) > 1 else ("is", "that changes")
    return (f"--weights {', '.join(left)} {are} used by no trial here: {them} nothing.",)


def stand_in_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence on the free models that are compared and are no public weights."""
    given = {each.name for each in conditions.weights} | {each.kind for each in conditions.shipped}
    rows = [trial.row for trial in trials if trial.row.parameters.get("free_model") not in given]
    compared = dict.fromkeys(row.teacher for row in rows if row.teacher)
    found = [f"{each.title} ({each.origin})" for each in compared]
    return (f"The free models are computed here: {'; '.join(found)}.",) if found else ()


def check_weights_used(conditions: Conditions, trials: Sequence[Trial], asked: str) -> None:
    """Refuses public weights of which the trials use none at all.

    Args:
        conditions: preset, scale, dataset and weights.
        trials: what is asked for.
        asked: the study or search, in words.

    Raises:
        InputError: weights are named, and no trial uses any of them.
    """
    left = unused_weights(conditions, trials)
    if left and len(left) == len({each.name for each in conditions.weights}):
        kinds = ", ".join(dict.fromkeys(f"{each.name} is {each.kind}" for each in conditions.weights))
        raise InputError(
            f"no trial of {asked} uses --weights {', '.join(left)} ({kinds}): leave it out, or name weights that its "
            "rows start from."
        )


def unused_weights(conditions: Conditions, trials: Iterable[Trial]) -> list[str]:
    """Names of the public weights that are in no trial; the same file may have several names."""
    stages = walk(*(trial.stage for trial in trials)).values()
    used = {stage.digest for stage in stages if isinstance(stage, PublicWeights)}
    return list(dict.fromkeys(each.name for each in conditions.weights if each.digest not in used))
