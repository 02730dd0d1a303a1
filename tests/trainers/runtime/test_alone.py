"""Collectives of a process that has no group, or whose group has ended."""

import pytest
import torch

from trainers.runtime import distributed


def test_alone_every_collective_is_the_identity():
    x = torch.rand(6, 2)
    before = x.clone()
    assert distributed.all_gather(x) is x
    assert distributed.local_rows(x) is x
    assert torch.equal(distributed.reordered(x, torch.arange(6)), x)
    assert torch.equal(distributed.reordered(x, torch.arange(6).flip(0)), x.flip(0))
    distributed.average_([x])
    distributed.broadcast_([x])
    assert torch.equal(x, before)
    assert distributed.local_slice(6) == slice(0, 6)
    assert distributed.global_batch(6) == 6
    assert distributed.is_first()


def test_a_process_whose_group_has_ended_does_not_go_on_alone(monkeypatch):
    monkeypatch.setattr(distributed._Membership, "joined", False)
    assert (distributed.world_size(), distributed.rank()) == (1, 0)
    with monkeypatch.context() as joined:
        joined.setattr(distributed.group, "is_initialized", lambda: True)
        joined.setattr(distributed.group, "get_world_size", lambda: 2)
        assert distributed.world_size() == 2
    for ask in (distributed.world_size, distributed.rank, distributed.is_first):
        with pytest.raises(distributed.WorkerLostError, match="group has ended"):
            ask()
