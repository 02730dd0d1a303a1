import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.ssl.queue import NO_FRAME, Queue


def embedding(frames, dimension):
    """A key that says which frame it is of."""
    return frames[:, None] * 10.0 + torch.arange(dimension)


def fill(queue, start, count):
    frames = torch.arange(start, start + count)
    queue.enqueue({"student": embedding(frames, 3), "teacher": embedding(frames, 5)}, frames)


def new_queue(size=12, seed=0):
    return Queue(size, {"student": 3, "teacher": 5}, seed)


def assert_aligned(queue):
    filled = queue.frame_ids != NO_FRAME
    frames = queue.frame_ids[filled]
    assert torch.equal(queue.bank("student")[:, filled], embedding(frames, 3).T)
    assert torch.equal(queue.bank("teacher")[:, filled], embedding(frames, 5).T)


def test_columns_start_as_random_directions_that_depend_on_seed_and_bank():
    queue, same, other = new_queue(), new_queue(), new_queue(seed=1)
    assert torch.allclose(queue.bank("teacher").norm(dim=0), torch.ones(12))
    assert torch.equal(queue.bank("teacher"), same.bank("teacher"))
    assert not torch.equal(queue.bank("teacher"), other.bank("teacher"))
    assert not torch.equal(queue.bank("teacher")[:3], queue.bank("student"))
    assert queue.num_filled == 0
    assert (queue.frame_ids == NO_FRAME).all()


def test_another_bank_beside_it_does_not_change_a_banks_start():
    assert torch.equal(Queue(12, {"student": 3}, 0).bank("student"), new_queue().bank("student"))


def test_the_oldest_keys_leave_first():
    queue = new_queue()
    seen = []
    for step in range(8):
        fill(queue, 4 * step, 4)
        seen += range(4 * step, 4 * step + 4)
        kept = queue.frame_ids[queue.frame_ids != NO_FRAME].tolist()
        assert sorted(kept) == seen[-12:]
        assert queue.num_filled == len(kept)
        assert queue.pointer == 4 * (step + 1) % 12


def test_columns_not_yet_filled_keep_their_start():
    queue, start = new_queue(), new_queue()
    fill(queue, 0, 4)
    assert torch.equal(queue.bank("student")[:, 4:], start.bank("student")[:, 4:])
    assert (queue.frame_ids[4:] == NO_FRAME).all()


@given(batch=st.sampled_from([1, 2, 3, 4, 6, 12]), steps=st.integers(0, 20), resumed_after=st.integers(0, 20))
def test_a_column_holds_the_same_frame_in_both_banks_after_any_number_of_steps_and_a_resume(
    batch, steps, resumed_after
):
    queue = new_queue()
    for step in range(steps):
        fill(queue, batch * step, batch)
        assert_aligned(queue)
        if step == resumed_after:
            state, queue = queue.state_dict(), new_queue(seed=9)
            queue.load_state_dict(state)
    assert queue.num_filled == min(batch * steps, 12)
    assert_aligned(queue)


def test_state_survives_a_file():
    queue, loaded = new_queue(), new_queue(seed=9)
    for step in range(4):
        fill(queue, 4 * step, 4)
    file = io.BytesIO()
    torch.save(queue.state_dict(), file)
    file.seek(0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    assert (loaded.num_seen, loaded.pointer, loaded.num_filled) == (16, 4, 12)
    fill(queue, 16, 4)
    fill(loaded, 16, 4)
    for name in ("student", "teacher", "frame_ids"):
        assert torch.equal(queue.get_buffer(name), loaded.get_buffer(name))


def test_a_batch_that_does_not_divide_the_queue_is_an_error_and_never_misaligns():
    queue = new_queue()
    for start in (0, 5):
        fill(queue, start, 5)
    with pytest.raises(RuntimeError):
        fill(queue, 10, 5)
    assert_aligned(queue)
