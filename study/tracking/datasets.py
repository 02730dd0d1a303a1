"""Datasets of a trial's run: the videos and images that its stages read, and what each is read for."""

import hashlib
import json
from collections.abc import Mapping

from study.core.graph import describe, inputs, key
from study.core.study import Trial
from study.tracking.journal import Journal
from trainers.stage import Stage

LONGEST_NAMES = 5000


PRETRAINING = "pretraining"
"""Use of the videos of another dataset that an encoder is trained on."""


def log_datasets(journal: Journal, trial: Trial, dataset: str, pretrained_on: str = "") -> None:
    """Logs the datasets of a trial.

    Args:
        journal: of the trial's run.
        trial: the trial.
        dataset: name of the dataset that its videos are of.
        pretrained_on: name of the dataset that those of its encoders are of, where it is another one.
    """
    for (side, what), found in sorted(_datasets(trial, dataset, pretrained_on).items()):
        _log_dataset(journal, side, what, found)


def _datasets(trial: Trial, dataset: str, pretrained_on: str) -> dict[tuple[str, str], dict[str, Stage]]:
    """The videos and images that a trial reads: (use, description) -> key -> stage.

    A dataset is a tuple of stages, among a stage's fields, that have no inputs themselves. The names of the fields on
    the path from the last stage decide its use: the test set, unless one of them names a model or another side. Where
    encoders are pre-trained on another dataset, an encoder on the path says that the videos are of that one.
    """
    found: dict[tuple[str, str], dict[str, Stage]] = {}
    seen: set[tuple[str, str, str]] = set()
    pending = [(trial.stage, "test", dataset)]
    while pending:
        stage, side, name = pending.pop()
        if (key(stage), side, name) in seen:
            continue
        seen.add((key(stage), side, name))
        for path, needed in inputs(stage).items():
            of = pretrained_on if pretrained_on and path.startswith("encod") else name
            needed_side = _side(path, side)
            if inputs(needed):
                pending.append((needed, needed_side, of))
            elif path.rpartition(".")[2].isdigit():
                is_video = "name" in describe(needed)
                use = PRETRAINING if is_video and of != dataset and needed_side == "training" else needed_side
                found.setdefault((use, f"{of} videos" if is_video else needed.title), {})[key(needed)] = needed
    return found


def _side(path: str, side: str) -> str:
    words = {"validation": "validation", "test": "test"}
    words |= dict.fromkeys(("train", "model", "encod", "classifier"), "training")
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
