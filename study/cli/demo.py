"""The demo's own videos: made where something is computed, and known beforehand where it is only planned."""

import atexit
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from study.cli.videos import make_videos, register_videos
from study.core.store import Store
from study.home.request import Request
from trainers.data.datasets.dataset import LAYOUTS, Dataset, RegisteredVideo
from trainers.data.synthetic.videos import outline
from trainers.runtime.registry import names, stamp_of

DEMO, LAYOUT = "demo", "cholec80"
NUM_VIDEOS, MINUTES = 32, 0.5
UNMADE = "unmade"
"""Beginning of the digests of videos that do not exist yet."""
UNMADE_NOTE = (
    f"The demo's {NUM_VIDEOS} videos do not exist yet: the first run makes them, in a few minutes. "
    "Until then keys are provisional, and so is which videos a label fraction takes."
)


def asks_for_demo(request: Request) -> bool:
    """Whether a request is about the demo's own videos."""
    return request.dataset == DEMO or (request.dataset is None and request.scale == DEMO)


def is_made(home: Path) -> bool:
    """Whether the demo's videos are registered in a home."""
    return DEMO in names(home / "datasets")


def make_demo_where_asked(home: Path, request: Request, plan: Callable[[], object]) -> None:
    """Makes and registers the demo's videos in the home folder, where a request needs them and they are missing.

    Args:
        home: the home folder.
        request: the request.
        plan: plans it: what cannot be planned is refused before videos are made.
    """
    if not asks_for_demo(request) or is_made(home):
        return
    plan()
    click.echo(f"making the demo's {NUM_VIDEOS} surgical-like videos …", err=True)
    folder = home / "demo-videos"
    make_videos(folder, NUM_VIDEOS, MINUTES, seed=0)
    register_videos(Store(home), DEMO, LAYOUT, folder)


@functools.cache
def unmade_demo() -> Dataset:
    """The demo's dataset as it will be, to be planned with: videos of their true lengths and phases, but no content."""
    folder = tempfile.TemporaryDirectory(prefix="freelunch-")
    atexit.register(folder.cleanup)
    root = Path(folder.name)
    videos = outline(root, num_videos=NUM_VIDEOS, minutes=MINUTES)
    return Dataset(
        name=DEMO,
        layout=LAYOUT,
        root=str(root),
        phases=LAYOUTS[LAYOUT].phases,
        recordings=tuple(
            RegisteredVideo(
                name=video.stem,
                video=str(video),
                annotation=str(annotation),
                subset=None,
                video_digest=f"{UNMADE} {video.stem}",
                annotation_digest=f"{UNMADE} {annotation.stem}",
                num_frames=num_frames,
                video_stamp=(0, 0),
                annotation_stamp=stamp_of(annotation),
            )
            for video, annotation, num_frames in videos
        ),
    )
