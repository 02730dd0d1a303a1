"""Planted hospitals: the sheet's pattern tells the phases of one and not those of the other, and all else is equal."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from study.cli.data_commands import synthesize as command
from trainers.data.datasets.description import load
from trainers.data.synthetic.annotation_files import phase_intervals
from trainers.data.synthetic.hospitals import HOSPITALS, NULL, PLANTED, PLANTED_PHASES, Hospital
from trainers.data.synthetic.operation import ToolUse
from trainers.data.synthetic.planted import ROUNDS, PlantedScene, draw_looks
from trainers.data.synthetic.videos import Parameters, plan_operation, synthesize

PATIENTS = range(1, 25)
BOTH = pytest.mark.parametrize("hospital", [PLANTED, NULL], ids=lambda hospital: hospital.name)
Seen = Callable[[np.ndarray], np.ndarray]


def parameters(hospital: Hospital) -> Parameters:
    return Parameters(minutes=0.4, seed=0, width=160, height=120, hospital=hospital.name)


def phases(hospital: Hospital, number: int) -> list[int]:
    """The phases of the segments, by number."""
    return [PLANTED_PHASES.index(segment.phase) for segment in plan_operation(number, parameters(hospital))[0]]


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """The middle frames of all segments, videos × segments × H × W × 3."""
    drawn = []
    for number in PATIENTS:
        segments, uses = plan_operation(number, parameters(PLANTED))
        scene = PlantedScene(PLANTED.seed_of(0), number, 80, 60, segments, uses, PLANTED)
        drawn.append([scene.frame((each.start + each.stop) // 2) for each in segments])
    return np.array(drawn)


def spectrum(frame: np.ndarray) -> np.ndarray:
    """How much of a frame's contrast is coarse and how much fine, whatever its colours."""
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA).astype(float)
    power = np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * np.outer(np.hanning(64), np.hanning(64))))) ** 2
    rows, columns = np.mgrid[-32:32, -32:32]
    rings = np.hypot(rows, columns).astype(int)
    bands = [power[(rings >= low) & (rings < high)].sum() for low, high in ((0, 2), (2, 4), (4, 7), (7, 12), (12, 23))]
    shares: np.ndarray = np.log(np.array(bands) / sum(bands) + 1e-4)
    return shares


def colour(frame: np.ndarray) -> np.ndarray:
    """The mean colour, without its brightness."""
    mean = frame.mean((0, 1))
    share: np.ndarray = mean / mean.sum()
    return share


def accuracy(frames: np.ndarray, hospital: Hospital, seen: Seen) -> float:
    """Share of the segments of every third patient that the most similar segments of the others tell."""
    features = np.array([[seen(frame) for frame in video] for video in frames])
    labels = np.array([phases(hospital, number) for number in PATIENTS])
    asked = np.arange(len(frames)) % 3 == 0
    bank, known = features[~asked].reshape(-1, features.shape[-1]), labels[~asked].ravel()
    queries, truth = features[asked].reshape(-1, features.shape[-1]), labels[asked].ravel()
    nearest = np.linalg.norm((queries[:, None] - bank) / bank.std(0), axis=2).argsort(axis=1)[:, :7]
    votes = np.array([np.bincount(known[each], minlength=5) for each in nearest])
    return float((votes.argmax(1) == truth).mean())


def test_the_pattern_tells_the_phases_of_the_planted_hospital_and_not_those_of_the_null(frames: np.ndarray):
    assert accuracy(frames, PLANTED, spectrum) > 0.6
    assert accuracy(frames, NULL, spectrum) < 0.35


def test_the_hue_tells_half_of_the_null_hospitals_phases_and_none_of_the_planted_ones(frames: np.ndarray):
    assert accuracy(frames, PLANTED, colour) < 0.35
    assert 0.35 < accuracy(frames, NULL, colour) < 0.65


def test_both_show_the_same_videos_with_the_same_boundaries(tmp_path: Path):
    for hospital in (PLANTED, NULL):
        synthesize(tmp_path / hospital.name, num_videos=1, minutes=0.1, width=64, height=48, hospital=hospital)
    first, second = (tmp_path / each.name / "operations" / "operation01.mp4" for each in (PLANTED, NULL))
    assert first.read_bytes() == second.read_bytes()
    spans = [[(each.start, each.stop) for each in plan_operation(3, parameters(each))[0]] for each in (PLANTED, NULL)]
    assert spans[0] == spans[1]


@BOTH
def test_every_phase_comes_equally_often_as_long_and_at_any_place(hospital: Hospital):
    places, lasting = np.zeros((10, 5)), np.zeros(5)
    for number in range(1, 201):
        segments, _ = plan_operation(number, parameters(hospital))
        order = phases(hospital, number)
        assert [sorted(order[:5]), sorted(order[5:])] == [[*range(5)]] * ROUNDS
        places[np.arange(10), order] += 1
        for phase, segment in zip(order, segments, strict=True):
            lasting[phase] += (segment.stop - segment.start) / segments[-1].stop
    assert np.abs(places / 200 - 0.2).max() < 0.12  # four standard errors
    assert np.abs(lasting / 200 - 0.2).max() < 0.009


@BOTH
def test_instruments_know_nothing_of_the_phases(hospital: Hospital):
    _, uses = plan_operation(1, parameters(hospital))
    assert uses == plan_operation(1, parameters(PLANTED))[1]
    assert {use.phase for use in uses} == {"Preparation"}
    assert all(isinstance(use, ToolUse) for use in uses)


def test_pattern_hue_and_view_are_drawn_apart():
    looks = [look for number in range(1, 401) for look in draw_looks(0, number)]
    pairs = [Counter(pair) for pair in ([(e.pattern, e.hue) for e in looks], [(e.pattern, e.view) for e in looks])]
    for counted in pairs:
        assert len(counted) == 25
        assert max(abs(count - 160) for count in counted.values()) < 60


def test_a_phase_of_the_null_hospital_has_one_of_two_hues_by_a_coin_for_every_round():
    tossed = []
    for number in range(1, 201):
        order, looks = phases(NULL, number), draw_looks(NULL.seed_of(0), number)
        coins = [(phase - look.hue) % 5 for phase, look in zip(order, looks, strict=True)]
        assert [len(set(coins[:5])), len(set(coins[5:]))] == [1, 1]
        tossed += [coins[0], coins[5]]
    assert set(tossed) == {0, 1}
    assert 0.4 < np.mean(tossed) < 0.6


@BOTH
def test_a_folder_comes_with_the_description_by_which_it_is_read(hospital: Hospital, tmp_path: Path):
    synthesize(tmp_path, num_videos=1, minutes=0.05, width=64, height=48, hospital=hospital)
    described = load(tmp_path / hospital.description_file)
    assert described.phases == PLANTED_PHASES == hospital.phases
    segments, uses = plan_operation(1, Parameters(minutes=0.05, seed=0, width=64, height=48, hospital=hospital.name))
    assert (tmp_path / "phases" / "operation01.csv").read_text() == phase_intervals(segments, uses, hospital.fps)


def test_the_command_line_knows_every_hospital():
    choices = next(each.type for each in command.params if each.name == "hospital")
    assert list(choices.to_info_dict()["choices"]) == list(HOSPITALS)
