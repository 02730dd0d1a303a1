from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.runtime.randomness import (
    CounterDraws,
    derived_seed,
    numpy_generator,
    torch_generator,
    torch_seeded,
)

GOLDEN_SEEDS = (669524900764736855, 8412159273010625753)
GOLDEN_PERMUTATIONS = ([2, 6, 5, 7, 0, 4, 3, 1], [7, 2, 1, 4, 5, 6, 3, 0])
GOLDEN_NUMBERS = [0.6915221791327242, 0.7906504752992524]
COUNTERS = st.lists(
    st.integers(0, 2**62) | st.text(st.characters(codec="utf-8", exclude_characters="\x1f")), max_size=3
)


@given(seed=st.integers(0, 2**62), purpose=st.sampled_from(["view", "permutation"]), counters=COUNTERS)
def test_a_seed_is_a_63_bit_function_of_its_arguments(seed, purpose, counters):
    value = derived_seed(seed, purpose, *counters)
    assert value == derived_seed(seed, purpose, *counters)
    assert 0 <= value < 2**63
    assert value != derived_seed(seed + 1, purpose, *counters)
    assert value != derived_seed(seed, purpose + "s", *counters)
    assert value != derived_seed(seed, purpose, *counters, 0)


def test_counters_do_not_run_into_each_other():
    assert len({derived_seed(*key) for key in ((0, "a", 1, 23), (0, "a", 12, 3), (0, "a1", 23), (0, "a", 123))}) == 4


def test_draws_are_what_they_have_always_been():
    assert derived_seed(0, "view") == GOLDEN_SEEDS[0]
    assert derived_seed(7, "view", 3, "digest", 125, 1) == GOLDEN_SEEDS[1]
    assert numpy_generator(7, "permutation", 2).permutation(8).tolist() == GOLDEN_PERMUTATIONS[0]
    assert torch.randperm(8, generator=torch_generator(7, "shuffle", 2)).tolist() == GOLDEN_PERMUTATIONS[1]


def test_numbers_of_a_thing_depend_on_its_names_alone():
    draws = CounterDraws(7, "view", 3)
    first = draws.numbers("digest", 125, 9)
    others = [
        CounterDraws(8, "view", 3).numbers("digest", 125, 9),
        CounterDraws(7, "region", 3).numbers("digest", 125, 9),
        CounterDraws(7, "view", 4).numbers("digest", 125, 9),
        draws.numbers("digests", 125, 9),
        draws.numbers("digest", 126, 9),
    ]
    assert not {number for numbers in others for number in numbers} & set(first)
    assert draws.numbers("digest", 125, 9) == first
    assert draws.numbers("digest", 125, 4) == first[:4]
    assert first[:2] == GOLDEN_NUMBERS


def test_numbers_are_uniform_over_frames():
    draws = CounterDraws(0, "view", 0)
    numbers = np.sort([number for frame in range(500) for number in draws.numbers("digest", frame, 8)])
    assert np.abs(numbers - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / np.sqrt(4000)  # Kolmogorov, p = 0.001


def test_threads_draw_at_once_what_one_draws_alone():
    draws = CounterDraws(7, "view", 3)
    expected = [draws.numbers("digest", frame, 40) for frame in range(300)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda frame: draws.numbers("digest", frame, 40), range(300))) == expected


def test_torchs_global_generator_is_seeded_inside_the_block_and_restored_after_it():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with torch_seeded(5, "dropout", 3):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with torch_seeded(5, "dropout", 3):
        assert torch.equal(torch.rand(2), inside)
    with torch_seeded(5, "dropout", 4):
        assert not torch.equal(torch.rand(2), inside)
