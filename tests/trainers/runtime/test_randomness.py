import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.runtime.randomness import derived_seed, numpy_generator, torch_generator, torch_seeded

GOLDEN_SEEDS = (669524900764736855, 8412159273010625753)
GOLDEN_PERMUTATIONS = ([2, 6, 5, 7, 0, 4, 3, 1], [7, 2, 1, 4, 5, 6, 3, 0])
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
