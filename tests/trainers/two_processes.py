"""Training in two processes that torch joins, without Ray: the reference of what Ray's workers train."""

import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed as group  # noqa: TID251  (the reference knows nothing of ours)
from torch import multiprocessing

from tests.trainers.tiny import work
from trainers.ssl.pretrain import Pretrain
from trainers.stage import Resources


def train_in_two_processes(stage: Pretrain, inputs: dict[str, Path], output: Path) -> None:
    """Trains a stage to its end, into a folder."""
    multiprocessing.spawn(_train, (stage, inputs, output), nprocs=2)


def _train(rank: int, stage: Pretrain, inputs: dict[str, Path], output: Path) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    group.init_process_group("gloo", f"file://{output}.meet", rank=rank, world_size=2)
    stage._train(replace(work(output, inputs), resources=Resources(workers=2)))
    group.destroy_process_group()
