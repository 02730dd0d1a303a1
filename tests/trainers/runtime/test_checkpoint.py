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


def test_at_the_end_of_an_epoch_one_is_due_unless_writing_takes_too_much_of_the_time(monkeypatch):
    monkeypatch.setattr(checkpoint, "MOST_OF_TIME", 0.02)
    now = [0.0]
    pace = checkpoint.Pace(lambda: now[0])
    assert pace.is_due()
    with pace.writing():
        now[0] += 1
    now[0] += 49
    assert not pace.is_due()
    now[0] += 1
    assert pace.is_due()


def test_within_an_epoch_the_last_one_must_be_old_too():
    now = [0.0]
    pace = checkpoint.Pace(lambda: now[0])
    now[0] = checkpoint.PERIOD_SECONDS - 1
    assert not pace.is_due(within_epoch=True)
    now[0] += 1
    assert pace.is_due(within_epoch=True)


def test_one_that_cannot_be_read_is_left_alone_with_a_line(tmp_path, capsys):
    (tmp_path / checkpoint.FILE_NAME).write_bytes(b"no checkpoint")
    assert checkpoint.load(tmp_path) is None
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("the checkpoint is left alone, and training starts again (it cannot be read: ")


def test_the_last_one_is_described(tmp_path):
    assert checkpoint.described(tmp_path) == "there is no checkpoint yet"
    checkpoint.save(tmp_path, {"epoch": 3})
    assert checkpoint.described(tmp_path) == "the last good checkpoint is that of epoch 3"
    checkpoint.save(tmp_path, {"epoch": 3, "step": 5})
    assert checkpoint.described(tmp_path) == "the last good checkpoint is that of step 5 of epoch 4"


def test_the_first_difference_of_states_is_named():
    state = {"weight": torch.ones(2), "seen": 3}
    assert checkpoint.difference(state, {"weight": torch.zeros(2), "seen": 4}) == ""
    assert checkpoint.difference(state, {"weight": torch.ones(3), "seen": 3}) == "weight is (3,), not (2,)"
    assert checkpoint.difference(state, {"seen": 3}) == "weight is missing from it"
    assert checkpoint.difference({"seen": 3}, state) == "weight is unknown here"
