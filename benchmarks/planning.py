"""Times a study of 1,000 trials on 80 videos: building its stages, planning them, and finding them all finished.

    python benchmarks/planning.py

Nothing is computed: for the last, the manifest of every stage is written as if it had been.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES
from search_spaces.studies.table3 import table3
from study import Choice
from study.core.graph import describe, inputs, key
from study.core.manifest import MANIFEST, Manifest
from study.core.plan import Plan, make_plan
from study.core.store import Store
from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.dataset import Dataset, RegisteredVideo

NUM_VIDEOS = 80
TEMPERATURES = tuple(0.02 * step for step in range(1, 26))
WEIGHTS = (1.0, 2.0, 3.0, 5.0, 8.0)
QUEUE_SIZES = (1024, 2048)
"""With the four teachers of Table 3: a grid of 1,000 points."""

Made = TypeVar("Made")


def dataset() -> Dataset:
    """Eighty videos of 40 minutes that exist in name alone."""
    recordings = tuple(
        RegisteredVideo(
            name=f"video{number:02}",
            video=f"/nowhere/video{number:02}.mp4",
            annotation=f"/nowhere/video{number:02}-phase.txt",
            subset=None,
            video_digest=f"{number:032x}",
            annotation_digest=f"{1000 + number:032x}",
            num_frames=40 * 60 * 25,
            video_stamp=(1, number),
            annotation_stamp=(2, number),
        )
        for number in range(1, NUM_VIDEOS + 1)
    )
    return Dataset(name="cholec80", layout="cholec80", root="/nowhere", phases=PHASES, recordings=recordings)


def conditions() -> Conditions:
    """Scale `full`, on a dataset of which nothing has been worked out yet."""
    return Conditions(preset=PRESETS["corrected"], scale=SCALES["full"], dataset=dataset())


def timed(make: Callable[[], Made]) -> tuple[Made, float]:
    """What a call returns, and how many seconds it took."""
    start = time.perf_counter()
    return make(), time.perf_counter() - start


def finish(plan: Plan, store: Store) -> None:
    """Leaves every stage's manifest in the home folder, as if it had been computed."""
    for stage_key, stage in plan.stages.items():
        folder = store.home / "artifacts" / stage_key
        folder.mkdir()
        manifest = Manifest(
            key=stage_key,
            stage=type(stage).__name__,
            title=stage.title,
            config=describe(stage),
            inputs={path: key(needed) for path, needed in inputs(stage).items()},
            sources={},
            versions={},
            files={},
            seconds=stage.expected_seconds(),
            expected_seconds=stage.expected_seconds(),
            finished="",
            host="",
        )
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest)))


def main() -> None:
    axes = {
        **table3.axes,
        "temperature": Choice(TEMPERATURES),
        "distillation_weight": Choice(WEIGHTS),
        "queue_size": Choice(QUEUE_SIZES),
    }
    study = replace(table3, axes=axes, rows=(), reference=None)
    trials, building = timed(lambda: study.trials(conditions()))
    with tempfile.TemporaryDirectory() as home:
        store = Store(Path(home))
        plan, planning = timed(lambda: make_plan(trials, store))
        finish(plan, store)
        cached, finding = timed(lambda: make_plan(study.trials(conditions()), store))
    assert not cached.missing
    print(f"{len(trials)} trials, {NUM_VIDEOS} videos, {len(plan.stages)} stages")
    print(f"{'building':24s}{building:8.2f} s")
    print(f"{'planning':24s}{planning:8.2f} s")
    print(f"{'both, all finished':24s}{finding:8.2f} s, {finding / len(plan.stages) * 1e3:.2f} ms per stage")


if __name__ == "__main__":
    main()
