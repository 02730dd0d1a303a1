"""Ingest of videos whose frames show their numbers."""

import json
from pathlib import Path

from tests.trainers.data.conftest import read_index
from trainers.data.frames import FrameStore
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.video import Video
from trainers.stage import Work

NUM_FRAMES = 45
PHASES = ("Preparation", "Dissection", "Closing")
FORMAT = AnnotationFormat(kind="intervals", unit="seconds")


def ingest(
    path: Path, folder: Path, *, fps: float = 10, annotation: str = "", **changes: object
) -> tuple[dict, list[int], list[int]]:
    """The audit of a video, what its rows show, and their labels."""
    annotated = path.with_suffix(".csv")
    annotated.write_text(annotation)
    stage = Video(
        name=path.stem,
        video_digest="ab" * 16,
        annotation_digest="cd" * 16 if annotation else None,
        annotation_format=FORMAT,
        phases=PHASES,
        timing="seconds",
        fps=fps,
        size_px=96,
        video_path=path,
        annotation_path=annotated if annotation else None,
        **changes,
    )
    folder.mkdir(exist_ok=True)
    stage.run(Work(output=folder))
    with FrameStore(folder) as store:
        shown = [read_index(store.read(row)) for row in range(len(store))]
        return json.loads((folder / "audit.json").read_text()), shown, store.labels.tolist()
