"""Training in two processes that torch joins, without Ray: the reference of what Ray's workers train."""

from dataclasses import replace
from pathlib import Path

from tests.trainers.process_group import run_in_processes
from tests.trainers.tiny import work
from trainers.ssl.pretrain import Pretrain
from trainers.stage import Resources


def train_in_two_processes(stage: Pretrain, inputs: dict[str, Path], output: Path) -> None:
    """Trains a stage to its end, into a folder."""
    run_in_processes(_train, f"{output}.meet", 2, stage, inputs, output)


def _train(rank: int, stage: Pretrain, inputs: dict[str, Path], output: Path) -> None:
    stage._train(replace(work(output, inputs), resources=Resources(workers=2)))
