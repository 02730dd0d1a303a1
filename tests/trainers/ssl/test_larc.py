import math

import pytest
import torch
from torch import nn

from trainers.ssl.larc import LARCOptimisation

OPTIMISATION = LARCOptimisation(epochs=4, learning_rate=0.5, weight_decay=0.1, momentum=0.9, trust_coefficient=0.01)


def parameter(*values):
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def step(optimiser, weight, *gradient):
    weight.grad = torch.tensor(gradient, dtype=torch.float64)
    optimiser.step()


def test_steps_are_those_of_the_equation_with_momentum():
    w = parameter(3.0, -4.0)
    optimiser = OPTIMISATION.optimiser([{"params": [w]}])
    expected, velocity = [3.0, -4.0], [0.0, 0.0]
    for gradient in ([0.6, 0.8], [-2.0, 1.0], [0.0, 5.0]):
        step(optimiser, w, *gradient)
        length = math.hypot(*expected)
        rate = 0.01 * length / (math.hypot(*gradient) + 0.1 * length + 1e-8)
        velocity = [0.9 * v + rate * (g + 0.1 * x) for v, g, x in zip(velocity, gradient, expected, strict=True)]
        expected = [x - 0.5 * v for x, v in zip(expected, velocity, strict=True)]
        assert w.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_length_of_a_gradient_does_not_matter():
    moved = []
    for scale in (1.0, 1e6):
        w = parameter(3.0, -4.0)
        step(LARCOptimisation(weight_decay=0.0).optimiser([{"params": [w]}]), w, scale, 2 * scale)
        moved.append(w.tolist())
    assert moved[0] == pytest.approx(moved[1], abs=1e-9)


def test_a_parameter_or_gradient_of_zero_is_left_to_plain_gradient_descent():
    zero, still = parameter(0.0, 0.0), parameter(1.0, 1.0)
    optimiser = OPTIMISATION.optimiser([{"params": [zero, still]}])
    still.grad = torch.zeros_like(still)
    step(optimiser, zero, 1.0, -1.0)
    assert zero.tolist() == [-0.5, 0.5]
    assert still.tolist() == [1.0, 1.0]


def test_a_parameter_without_a_gradient_stays():
    w, other = parameter(3.0, -4.0), parameter(1.0)
    step(OPTIMISATION.optimiser([{"params": [w, other]}]), other, 1.0)
    assert w.tolist() == [3.0, -4.0]


def test_a_resumed_optimiser_takes_the_same_steps():
    whole, half = parameter(3.0, -4.0), parameter(3.0, -4.0)
    optimisers = [OPTIMISATION.optimiser([{"params": [each]}]) for each in (whole, half)]
    step(optimisers[0], whole, 1.0, 2.0)
    step(optimisers[1], half, 1.0, 2.0)
    resumed = OPTIMISATION.optimiser([{"params": [half]}])
    resumed.load_state_dict(optimisers[1].state_dict())
    step(optimisers[0], whole, -3.0, 1.0)
    step(resumed, half, -3.0, 1.0)
    assert torch.equal(whole, half)


def test_the_learning_rate_falls_along_a_cosine_to_its_final_value():
    optimisation = LARCOptimisation(epochs=4, learning_rate=0.6, final_learning_rate=0.2)
    rates = [optimisation.learning_rate_at(epoch) for epoch in (0, 2, 4)]
    assert rates == pytest.approx([0.6, 0.4, 0.2])
