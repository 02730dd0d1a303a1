"""Pace of a stage by its reports: what it takes to start does not count."""

from study.core.pace import Pace
from trainers.stage import EpochEnd, Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reported(*reports: tuple[float, float]) -> Pace:
    clock = Clock()
    pace = Pace(clock)
    for clock.now, fraction in reports:
        pace.take(Progress(fraction=fraction))
    return pace


def test_the_time_before_the_first_report_does_not_count():
    assert reported((60.0, 0.1), (65.0, 0.4), (70.0, 0.6)).steady_seconds == 20


def test_one_report_a_small_part_of_a_stage_or_a_moment_tells_no_pace():
    assert reported((60.0, 1.0)).steady_seconds is None
    assert reported((60.0, 0.10), (90.0, 0.11)).steady_seconds is None
    assert reported((60.0, 0.10), (61.0, 0.90)).steady_seconds is None


def test_the_device_is_the_one_that_reports_name():
    pace = Pace()
    pace.take(Progress(fraction=0.1, device="Tesla T4"))
    pace.take(EpochEnd(number=1, metrics={}))
    pace.take(Progress(fraction=0.2))
    assert pace.device == "Tesla T4"
