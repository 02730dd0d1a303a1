"""New videos, of no dataset and without annotations, ingested as those that a model was trained on."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainers.data.datasets.frame_folders import FrameFolder
from trainers.data.datasets.recordings import VIDEO_SUFFIXES, Recording, check_files, visible_entries
from trainers.data.datasets.scan import Scans
from trainers.data.ingest.image_file import SUFFIXES as IMAGE_SUFFIXES
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest, Video
from trainers.names import check_line
from trainers.stage import InputError

READ_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class NewVideo:
    """A video, or a folder of frames, whose name is its own among those that were given together."""

    name: str
    path: Path
    is_frames: bool


def find_videos(paths: Iterable[Path], *, image_fps: float | None) -> tuple[NewVideo, ...]:
    """The videos that paths lead to, in their order.

    A folder stands for the videos in it, by name; where it holds images, for the one video that they were cut from; and
    where it holds neither, for those of the folders of images in it.

    Args:
        paths: files and folders.
        image_fps: rate of images; None where none are expected.

    Raises:
        InputError: a path leads to no video, a rate is missing or not needed, or two videos have one name.
    """
    found = [video for path in paths for video in _videos_at(path)]
    images = next((video for video in found if video.is_frames), None)
    if images is not None and image_fps is None:
        raise InputError(f"{images.path} holds images: say with --fps how many of them there are per second.")
    if images is None and image_fps is not None:
        raise InputError(f"--fps {image_fps:g} is the rate of images, and {found[0].path} is a video: leave it out.")
    by_name: dict[str, NewVideo] = {}
    for video in found:
        check_line(video.name, f"a video in {video.path.parent}")
        twin = by_name.setdefault(video.name.casefold(), video)
        if twin.path != video.path:
            raise InputError(
                f"{video.path} and {twin.path} are both named {video.name!r}, and so would be what is written of them: "
                "rename one, or give it in a command of its own with another --output."
            )
    return tuple(by_name.values())


def ingest_like(
    videos: Sequence[NewVideo], like: Ingest, scans: Scans, *, image_fps: float | None, report: Callable[[str], None]
) -> list[Ingest | InputError]:
    """The stage that ingests each video with the rate, size and margins of another, or why it cannot be read.

    Rows are taken by time, as a player shows the video, unless the other's are counted and 25 frames per second are
    there to be counted.

    Args:
        videos: the videos.
        like: the stage of a video that a model was trained on.
        scans: of earlier: an unchanged video is not read again.
        image_fps: rate of images; None where there are none.
        report: called with the name of every video once it is read.
    """

    def read(video: NewVideo) -> Ingest | InputError:
        try:
            return _stage(video, like, scans, image_fps)
        except InputError as error:
            return error
        finally:
            report(video.name)

    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        return list(pool.map(read, videos))


def _stage(video: NewVideo, like: Ingest, scans: Scans, image_fps: float | None) -> Ingest:
    recording = Recording(video.name, video.path, None)
    check_files(recording, frames=video.is_frames)
    scan = scans.of(recording, image_fps=image_fps if video.is_frames else None)
    stage: Callable[..., Ingest] = partial(Video, oddities=scan.oddities, timeline_path=scans.timeline_of(video.path))
    if video.is_frames:
        stage = partial(FrameFolder, source_fps=scan.fps)
    counted = like.timing == "index" and round(scan.fps, 3) == NOMINAL_FPS and not scan.irregular
    return stage(
        name=video.name,
        video_digest=scan.digest,
        annotation_digest=None,
        phases=like.phases,
        timing="index" if counted else "seconds",
        fps=like.fps,
        size_px=like.size_px,
        cut_margins=like.cut_margins,
        video_path=video.path,
        annotation_path=None,
        num_source_frames=scan.num_frames if counted else round(scan.num_frames / scan.fps * NOMINAL_FPS),
    )


def _videos_at(path: Path) -> list[NewVideo]:
    if not path.exists():
        raise InputError(f"{path} does not exist: name a video, a folder of videos, or a folder of frames.")
    if not path.is_dir():
        return [NewVideo(name=path.stem, path=path.absolute(), is_frames=False)]
    if _holds_images(path):
        return [_frames(path)]
    entries = visible_entries(path)
    videos = [each for each in entries if each.suffix.lower() in VIDEO_SUFFIXES and not each.is_dir()]
    found = [NewVideo(name=each.stem, path=each.absolute(), is_frames=False) for each in videos]
    found = found or [_frames(each) for each in entries if each.is_dir() and _holds_images(each)]
    if not found:
        raise InputError(f"{path} holds neither videos nor images: name a folder that does.")
    return found


def _frames(folder: Path) -> NewVideo:
    return NewVideo(name=folder.absolute().name, path=folder.absolute(), is_frames=True)


def _holds_images(folder: Path) -> bool:
    return any(each.suffix.lower() in IMAGE_SUFFIXES for each in visible_entries(folder))
