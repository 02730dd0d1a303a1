"""Verdicts of the whole platform on videos with a known answer: an effect that is there, and none where there is none.

    python -m benchmarks.planted_effects [--home FOLDER] [--output FILE.json] [--seeds N] [--small]

Makes the operations of the planted and the null hospital, which are the same videos with other phases, ingests them,
and runs MoCo v2 and the paper's student on both, without Ray. Pre-training sees no phase, so both hospitals share it.
The networks of every seed are then compared on many small groups of test patients: how often is the verdict what it
should be, and how often as `verdict_power` predicts of the measured gain and spread? FILE.md is written beside
FILE.json. It takes about ten minutes of one core; with `--home`, what is finished there is not computed again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import measuring
from search_spaces.recipes import distilled, moco
from study import Row, Study
from study.analysis.comparisons import METRIC, compare_rows
from study.analysis.paired_tests import Comparison, Values, compare, verdict_power
from study.analysis.results import Results, read_results
from study.cli.planning import PlannedStudy
from study.home.request import Request
from trainers.data.synthetic.hospitals import NULL, PLANTED, Hospital
from trainers.data.synthetic.videos import synthesize

HOSPITALS = {hospital.name: hospital for hospital in (PLANTED, NULL)}
TRAINING = "training-frames"
"""The dataset of the training videos without their phases, which pre-training sees."""
PATIENTS = 1
"""Seed of the patients: those of seed 0 were looked at when the hospitals were made."""
METHOD, REFERENCE = "head", "moco"
STUDY = f"{Path(__file__).resolve()}:planted_effects"

planted_effects = Study(
    name="planted_effects",
    title="Is an effect found that is there?",
    question="Table 3's row `head` against MoCo v2, on videos in which it is known what tells the phases.",
    recipe=distilled,
    rows=(
        Row(name=METHOD, title="backbone frozen, head trained", parameters={"teacher_trains": "head"}),
        Row(name=REFERENCE, title="MoCo v2, no teacher", recipe=moco, baseline=True),
    ),
    reference=REFERENCE,
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of videos, their mean length, seeds, and test videos of one comparison."""

    train: int = 20
    validation: int = 4
    test: int = 96
    minutes: float = 0.4
    seeds: int = 2
    groups: tuple[int, ...] = (8, 16)
    epochs: int | None = None
    """Of teacher and student; the scale's where None."""

    @property
    def sides(self) -> dict[str, range]:
        """Numbers of the videos on each side."""
        first, second = self.train + 1, self.train + self.validation + 1
        return {"train": range(1, first), "validation": range(first, second), "test": range(second, second + self.test)}


SMALL = Sizes(train=3, validation=1, test=8, minutes=0.2, seeds=1, groups=(4,), epochs=1)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Verdicts of many comparisons of the same two rows, each on a group of test videos of its own.

    Attributes:
        hospital: whose videos.
        num_videos: in a group.
        num_seeds: whose mean is compared.
        gain: mean difference over all groups, in points.
        sd: mean standard deviation of a video's difference, in points.
        better, worse, inconclusive: number of verdicts.
        predicted_better, predicted_worse: what `verdict_power` says of the gain and spread of each seed, the mean.
    """

    hospital: str
    num_videos: int
    num_seeds: int
    gain: float
    sd: float
    better: int
    worse: int
    inconclusive: int
    predicted_better: float
    predicted_worse: float


def make(folder: Path, sizes: Sizes) -> dict[str, Path]:
    """The descriptions of three datasets: both hospitals, and the training videos without phases."""
    folders = {name: (hospital, sizes.sides["test"].stop - 1) for name, hospital in HOSPITALS.items()}
    for name, (hospital, number) in {**folders, TRAINING: (PLANTED, sizes.train)}.items():
        synthesize(folder / name, num_videos=number, minutes=sizes.minutes, seed=PATIENTS, hospital=hospital)
    frames = folder / TRAINING / f"{TRAINING}.toml"
    frames.write_text('videos = "operations/{name}.mp4"\n')
    return {TRAINING: frames, **{name: _with_split(folder / name, each, sizes) for name, each in HOSPITALS.items()}}


def _with_split(folder: Path, hospital: Hospital, sizes: Sizes) -> Path:
    path = folder / "with-split.toml"
    lines = [f"{side} = {json.dumps(_names(hospital, numbers))}" for side, numbers in sizes.sides.items()]
    path.write_text("\n".join([hospital.description, "[split]", *lines, ""]))
    return path


def _names(hospital: Hospital, numbers: range) -> list[str]:
    return [hospital.files(Path(), number)["video"].stem for number in numbers]


def run(home: Path, sizes: Sizes) -> dict[str, Results]:
    """Runs both rows on both hospitals with the command line; the results by hospital."""
    for name, description in make(home / "videos", sizes).items():
        _call(home, "ingest", description, "--name", name, "--scale", "demo", "--threads", "1")
    settings = {} if sizes.epochs is None else dict.fromkeys(("student_epochs", "teacher_epochs"), str(sizes.epochs))
    request = Request(
        study=STUDY,
        scale="demo",
        dataset=PLANTED.name,
        beside=(NULL.name,),
        pretrain_on=TRAINING,
        seeds=sizes.seeds,
        settings=settings,
    )
    fixed = [text for name, value in settings.items() for text in ("--set", f"{name}={value}")]
    datasets = ["--dataset", PLANTED.name, "--dataset", NULL.name, "--pretrain-on", TRAINING]
    where = ["--scale", "demo", "--local", "--no-mlflow", "--threads", "1", "--seeds", str(sizes.seeds)]
    _call(home, "run", STUDY, *datasets, *where, *fixed)
    planned = PlannedStudy(home, request)
    return {part.data: read_results(part.study, part.trials, planned.store, {}) for part in planned.parts}


def _call(home: Path, *command: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "study.cli", "--home", home, *command], check=True)


def values_of(results: Results, row: str) -> dict[int, Mapping[str, float | None]]:
    """Accuracy by seed and test video."""
    return next(found for found in results.rows if found.row.name == row).values(METRIC)


def rates_of(hospital: str, method: Values, reference: Values, num_videos: int, num_seeds: int) -> Rates:
    """The verdicts on all groups of so many videos, with so many seeds at a time."""
    seeds = [sorted(method)[first : first + num_seeds] for first in range(0, len(method), num_seeds)]
    names = sorted(next(iter(method.values())))
    groups = [names[first : first + num_videos] for first in range(0, len(names) - num_videos + 1, num_videos)]
    verdicts = [
        compare(_part(method, some, group), _part(reference, some, group)).verdict for some in seeds for group in groups
    ]
    spreads = [_gain_and_sd(_part(method, some, names), _part(reference, some, names)) for some in seeds]
    predicted = [
        [verdict_power(num_videos=num_videos, sd=sd, gain=sign * gain) if sd else 0.0 for gain, sd in spreads]
        for sign in (1, -1)
    ]
    return Rates(
        hospital=hospital,
        num_videos=num_videos,
        num_seeds=num_seeds,
        gain=float(np.mean([gain for gain, _ in spreads])),
        sd=float(np.mean([sd for _, sd in spreads])),
        better=verdicts.count("better"),
        worse=verdicts.count("worse"),
        inconclusive=verdicts.count("inconclusive"),
        predicted_better=float(np.mean(predicted[0])),
        predicted_worse=float(np.mean(predicted[1])),
    )


def _part(values: Values, seeds: Sequence[int], videos: Sequence[str]) -> dict[int, Mapping[str, float | None]]:
    return {seed: {video: values[seed][video] for video in videos} for seed in seeds}


def _gain_and_sd(method: Values, reference: Values) -> tuple[float, float]:
    """Mean and standard deviation over videos of the difference, the mean over seeds."""
    by_seed = [[float(row[v] or 0) - float(reference[s][v] or 0) for v in row] for s, row in method.items()]
    differences = np.mean(by_seed, axis=0)
    return float(differences.mean()), float(differences.std(ddof=1))


def summary_of(results: Results) -> dict[str, Any]:
    """Accuracies, the gain of every seed, and the platform's own verdict on all test videos and seeds."""
    means = {row.row.name: row.score("strict", METRIC) for row in results.rows}
    comparison: Comparison = compare_rows(results)[METHOD]
    return {
        "accuracy": {name: score.by_seed for name, score in means.items() if score},
        "gain": comparison.mean_difference,
        "interval": comparison.interval,
        "gain_by_seed": comparison.seed_differences,
        "num_videos": comparison.num_videos,
        "verdict": comparison.verdict,
    }


def tables(summaries: Mapping[str, Mapping[str, Any]], rates: Sequence[Rates]) -> str:
    """What was measured, as two tables in Markdown."""
    lines = ["| hospital | MoCo v2 | distilled | gain | 95 % interval | verdict |", "|---|---|---|---|---|---|"]
    for name, found in summaries.items():
        accuracy = {row: float(np.mean([*by_seed.values()])) for row, by_seed in found["accuracy"].items()}
        low, high = found["interval"] or (np.nan, np.nan)
        cells = (f"{accuracy[REFERENCE]:.1f}", f"{accuracy[METHOD]:.1f}", f"{found['gain']:+.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} | {low:+.1f} to {high:+.1f} | {found['verdict']} |")
    lines += ["", "| hospital | test videos | seeds | comparisons | gain | standard deviation | better | predicted |"]
    lines[-1] += " worse | predicted |"
    lines.append("|---" * 10 + "|")
    for each in rates:
        total = each.better + each.worse + each.inconclusive
        better, worse = (f"{100 * count / total:.0f} %" for count in (each.better, each.worse))
        cells = (f"{each.gain:+.1f}", f"{each.sd:.1f}", better, f"{100 * each.predicted_better:.0f} %")
        cells += (worse, f"{100 * each.predicted_worse:.0f} %")
        lines.append(f"| {each.hospital} | {each.num_videos} | {each.num_seeds} | {total} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def measure(home: Path, sizes: Sizes) -> tuple[dict[str, Any], str]:
    """Computes everything: the figures, and the tables."""
    start = time.perf_counter()
    found = run(home, sizes)
    rates = [
        rates_of(name, values_of(results, METHOD), values_of(results, REFERENCE), num_videos, num_seeds)
        for name, results in found.items()
        for num_seeds in dict.fromkeys((1, sizes.seeds))
        for num_videos in sizes.groups
    ]
    summaries = {name: summary_of(results) for name, results in found.items()}
    scores = {name: {row: values_of(results, row) for row in (METHOD, REFERENCE)} for name, results in found.items()}
    figures = {
        **measuring.machine(torch.device("cpu")),
        "seconds": time.perf_counter() - start,
        "sizes": asdict(sizes),
        "summary": summaries,
        "rates": [asdict(each) for each in rates],
        "accuracy_by_seed_and_video": scores,
    }
    return figures, tables(summaries, rates)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, help="home folder to compute in; a temporary one where not given")
    parser.add_argument("--output", type=Path, help="JSON file for the figures; the tables are written beside it")
    parser.add_argument("--small", action="store_true", help="smallest sizes, to see whether it works")
    parser.add_argument("--seeds", type=int, help=f"seeds of the trials; {Sizes.seeds} where not given")
    arguments = parser.parse_args()
    sizes = SMALL if arguments.small else Sizes()
    sizes = replace(sizes, seeds=arguments.seeds or sizes.seeds)
    with tempfile.TemporaryDirectory() as scratch:
        figures, text = measure(arguments.home or Path(scratch), sizes)
    print(text)
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
        arguments.output.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
