"""The command line with a scale `tiny` beside the others: table3 in seconds, every study in a minute or two."""

from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner, Result

from search_spaces.protocol.scales import SCALES, RivalSizes
from study.cli import main
from trainers.data.synthetic.videos import synthesize

TINY = replace(
    SCALES["demo"],
    name="tiny",
    description="seconds: to test with",
    dataset="cholec80",
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
    rivals=RivalSizes(
        swav_batch_size=8,
        num_prototypes=4,
        swav_queue_size=16,
        swav_queue_from_epoch=0,
        num_small_crops=1,
        small_crop_px=24,
        simsiam_batch_size=8,
        simsiam_epochs=2,
        region_size_px=64,
        region_cells=(1, 1),
    ),
)


def make_tiny_videos(folder: Path, num_videos: int = 4) -> None:
    """Videos of five seconds or so."""
    synthesize(folder, num_videos=num_videos, minutes=0.1, width=96, height=64)


def called(home: Path, *arguments: str) -> Result:
    """The command line on a home folder; what is not an orderly end is raised."""
    result = CliRunner().invoke(main, ["--home", str(home), *arguments], prog_name="freelunch")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


if __name__ == "__main__":
    SCALES["tiny"] = TINY
    main(prog_name="freelunch")
