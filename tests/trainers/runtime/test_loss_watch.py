import pytest
import torch

from trainers.runtime.loss_watch import LAG_STEPS, LossWatch, lag_on, not_finite
from trainers.stage import InputError


def kept():
    return "the last good checkpoint is that of epoch 3"


NAN, INF = float("nan"), float("inf")


def test_a_cpu_reads_a_loss_at_once_and_a_gpu_a_fixed_number_of_steps_later():
    assert lag_on(torch.device("cpu")) == 0
    assert lag_on(torch.device("cuda", 1)) == LAG_STEPS > 0


@pytest.mark.parametrize("lag", [0, 3])
def test_the_first_step_that_is_not_finite_is_named_however_late_it_is_read(lag: int):
    watch = LossWatch(3, "do less", kept, lag_steps=lag)
    for step, loss in enumerate([1.0, NAN, INF, 1.0, 1.0][: 1 + lag]):
        watch.see(step, torch.tensor(loss))
    with pytest.raises(
        InputError, match=r"nan at step 2 of epoch 4 \(the last good checkpoint is that of epoch 3\): do less\."
    ):
        watch.see(1 + lag, torch.tensor(NAN))


def test_losses_that_are_still_on_their_way_are_read_at_the_end_of_the_epoch():
    watch = LossWatch(3, "do less", kept, lag_steps=9)
    watch.see(0, torch.tensor(1.0))
    watch.see(1, torch.tensor(NAN))
    with pytest.raises(InputError, match="the loss became nan at step 2 of epoch 4"):
        watch.end(1.0, {})


def test_a_mean_that_is_not_finite_is_refused_though_every_loss_is():
    with pytest.raises(
        InputError,
        match=r"the mean loss became inf in epoch 1 \(the last good checkpoint is that of epoch 3\): do less",
    ):
        LossWatch(0, "do less", kept).end(INF, {})


def test_before_a_checkpoint_within_an_epoch_losses_on_their_way_and_weights_are_checked():
    watch = LossWatch(3, "do less", kept, lag_steps=9)
    watch.see(0, torch.tensor(1.0))
    watch.check(1, {"weight": torch.ones(2)})
    with pytest.raises(InputError, match="weight is no longer finite after step 1 of epoch 4"):
        watch.check(1, {"weight": torch.tensor(INF)})
    watch.see(1, torch.tensor(NAN))
    with pytest.raises(InputError, match="the loss became nan at step 2 of epoch 4"):
        watch.check(2, {})


def test_the_loss_that_is_shown_stays_as_it_is():
    loss = torch.tensor(2.0, requires_grad=True)
    LossWatch(0, "do less", kept).see(0, loss)
    loss.backward()
    assert loss.item() == 2


def test_the_first_tensor_that_is_not_finite_is_named():
    state = {"steps": 3, "counts": torch.tensor([1]), "weight": torch.ones(2), "bias": torch.tensor([0.0, -INF])}
    assert not_finite({**state, "last": torch.tensor(NAN)}) == "bias"
    assert not_finite({**state, "bias": torch.zeros(1)}) is None
