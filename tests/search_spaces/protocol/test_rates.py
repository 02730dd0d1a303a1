"""Rates of rows: those that recordings of 25 frames per second have, among the rows that are stored."""

from dataclasses import replace

import pytest

from search_spaces.protocol.scales import SCALES
from tests.search_spaces.protocol.test_presets import conditions
from trainers.stage import InputError


@pytest.mark.parametrize(("stored", "fps", "every"), [(5, 5, 5), (5, 1, 25), (5, 2.5, 10), (25, 12.5, 2), (25, 25, 1)])
def test_a_rate_is_whole_frames_from_row_to_row(stored: float, fps: float, every: int):
    found = replace(conditions(), scale=replace(SCALES["demo"], feature_fps=stored))
    assert found.sample_every(fps) == every


@pytest.mark.parametrize(
    ("stored", "fps", "sentence"),
    [
        (
            5,
            2,
            "rows at 2 per second are 12.5 frames of 25 per second apart: give scale demo and preset corrected rates",
        ),
        (5, 12.5, "rows at 12.5 per second are not all among the 5 per second that scale demo stores: give it a `feat"),
        (1, 5, "rows at 5 per second are not all among the 1 per second that scale demo stores"),
    ],
)
def test_a_rate_that_would_be_rounded_is_refused(stored: float, fps: float, sentence: str):
    found = replace(conditions(), scale=replace(SCALES["demo"], feature_fps=stored))
    with pytest.raises(InputError, match=sentence):
        found.sample_every(fps)
