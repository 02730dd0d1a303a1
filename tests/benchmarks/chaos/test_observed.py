from dataclasses import replace

import pytest

from benchmarks.chaos.observed import Observed, differences

CURVES = {"loss": ((1, 2.5), (2, 2.25))}
REFERENCE = Observed(
    results={"results.json": {"accuracy": 0.25}},
    artifacts={"key": {"weights.pt": "digest"}},
    trials=((0, "COMPLETE", [1.0], {}, {}),),
    runs={("table3", "head"): (("FINISHED", CURVES),)},
)


def test_what_is_the_same_has_no_differences():
    assert differences(REFERENCE, replace(REFERENCE)) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"results": {"results.json": {"accuracy": 0.25000000000000006}}}, "results results.json differs"),
        ({"artifacts": {}}, "artifact key is missing"),
        ({"artifacts": {**REFERENCE.artifacts, "other": {}}}, "artifact other is one too many"),
        ({"artifacts": {"key": {"weights.pt": "another"}}}, "artifact key differs"),
        ({"trials": ()}, "trials of the search differ: their number"),
        ({"runs": {}}, "MLflow's run table3/head is there 0 times instead of 1"),
        (
            {"runs": {("table3", "head"): (("RUNNING", CURVES),)}},
            "MLflow's run table3/head is RUNNING, not FINISHED",
        ),
        (
            {"runs": {("table3", "head"): (("FINISHED", {"loss": ((1, 2.5), (1, 2.5))}),)}},
            "MLflow's run table3/head, loss: 1 points are missing, 1 are too many",
        ),
    ],
)
def test_a_difference_is_told(changed: dict[str, object], sentence: str):
    assert differences(REFERENCE, replace(REFERENCE, **changed)) == [sentence]


def test_a_trial_that_was_stopped_early_may_have_got_less_far_but_has_no_point_twice():
    trials = ((0, "PRUNED", None, {}, {}),)
    reference = replace(REFERENCE, trials=trials, runs={("search", "trial 0, seed 0"): (("FINISHED", CURVES),)})
    for points, found in (((1, 2.5),), []), (((1, 2.5), (1, 2.5)), ["0 points are missing, 1 are too many"]):
        observed = replace(reference, runs={("search", "trial 0, seed 0"): (("FINISHED", {"loss": points}),)})
        assert [sentence.partition("loss: ")[2] for sentence in differences(reference, observed)] == found
