"""Processes on this machine that torch joins; all are forked from one process that has imported what they need."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed as group  # noqa: TID251  (the reference knows nothing of ours)
from torch import multiprocessing

MODULES = ["torchvision", "timm", "trainers.ssl.pretrain", "tests.trainers.tiny"]


def run_in_processes(work: Callable[..., None], meet: str, num: int, *arguments: Any) -> None:
    """Calls `work(rank, *arguments)` in so many processes of one process group, which meet in a file."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(MODULES)
    given = (work, meet, num, arguments)
    multiprocessing.start_processes(_join, given, nprocs=num, start_method="forkserver")


def _join(rank: int, work: Callable[..., None], meet: str, num: int, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    group.init_process_group("gloo", f"file://{meet}", rank=rank, world_size=num)
    work(rank, *arguments)
    group.destroy_process_group()
