"""Notes of a plan and a report on what trials start from: named public weights, those of the package, or stand-ins."""

from collections.abc import Iterable, Sequence

from search_spaces.protocol.conditions import KINDS, Conditions, described
from search_spaces.protocol.forgotten_weights import trained_stand_ins
from search_spaces.protocol.scales import Scale
from study import Trial
from study.core.graph import walk
from trainers.pretrained.public_weights import PublicWeights
from trainers.stage import InputError


def start_notes(conditions: Conditions, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Sentences on what trials start from in place of named public weights: the package's free models, and stand-ins.

    The rows of a comparison of free models say themselves what theirs is (`stand_in_notes`).
    """
    used = _used(trials)
    notes = [
        f"Whatever starts from {each.kind} public weights starts from the {described(each)}."
        for each in conditions.shipped
        if each.digest in used
    ]
    compared = {trial.row.parameters.get("free_model") for trial in trials if trial.row.teacher}
    others = [trial for trial in trials if trial.row.parameters.get("free_model") not in compared]
    trained = {kind for trial in others for kind in trained_stand_ins(trial.stage)}
    if trained:
        notes.append(_stand_in_note(conditions.scale, " and ".join(kind for kind in KINDS if kind in trained)))
    return tuple(notes)


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
    used = _used(trials)
    return list(dict.fromkeys(each.name for each in conditions.weights if each.digest not in used))


def _used(trials: Iterable[Trial]) -> set[str]:
    """Digests of the public weights that trials start from."""
    stages = walk(*(trial.stage for trial in trials)).values()
    return {stage.digest for stage in stages if isinstance(stage, PublicWeights)}


def _stand_in_note(scale: Scale, kinds: str) -> str:
    note = f"Whatever starts from {kinds} public weights starts from a stand-in, trained on drawn images"
    if not scale.has_published_weights:
        return (
            f"{note}: nobody publishes weights of the network of scale {scale.name}, but those of others can teach "
            "it, by `--weights NAME`."
        )
    return f"{note}, not ImageNet: `freelunch weights add FILE --name NAME` and `--weights NAME` take public ones."
