"""What workers of a test compute: in a module that imports little, since every worker imports it."""

import os

import torch

from trainers.runtime import distributed
from trainers.stage import InputError


def changed_umask(umask):
    """The umask of this process before."""
    return os.umask(umask)


def write_and_raise_on_the_last_worker(work):
    print("hello")
    print(f"umask {changed_umask(0o077):03o}")
    distributed.all_gather(torch.ones(1))  # both have written
    if distributed.is_first():
        distributed.all_gather(torch.ones(1))  # where it waits for the other
    os.write(2, b"what a library writes")
    raise InputError("what went wrong")
