"""The command line with a scale `tiny` beside the others: all of table3 in seconds."""

from dataclasses import replace
from pathlib import Path

from search_spaces.presets import SCALES
from study.cli import main
from trainers.data.synthetic import synthesize

TINY = replace(
    SCALES["demo"],
    name="tiny",
    description="seconds: to test with",
    architecture="resnet10",
    width=8,
    store_px=32,
    size_px=24,
    ssl_fps=5,
    feature_fps=5,
    queue_size=32,
    batch_size=8,
    student_epochs=2,
    teacher_epochs=1,
    generic_images=32,
    generic_epochs=1,
    finetune_epochs=2,
    temporal_layers=2,
    temporal_maps=8,
    temporal_epochs=2,
)


def make_tiny_videos(folder: Path) -> None:
    """Four videos of five seconds or so."""
    synthesize(folder, num_videos=4, minutes=0.1, width=96, height=64)


if __name__ == "__main__":
    SCALES["tiny"] = TINY
    main(prog_name="freelunch")
