"""Chaos run: python -m benchmarks.chaos [--faults 50] [--minutes 90] [--seed 0] [--gap 20 60] [--keep FOLDER].

The workload runs once undisturbed. Then it runs in one fresh home after another, on a Ray cluster of simulated nodes
and with a Ray of each command's own in turn, while faults happen. Every home must end bit for bit as
the undisturbed one.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

from benchmarks.chaos import network, summary
from benchmarks.chaos.faults import FAULTS, Deck
from benchmarks.chaos.log import ChaosLog
from benchmarks.chaos.observed import Observed, differences
from benchmarks.chaos.round import REPOSITORY, Disturbance, Mode, Result, Round
from tests.study.tiny_cli import make_tiny_videos

NUM_VIDEOS = {"few": 4, "many": 12}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description="Faults, one after another.")
    parser.add_argument("--faults", type=int, default=50, help="how many faults, at most")
    parser.add_argument("--minutes", type=float, default=120, help="no fault after so many minutes")
    parser.add_argument("--seed", type=int, default=0, help="of every choice")
    parser.add_argument(
        "--gap", type=float, nargs=2, default=(20, 60), metavar="SECONDS", help="least and most between"
    )
    parser.add_argument("--only", nargs="+", choices=sorted(FAULTS), default=list(FAULTS), help="these faults alone")
    parser.add_argument("--modes", nargs="+", choices=["cluster", "own"], default=["cluster", "own"])
    parser.add_argument("--keep", type=Path, help="keep all files in this folder, on a short path")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "benchmarks" / "results")
    return parser.parse_args()


class Run:
    """Chaos run: the undisturbed round, and disturbed ones until all faults have happened."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self._asked, self._folder = asked, folder
        self._log = ChaosLog(folder / "log.jsonl")
        self._summary = summary.Summary(seed=asked.seed)
        self._modes: list[Mode] = list(asked.modes)
        reason = network.why_not()
        if reason is not None:
            self._summary.skipped.append(f"simulated nodes, and cuts of their network: {reason}")
            self._modes = ["own"]

    def go(self) -> summary.Summary:
        """Runs everything."""
        videos = self._folder / "videos"
        for name, number in NUM_VIDEOS.items():
            make_tiny_videos(videos / name, number)
        self._log.note("round", f"undisturbed, seed {self._asked.seed}")
        reference = Round(self._modes[0], self._folder / "0", videos, self._log).run(None)
        self._summary.undisturbed_seconds = round(reference.seconds, 1)
        self._take("the undisturbed round", reference, None)
        choices = random.Random(self._asked.seed)
        disturbance = Disturbance(
            deck=Deck(choices, self._asked.only),
            gap=lambda: choices.uniform(*self._asked.gap),
            wanted=self._is_another_wanted,
            random=choices,
        )
        number = 0
        while reference.observed is not None and self._is_another_wanted():
            number += 1
            mode, before = self._modes[(number - 1) % len(self._modes)], self._faults
            self._log.note("round", f"{number}: {mode}")
            result = Round(mode, self._folder / str(number), videos, self._log).run(disturbance)
            self._take(f"round {number} ({mode})", result, reference.observed)
            faults = self._faults - before
            self._summary.rounds.append({"mode": mode, "faults": faults, "seconds": round(result.seconds, 1)})
        self._summary.take(self._log, os.cpu_count() or 1)
        return self._summary

    @property
    def _faults(self) -> int:
        return len(self._log.of_kind("fault"))

    def _is_another_wanted(self) -> bool:
        return self._faults < self._asked.faults and self._log.seconds < 60 * self._asked.minutes

    def _take(self, name: str, result: Result, reference: Observed | None) -> None:
        """Takes the problems of a round."""
        problems = list(result.problems)
        if reference is not None and result.observed is not None:
            problems += differences(reference, result.observed)
        for problem in problems:
            self._log.note("problem", f"{name}: {problem}")
        self._summary.problems += [f"{name}: {problem}" for problem in problems]
        self._summary.remarks += [f"{name}: {remark}" for remark in result.remarks]
        self._log.note("round", f"{name} took {result.seconds:.0f} s; {len(problems)} problems")


def main() -> None:
    """Runs, writes the summary, and ends with 1 where there are problems."""
    asked = options()
    # Sockets of Ray lie below: their paths must be short.
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="flc", dir="/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    done = Run(asked, folder).go()
    page = summary.write(done, asked.results, f"{date.today()}-chaos")
    shutil.copy(folder / "log.jsonl", asked.results / f"{date.today()}-chaos.jsonl")
    print(page.read_text())
    if not done.problems and not asked.keep:
        shutil.rmtree(folder)
    sys.exit(1 if done.problems else 0)


if __name__ == "__main__":
    main()
