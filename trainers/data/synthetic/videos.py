"""Synthetic laparoscopic cholecystectomies in Cholec80's layout: H.264 videos and annotations."""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np

from trainers.data.synthetic.operation import FPS, TOOLS, Segment, ToolUse, draw_phases, draw_tools, visible_tools
from trainers.data.synthetic.scene import Scene
from trainers.runtime.files import replacing
from trainers.runtime.processes import end_with_parent
from trainers.runtime.randomness import numpy_generator
from trainers.stage import InputError, MachineError

PARAMETERS_FILE = "synthetic.json"
REVISION = 1
"""Raised whenever the same parameters would give other videos."""
DURATION_SPREAD = 0.25
MIN_FRAMES = 2 * FPS
KEY_FRAME_INTERVAL = 50
ENCODER = {"preset": "superfast", "tune": "fastdecode", "crf": "23", "g": str(KEY_FRAME_INTERVAL), "threads": "1"}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of all videos of a folder."""

    minutes: float
    seed: int
    width: int
    height: int
    revision: int = REVISION


def ignore(num_videos_finished: int) -> None:
    """A report that does nothing."""


def synthesize(
    root: Path,
    *,
    num_videos: int,
    minutes: float,
    seed: int = 0,
    width: int = 426,
    height: int = 240,
    num_processes: int = 1,
    report: Callable[[int], None] = ignore,
) -> None:
    """Makes `num_videos` videos with phase and tool annotations under `root`, as Cholec80 lays them out.

    Videos that are there already are kept, so that a repeated call resumes an interrupted one or extends the folder.
    A video depends on its number and on the parameters, never on `num_videos` or `num_processes`.

    Args:
        root: the folder to fill; made if need be.
        num_videos: videos 01 to this number.
        minutes: mean duration; videos differ by up to a quarter.
        seed: of everything that is drawn.
        width: of the frames, in pixels, even.
        height: of the frames, in pixels, even.
        num_processes: how many videos are made at once.
        report: called with the number of videos finished.

    Raises:
        InputError: a parameter is out of range, or `root` holds videos made with other parameters.
        MachineError: the folder cannot be made.
    """
    parameters = Parameters(minutes=float(minutes), seed=seed, width=width, height=height)
    _check(parameters, num_videos)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"the folder {root} cannot be made ({error.strerror}): name another.") from None
    _claim(root, parameters)
    missing = [number for number in range(1, num_videos + 1) if not all(map(Path.exists, _files(root, number)))]
    num_finished = num_videos - len(missing)
    report(num_finished)
    for _ in _make_all(root, missing, parameters, num_processes):
        num_finished += 1
        report(num_finished)


def outline(
    root: Path, *, num_videos: int, minutes: float, seed: int = 0, width: int = 426, height: int = 240
) -> list[tuple[Path, Path, int]]:
    """Writes the phase annotations alone of the videos that `synthesize` makes of the same arguments.

    Returns:
        The path that each video would have, that of its annotation, and the number of its frames.
    """
    parameters = Parameters(minutes=float(minutes), seed=seed, width=width, height=height)
    outlines = []
    for number in range(1, num_videos + 1):
        segments, _ = plan_operation(number, parameters)
        video, _, _, phases = _files(root, number)
        with _written(phases) as path:
            path.write_text(_phase_rows(segments))
        outlines.append((video, phases, segments[-1].stop))
    return outlines


def synthesize_video(root: Path, number: int, parameters: Parameters) -> None:
    """Makes one video and its annotations; the phase file appears last."""
    cv2.setNumThreads(0)
    segments, uses = plan_operation(number, parameters)
    scene = Scene(parameters.seed, number, parameters.width, parameters.height, segments, uses)
    num_frames = segments[-1].stop
    video, tools, timestamps, phases = _files(root, number)
    with _written(video) as path:
        _encode(path, (scene.frame(index) for index in range(num_frames)), parameters)
    with _written(tools) as path:
        path.write_text(_tool_rows(uses, num_frames))
    with _written(timestamps) as path:
        path.write_text(_timestamp_rows(num_frames))
    with _written(phases) as path:
        path.write_text(_phase_rows(segments))


def plan_operation(number: int, parameters: Parameters) -> tuple[tuple[Segment, ...], tuple[ToolUse, ...]]:
    """The phases and instruments of a video."""
    generator = numpy_generator(parameters.seed, "operation", number)
    spread = generator.uniform(1 - DURATION_SPREAD, 1 + DURATION_SPREAD)
    num_frames = max(MIN_FRAMES, round(parameters.minutes * 60 * FPS * spread))
    segments = draw_phases(generator, num_frames)
    return segments, draw_tools(generator, segments)


def _check(parameters: Parameters, num_videos: int) -> None:
    if num_videos < 1:
        raise InputError(f"num_videos is {num_videos}: ask for at least one video")
    if not 0 < parameters.minutes < math.inf:
        raise InputError(f"minutes is {parameters.minutes}: a video needs a positive duration")
    for name, size in (("width", parameters.width), ("height", parameters.height)):
        if size < 32 or size % 2:
            raise InputError(
                f"{name} is {size}: H.264 in yuv420p needs an even number of pixels, and the scene at least 32"
            )


def _claim(root: Path, parameters: Parameters) -> None:
    """Writes the folder's parameters, or compares them with those that are there."""
    path, wanted = root / PARAMETERS_FILE, asdict(parameters)
    if path.exists():
        found = _read_parameters(path)
        differences = [
            f"{name} {found.get(name)} (asked: {value})" for name, value in wanted.items() if found.get(name) != value
        ]
        if differences:
            raise InputError(
                f"{root} holds videos made with {', '.join(differences)}: choose another folder or delete it"
            )
    elif any((root / "videos").glob("*.mp4")):
        raise InputError(f"{root / 'videos'} holds videos that were not made here: choose another folder")
    else:
        with _written(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2) + "\n")


def _read_parameters(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged: delete it and the videos beside it, or choose another folder.")
    return found


def _make_all(root: Path, numbers: Sequence[int], parameters: Parameters, num_processes: int) -> Iterator[int]:
    if num_processes == 1 or len(numbers) < 2:
        for number in numbers:
            synthesize_video(root, number, parameters)
            yield number
        return
    with ProcessPoolExecutor(
        min(num_processes, len(numbers)),
        get_context("spawn"),
        initializer=end_with_parent,
    ) as pool:
        pending = {pool.submit(synthesize_video, root, number, parameters): number for number in numbers}
        try:
            for finished in as_completed(pending):
                finished.result()
                yield pending[finished]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _files(root: Path, number: int) -> tuple[Path, Path, Path, Path]:
    """The video, its tools, its timestamps and its phases, in the order in which they are written."""
    name = f"video{number:02d}"
    return (
        root / "videos" / f"{name}.mp4",
        root / "tool_annotations" / f"{name}-tool.txt",
        root / "videos" / f"{name}-timestamp.txt",
        root / "phase_annotations" / f"{name}-phase.txt",
    )


def _written(path: Path) -> AbstractContextManager[Path]:
    """A temporary path; another command may be writing the same file."""
    return replacing(path, mark=f".{os.getpid()}")


def _encode(path: Path, images: Iterator[np.ndarray], parameters: Parameters) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = parameters.width, parameters.height, "yuv420p"
        stream.codec_context.thread_count = 1  # more threads would change the bytes
        for index, image in enumerate(images):
            planes: np.ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _phase_rows(segments: Sequence[Segment]) -> str:
    rows = [f"{frame}\t{segment.phase}" for segment in segments for frame in range(segment.start, segment.stop)]
    return "\n".join(["Frame\tPhase", *rows]) + "\n"


def _tool_rows(uses: Sequence[ToolUse], num_frames: int) -> str:
    rows = [
        "\t".join([str(frame), *(str(int(seen)) for seen in visible_tools(uses, frame))])
        for frame in range(0, num_frames, FPS)
    ]
    return "\n".join(["\t".join(["Frame", *TOOLS]), *rows]) + "\n"


def _timestamp_rows(num_frames: int) -> str:
    rows = [f"{frame}\t{_clock(frame)}" for frame in range(0, num_frames, FPS)]
    return "\n".join(["frame\ttime", *rows]) + "\n"


def _clock(frame: int) -> str:
    seconds, rest = divmod(frame, FPS)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest * 100 // FPS:02d}"
