"""One thread for tests, whatever a stage sets for its process, and a checkpoint after every epoch, however short."""

from collections.abc import Iterator

import pytest
import torch

from trainers.runtime import checkpoint


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MOST_OF_TIME", 1e9)
