"""M2CAI16-workflow as it was released: 41 videos at 25 fps in two folders, eight phases, Cholec80's annotation rows."""

import re
from pathlib import Path

from trainers.data.datasets import cholec80
from trainers.data.datasets.recordings import Recording, Subset, match, visible_entries
from trainers.stage import InputError

PHASES = ("TrocarPlacement", *cholec80.PHASES)
"""In index order, as M2CAI16's annotation files write them."""

LAYOUT = (
    "M2CAI16 is laid out as train_dataset/workflow_video_01.mp4 … and test_dataset/test_workflow_video_01.mp4 …, "
    "each beside its .txt"
)


def discover(root: Path, *, labelled: bool = True) -> tuple[Recording, ...]:
    """Finds the recordings below M2CAI16's folder: the training videos by name, then the test videos.

    Args:
        root: the folder that holds `train_dataset/` and `test_dataset/`.
        labelled: whether every video must have an annotation.

    Raises:
        InputError: the folder is not laid out like M2CAI16, or a video and an annotation are not a pair.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: name the folder that holds M2CAI16's train_dataset/.")
    return (
        *_subset(root, "train", prefix="workflow_video_", labelled=labelled),
        *_subset(root, "test", prefix="test_workflow_video_", labelled=labelled),
    )


def _subset(root: Path, subset: Subset, *, prefix: str, labelled: bool) -> tuple[Recording, ...]:
    folder = root / f"{subset}_dataset"
    if not folder.is_dir():
        raise InputError(f"{root} has no folder {folder.name}/: {LAYOUT}.")
    name = re.compile(prefix + r"\d{2,}")
    videos, annotations = {}, {}
    for path in visible_entries(folder):
        if path.suffix == ".txt" and name.fullmatch(path.stem):
            annotations[path.stem] = path
        elif path.suffix.lower() == ".mp4":
            if not name.fullmatch(path.stem):
                raise InputError(f"{path} is not named like {prefix}01.mp4: rename it or move it away.")
            videos[path.stem] = path
    if not videos:
        raise InputError(f"{folder} holds no mp4: {LAYOUT}.")
    return match(videos, annotations, labelled=labelled, subset=subset)
