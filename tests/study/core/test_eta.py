"""The time that is left: a stage at work goes on at its own pace."""

from pathlib import Path

import pytest

from study.core.eta import Forecast
from study.core.plan import make_plan
from study.core.store import Store
from tests.study.core.test_plan import STUDY, Clip


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def forecast(tmp_path: Path, clock: Clock) -> Forecast:
    return Forecast(make_plan(STUDY.trials(3), Store(tmp_path)), clock)


def report(forecast: Forecast, clock: Clock, now: float, fraction: float) -> float:
    clock.now = now
    forecast.advance(Clip(name="0"), fraction)
    return forecast.stage_seconds(Clip(name="0"))


def test_a_stage_is_expected_to_go_on_at_its_own_pace_once_it_has_one(forecast: Forecast, clock: Clock):
    assert report(forecast, clock, 0, 0.0) == 10
    assert report(forecast, clock, 1, 0.001) == pytest.approx(10, rel=0.01)  # too little to go by
    assert report(forecast, clock, 100, 0.25) == pytest.approx(300)
    clock.now = 150
    assert forecast.stage_seconds(Clip(name="0")) == pytest.approx(250)


def test_the_pace_is_that_of_this_run_alone(forecast: Forecast, clock: Clock):
    report(forecast, clock, 0, 0.5)
    assert report(forecast, clock, 10, 0.6) == pytest.approx(40)


def test_a_stage_that_went_back_to_its_checkpoint_begins_a_pace_there(forecast: Forecast, clock: Clock):
    report(forecast, clock, 0, 0.0)
    report(forecast, clock, 100, 0.5)
    assert report(forecast, clock, 110, 0.4) == pytest.approx(6)
    assert report(forecast, clock, 120, 0.5) == pytest.approx(50)
