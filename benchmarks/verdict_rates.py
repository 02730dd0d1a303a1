"""Rates of the verdicts of paired comparisons on simulated scores, where the true difference is known.

    python -m benchmarks.verdict_rates [--small] [--output FILE]

Scores of two rows on the same videos go through the comparison that reports use. The difference of a video has a part
that every seed repeats and a part that is drawn for each seed, so that a single seed's differences vary by 3 points.
Everything is drawn from fixed seeds. It takes about six minutes on one core.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.analysis.paired_tests import Comparison, Values, compare, correct_family, verdict_power

Array = npt.NDArray[np.float64]

SHARED_SD, SEED_SD = 2.5, math.sqrt(2.75)
"""In points, of a video's difference: what all seeds have in common, and what each draws; 3 points together."""
VIDEO_SD = 8.0
"""In points: how much videos differ in difficulty, which pairing removes."""
NUM_VIDEOS, NUM_SEEDS, GAINS = (16, 40), (1, 2, 3, 5), (0.0, 0.5, 1.0, 2.0, 3.0)
SEED_SHIFTS = (0.0, 0.5, 1.0, 2.0)
"""In points: standard deviation over seeds of the difference of the two rows on all videos together."""
FAMILIES, FAMILY_GAIN = (1, 4, 8), 2.0
SKEW = 0.7
"""Of a logarithmic normal distribution: a skewness of 2.9."""


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = np.exp(SKEW * rng.normal(size=shape))
    variance = (math.exp(SKEW**2) - 1) * math.exp(SKEW**2)
    return (values - math.exp(SKEW**2 / 2)) / math.sqrt(variance)


SHAPES: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": _skewed,
    "long tails": lambda rng, shape: rng.standard_t(3, size=shape) / math.sqrt(3),
    "whole points": lambda rng, shape: rng.normal(size=shape),
}
"""Distribution of the part that seeds share, with mean 0 and variance 1; of the last, scores are rounded."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is simulated: numbers of videos and seeds, shape, true gain, and spread of the gain over seeds."""

    num_videos: int
    num_seeds: int
    shape: str = "normal"
    gain: float = 0.0
    seed_shift: float = 0.0

    @property
    def sd(self) -> float:
        """Standard deviation over videos of the difference, the mean over seeds."""
        return math.sqrt(SHARED_SD**2 + SEED_SD**2 / self.num_seeds)

    def generator(self) -> np.random.Generator:
        numbers = self.num_videos, self.num_seeds, list(SHAPES).index(self.shape)
        return np.random.default_rng([*numbers, round(10 * self.gain), round(10 * self.seed_shift)])


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of the simulated comparisons.

    Attributes:
        setting: what was simulated.
        better: of the verdict.
        worse: of the verdict.
        significant: of p-values of the signed-rank test below the level.
        covered: of intervals that hold the true gain.
        predicted: probability of "better" as a plan predicts it.
    """

    setting: Setting
    better: float
    worse: float
    significant: float
    covered: float
    predicted: float

    @property
    def wrong(self) -> float:
        """Conclusive verdicts where there is no difference."""
        return self.better + self.worse


def simulated(setting: Setting, num_rows: int = 1) -> Iterator[tuple[list[Values], Values]]:
    """Scores without end: those of rows with the setting's gain, and those of the reference row."""
    rng, shape = setting.generator(), (setting.num_seeds, setting.num_videos)
    while True:
        difficulty = 80 + VIDEO_SD * rng.normal(size=setting.num_videos)
        shares = setting.gain + SHARED_SD * SHAPES[setting.shape](rng, (num_rows, 1, setting.num_videos))
        # A reference row and a row draw as much each: their difference varies by the square root of 2 times that.
        noise = SEED_SD / math.sqrt(2) * rng.normal(size=(num_rows + 1, *shape))
        noise += setting.seed_shift / math.sqrt(2) * rng.normal(size=(num_rows + 1, setting.num_seeds, 1))
        scores = difficulty + noise
        scores[1:] += shares
        if setting.shape == "whole points":
            scores = scores.round()
        reference, *rows = (_values(each) for each in scores)
        yield rows, reference


def _values(scores: Array) -> Values:
    names = [f"video{number:02}" for number in range(scores.shape[1])]
    return {seed: dict(zip(names, row, strict=True)) for seed, row in enumerate(scores.tolist())}


def measure_rates(setting: Setting, num_draws: int, num_simulations: int) -> Rates:
    """Rates of the verdicts of one comparison, alone in its family."""
    source = simulated(setting)
    found = [compare(rows[0], reference) for rows, reference in (next(source) for _ in range(num_draws))]
    return Rates(
        setting=setting,
        better=_share(each.verdict == "better" for each in found),
        worse=_share(each.verdict == "worse" for each in found),
        significant=_share(each.p_value is not None and each.p_value < each.alpha for each in found),
        covered=_share(_covers(each, setting.gain) for each in found),
        predicted=verdict_power(
            num_videos=setting.num_videos, sd=setting.sd, gain=setting.gain, num_simulations=num_simulations
        ),
    )


def measure_family(num_videos: int, num_rows: int, num_draws: int) -> dict[str, float]:
    """Rates in a table of rows against one reference, without and with Holm's correction.

    `wrong` is the share of tables with a conclusive verdict where no row differs; `found` is how often one row that
    gains is called better among rows that do not.
    """
    families = {"alone": lambda family: family, "holm": correct_family}
    wrong, found = dict.fromkeys(families, 0), dict.fromkeys(families, 0)
    source = simulated(Setting(num_videos=num_videos, num_seeds=3), num_rows)
    for _ in range(num_draws):
        rows, reference = next(source)
        nothing = {str(number): compare(row, reference) for number, row in enumerate(rows)}
        gained = {**nothing, "0": compare(_shifted(rows[0], FAMILY_GAIN), reference)}
        for name, corrected in families.items():
            wrong[name] += any(each.verdict != "inconclusive" for each in corrected(nothing).values())
            found[name] += corrected(gained)["0"].verdict == "better"
    shares = {f"wrong_{name}": count / num_draws for name, count in wrong.items()}
    return {**shares, **{f"found_{name}": count / num_draws for name, count in found.items()}}


def _shifted(values: Values, gain: float) -> Values:
    return {
        seed: {video: None if value is None else value + gain for video, value in row.items()}
        for seed, row in values.items()
    }


def _share(cases: Iterator[bool]) -> float:
    return float(np.mean(list(cases)))


def _covers(comparison: Comparison, gain: float) -> bool:
    interval = comparison.interval
    return interval is not None and interval[0] <= gain <= interval[1]


def rate_table(num_draws: int, num_simulations: int) -> list[Rates]:
    """Prints and returns the rates by shape, videos, seeds and gain; a gain of shapes beyond two is not simulated."""
    print(
        "| differences | videos | seeds | wrong at 0 | "
        + " | ".join(f"+{gain:g}" for gain in GAINS[1:])
        + " | covered |"
    )
    print("|---" * (len(GAINS) + 4) + "|")
    found = []
    for shape in SHAPES:
        gains = GAINS if shape in ("normal", "skewed") else GAINS[:1]
        for num_videos in NUM_VIDEOS:
            for num_seeds in NUM_SEEDS:
                settings = [
                    Setting(num_videos=num_videos, num_seeds=num_seeds, shape=shape, gain=gain) for gain in gains
                ]
                line = [measure_rates(setting, num_draws, num_simulations) for setting in settings]
                found += line
                powers = [f"{100 * each.better:.0f} ({100 * each.predicted:.0f})" for each in line[1:]]
                powers += ["–"] * (len(GAINS) - len(gains))
                covered = np.mean([each.covered for each in line])
                cells = (shape, num_videos, num_seeds, f"{100 * line[0].wrong:.1f}", *powers, f"{100 * covered:.1f}")
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
    return found


def seed_table(num_draws: int, num_simulations: int) -> list[Rates]:
    """Prints and returns the rates where the seeds of a row differ on all videos together."""
    print("\n| videos | seeds | " + " | ".join(f"seeds vary by {shift:g}" for shift in SEED_SHIFTS) + " |")
    print("|---" * (len(SEED_SHIFTS) + 2) + "|")
    found = []
    for num_videos in NUM_VIDEOS:
        for num_seeds in NUM_SEEDS:
            settings = [Setting(num_videos=num_videos, num_seeds=num_seeds, seed_shift=shift) for shift in SEED_SHIFTS]
            line = [measure_rates(setting, num_draws, num_simulations) for setting in settings]
            found += line
            cells = [f"{100 * each.wrong:.1f}; {100 * each.covered:.1f}" for each in line]
            print(f"| {num_videos} | {num_seeds} | {' | '.join(cells)} |", flush=True)
    return found


def family_table(num_draws: int) -> list[dict[str, float]]:
    """Prints and returns the rates in tables of several rows, at three seeds."""
    print("\n| videos | rows | wrong table, no correction | with Holm | +2 found, no correction | with Holm |")
    print("|---" * 6 + "|")
    found = []
    for num_videos in NUM_VIDEOS:
        for num_rows in FAMILIES:
            rates = measure_family(num_videos, num_rows, num_draws)
            found.append({"num_videos": num_videos, "num_rows": num_rows, **rates})
            shown: Sequence[str] = [f"{100 * rate:.1f}" for rate in rates.values()]
            print(f"| {num_videos} | {num_rows} | {' | '.join(shown)} |", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few draws: seconds, for a look at whether it works")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    num_draws, num_simulations = (20, 500) if arguments.small else (2000, 10_000)
    error, most = (100 * math.sqrt(p * (1 - p) / num_draws) for p in (0.05, 0.5))
    print(f"In percent of {num_draws} comparisons: Monte-Carlo error {error:.1f} at 5 %, at most {most:.1f}.\n")
    figures = {
        "num_draws": num_draws,
        "rates": [asdict(each) for each in rate_table(num_draws, num_simulations)],
        "seeds": [asdict(each) for each in seed_table(num_draws, num_simulations)],
        "families": family_table(num_draws),
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
