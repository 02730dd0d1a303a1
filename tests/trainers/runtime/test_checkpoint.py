import os

import pytest
import torch

from trainers.runtime import checkpoint


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    assert checkpoint.load(tmp_path) is None
    checkpoint.save(tmp_path, {"epoch": 3, "history": [{"epoch": 1.0, "loss": 0.5}], "weights": torch.arange(3)})
    state = checkpoint.load(tmp_path)
    assert state["epoch"] == 3
    assert state["history"] == [{"epoch": 1.0, "loss": 0.5}]
    assert torch.equal(state["weights"], torch.arange(3))


def test_the_next_one_replaces_it_and_nothing_is_left_beside_it(tmp_path):
    for epoch in (1, 2):
        checkpoint.save(tmp_path, {"epoch": epoch})
    assert checkpoint.load(tmp_path) == {"epoch": 2}
    assert os.listdir(tmp_path) == [checkpoint.FILE_NAME]
    checkpoint.discard(tmp_path)
    checkpoint.discard(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("last_call", ["fsync", "rename"])
def test_a_crash_while_writing_leaves_the_one_before(tmp_path, monkeypatch, last_call):
    checkpoint.save(tmp_path, {"epoch": 1})

    def crash(*_):
        raise SystemExit("killed")

    owner = os if last_call == "fsync" else type(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(owner, last_call, crash)
        with pytest.raises(SystemExit):
            checkpoint.save(tmp_path, {"epoch": 2})
    assert checkpoint.load(tmp_path) == {"epoch": 1}
    checkpoint.save(tmp_path, {"epoch": 2})
    assert checkpoint.load(tmp_path) == {"epoch": 2}
