"""Trainings of which something can be recorded, and what they leave."""

from tests.trainers.tiny import BATCH, EMBEDDING, assert_same_state, work
from trainers.artifacts.history import read_history
from trainers.ssl.compress import CompRess
from trainers.ssl.disco import DisCo
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import read_weights
from trainers.ssl.seed import SEED

SIZES = {"queue_size": 2 * BATCH, "embedding_size": EMBEDDING}
EPOCHS = 2
STEPS = 3


class Killed(BaseException):
    """What a test ends a run with."""


def run(stage, output, inputs, **options):
    stage.run(work(output, inputs, **options))
    return output


def recorded(stage, kind, output, inputs, network, **options):
    """The stage that replays one of its tapes, and the inputs that it then has."""
    tape = stage.tapes()[kind]
    run(tape, output, {**inputs, "network": network}, **options)
    return stage.replaying(tape), {**inputs, "tape": output}


def result(output):
    return read_weights(output), read_history(output)


def assert_same_result(first, second):
    assert_same_state(result(first)[0], result(second)[0])
    assert result(first)[1] == result(second)[1]


METHODS = {
    "ours": lambda teacher: DistilledMoCo(**SIZES, teacher=teacher, distillation_weight=2.0),
    "seed": lambda teacher: SEED(**SIZES, teacher=teacher),
    "compress": lambda teacher: CompRess(**SIZES, teacher=teacher),
    "disco": lambda teacher: DisCo(**SIZES, teacher=teacher),
}
