"""Datasets of a trial's run: the videos and images that its stages read, and what each is read for."""

import hashlib
import json
from collections.abc import Mapping

from study.core.graph import describe, inputs, key
from study.core.study import Trial
from study.tracking.journal import Journal
from trainers.stage import Stage

LONGEST_NAMES = 5000


def log_datasets(journal: Journal, trial: Trial, dataset: str) -> None:
    """Logs the datasets of a trial; `dataset` is the name of the one that its videos are of."""
    for (side, what), found in sorted(_datasets(trial, dataset).items()):
        _log_dataset(journal, side, what, found)


def _datasets(trial: Trial, dataset: str) -> dict[tuple[str, str], dict[str, Stage]]:
    """The videos and images that a trial reads: (use, description) -> key -> stage.

    A dataset is a tuple of stages, among a stage's fields, that have no inputs themselves. The names of the fields on
    the path from the last stage decide its use: the test set, unless one of them names a model or another side.
    """
    found: dict[tuple[str, str], dict[str, Stage]] = {}
    seen: set[tuple[str, str]] = set()
    pending = [(trial.stage, "test")]
    while pending:
        stage, side = pending.pop()
        if (key(stage), side) in seen:
            continue
        seen.add((key(stage), side))
        for path, needed in inputs(stage).items():
            needed_side = _side(path, side)
            if inputs(needed):
                pending.append((needed, needed_side))
            elif path.rpartition(".")[2].isdigit():
                what = f"{dataset} videos" if "name" in describe(needed) else needed.title
                found.setdefault((needed_side, what), {})[key(needed)] = needed
    return found


def _side(path: str, side: str) -> str:
    words = {"validation": "validation", "train": "training", "test": "test", "model": "training", "encod": "training"}
    for part in path.split("."):
        side = next((meant for word, meant in words.items() if part.startswith(word)), side)
    return side


def _log_dataset(journal: Journal, side: str, what: str, found: Mapping[str, Stage]) -> None:
    digest = hashlib.blake2b("".join(sorted(found)).encode(), digest_size=8).hexdigest()
    contents = [describe(stage) | {"key": stage_key} for stage_key, stage in found.items()]
    names = [str(content.get("name", content["class"])) for content in contents]
    source = json.dumps(
        [{"name": n, "key": c["key"], "digest": c.get("video_digest")} for n, c in zip(names, contents, strict=True)]
    )
    profile = json.dumps({"number": len(found), "names": ", ".join(names)[:LONGEST_NAMES]})
    journal.log_dataset(f"{what}, {side}", digest, side, source=source, profile=profile)
