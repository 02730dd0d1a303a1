"""What every self-supervised method must do. A new method passes `CONTRACT` in test_method_contract.py."""

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tests.trainers.tiny import assert_same_state, copied, new_optimiser, take_steps
from trainers.ssl.method import Method

NUM_STEPS = 4

Make = Callable[[], Method]
"""Builds the method at its start, as often as it is called."""


def trains_its_encoder(make: Make) -> None:
    """The query encoder moves, the losses are finite, and every parameter that may learn gets a gradient."""
    method = make()
    before = copied(method.encoders.query.state_dict())
    losses = take_steps(method, range(NUM_STEPS))
    assert all(math.isfinite(value) for terms in losses for value in terms.values())
    after = method.encoders.query.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    learning = [(name, parameter) for name, parameter in method.named_parameters() if parameter.requires_grad]
    assert [name for name, parameter in learning if parameter.grad is None] == []


def resumes_exactly(make: Make) -> None:
    """Saved and loaded half-way, it goes on to the same bits."""
    whole, first_half, second_half = make(), make(), make()
    losses = take_steps(whole, range(NUM_STEPS))
    optimiser = new_optimiser(first_half)
    take_steps(first_half, range(NUM_STEPS // 2), optimiser)
    saved = copy.deepcopy((first_half.state_dict(), optimiser.state_dict()))
    second_half.load_state_dict(saved[0])
    resumed = new_optimiser(second_half)
    resumed.load_state_dict(saved[1])
    assert take_steps(second_half, range(NUM_STEPS // 2, NUM_STEPS), resumed) == losses[NUM_STEPS // 2 :]
    assert_same_state(second_half.state_dict(), whole.state_dict())


def moves_no_frozen_part(make: Make) -> None:
    """What is in eval mode while the method trains changes by no bit, parameters and buffers alike."""
    method = make()
    method.train()
    before = {name: value.clone() for name, value in frozen_parts(method)}
    assert not any(parameter.requires_grad for name, parameter in method.named_parameters() if name in before)
    take_steps(method, range(NUM_STEPS))
    assert_same_state(before, dict(frozen_parts(method)))


def gives_the_same_numbers_twice(make: Make) -> None:
    """Two runs are equal to the last bit, and draw nothing from torch's global generator."""
    first, second = make(), make()
    generator = torch.get_rng_state()
    losses = take_steps(first, range(NUM_STEPS))
    assert torch.equal(torch.get_rng_state(), generator)
    torch.rand(3)
    assert take_steps(second, range(NUM_STEPS)) == losses
    assert_same_state(first.state_dict(), second.state_dict())


CONTRACT = (trains_its_encoder, resumes_exactly, moves_no_frozen_part, gives_the_same_numbers_twice)


def frozen_parts(method: Method) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers that belong to modules in eval mode, by name."""
    for prefix, module in method.named_modules():
        if not module.training:
            own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            yield from ((f"{prefix}.{name}", value) for name, value in own)
