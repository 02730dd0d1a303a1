"""Stand-ins for public weights, which a study at the size of published networks trains only where it is asked to."""

from collections.abc import Iterable, Iterator

from search_spaces.protocol.conditions import KINDS, Conditions
from study import Trial
from study.core.graph import inputs, walk
from trainers.data.synthetic.generic_images import GenericImages
from trainers.pretrained.contents import Kind
from trainers.pretrained.supervised import TrainClassifier
from trainers.stage import Stage


def forgotten_weights_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence on the weights that were forgotten; none where rows need none, or stand-ins are asked for.

    Nobody publishes weights of the networks of small scales: these never ask.
    """
    if conditions.stand_in or not conditions.scale.has_published_weights:
        return ()
    found: dict[Kind, list[str]] = {}
    for trial in trials:
        for kind in set(trained_stand_ins(trial.stage)):
            found.setdefault(kind, []).append(trial.row.name)
    if not found:
        return ()
    kinds = " and ".join(kind for kind in KINDS if kind in found)
    rows = list(dict.fromkeys(row for kind in KINDS for row in found.get(kind, ())))
    named = f"row {rows[0]} starts" if len(rows) == 1 else f"rows {', '.join(rows[:-1])} and {rows[-1]} start"
    return (
        f"No {kinds} public weights are named, from which {named}: give `--weights NAME` "
        "(`freelunch weights add FILE --name NAME` takes a file, `freelunch weights add hf:ORGANISATION/REPOSITORY` or "
        "`torchvision:MODEL` a download), or `--stand-in` to train stand-ins on drawn images.",
    )


def trained_stand_ins(last: Stage) -> Iterator[Kind]:
    """The kinds of public weights in whose place a trial trains on drawn images."""
    for stage in walk(last).values():
        if any(isinstance(needed, GenericImages) for needed in inputs(stage).values()):
            yield "supervised" if isinstance(stage, TrainClassifier) else "self-supervised"
