"""Synthetic laparoscopic cholecystectomies: H.264 videos and annotations, laid out as those of a hospital."""

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

from trainers.data.datasets.synthetic_mark import FIRST_HOSPITAL, PARAMETERS_FILE
from trainers.data.synthetic.annotation_files import WRITERS
from trainers.data.synthetic.hospitals import FIRST, HOSPITALS, Hospital
from trainers.data.synthetic.operation import Segment, ToolUse, draw_phases, draw_tools
from trainers.data.synthetic.planted import PlantedScene, draw_phase_names, draw_planted
from trainers.data.synthetic.scene import Scene
from trainers.runtime.files import replacing
from trainers.runtime.processes import end_with_parent
from trainers.runtime.randomness import numpy_generator
from trainers.stage import InputError, MachineError

OF_THE_FIRST: dict[str, object] = {"hospital": FIRST_HOSPITAL}
"""What is not written to the file of parameters: folders of the first hospital were made before there was a second."""
REVISION = 1
"""Raised whenever the same parameters would give other videos."""
DURATION_SPREAD = 0.25
MIN_SECONDS = 2
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
    hospital: str = FIRST.name

    @property
    def source(self) -> Hospital:
        """The hospital whose operations they are."""
        return HOSPITALS[self.hospital]


def ignore(num_videos_finished: int) -> None:
    """A report that does nothing."""


def synthesize(
    root: Path,
    *,
    num_videos: int,
    minutes: float,
    seed: int = 0,
    width: int | None = None,
    height: int | None = None,
    hospital: Hospital = FIRST,
    num_processes: int = 1,
    report: Callable[[int], None] = ignore,
) -> None:
    """Makes `num_videos` annotated videos under `root`: as Cholec80 lays them out, or beside a description of them.

    Videos that are there already are kept, so that a repeated call resumes an interrupted one or extends the folder.
    A video depends on its number and on the parameters, never on `num_videos` or `num_processes`.

    Args:
        root: the folder to fill; made if need be.
        num_videos: videos 01 to this number.
        minutes: mean duration; videos differ by up to a quarter.
        seed: of everything that is drawn.
        width: of the frames, in pixels, even; the hospital's where None.
        height: of the frames, in pixels, even; the hospital's where None.
        hospital: whose operations they are.
        num_processes: how many videos are made at once.
        report: called with the number of videos finished.

    Raises:
        InputError: a parameter is out of range, or `root` holds videos made with other parameters.
        MachineError: the folder cannot be made.
    """
    parameters = _parameters(minutes, seed, width, height, hospital)
    _check(parameters, num_videos)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"the folder {root} cannot be made ({error.strerror}): name another.") from None
    _claim(root, parameters)
    if hospital.description:
        _write(root / hospital.description_file, hospital.description)
    numbers = range(1, num_videos + 1)
    missing = [number for number in numbers if not all(map(Path.exists, hospital.files(root, number).values()))]
    num_finished = num_videos - len(missing)
    report(num_finished)
    for _ in _make_all(root, missing, parameters, num_processes):
        num_finished += 1
        report(num_finished)


def outline(
    root: Path, *, num_videos: int, minutes: float, seed: int = 0, hospital: Hospital = FIRST
) -> list[tuple[Path, Path, int]]:
    """Writes the phase annotations alone of the videos that `synthesize` makes of the same arguments.

    Returns:
        The path that each video would have, that of its annotation, and the number of its frames.
    """
    parameters = _parameters(minutes, seed, None, None, hospital)
    outlines = []
    for number in range(1, num_videos + 1):
        segments, uses = plan_operation(number, parameters)
        files = hospital.files(root, number)
        what, annotation = list(files.items())[-1]
        _write(annotation, WRITERS[what](segments, uses, hospital.fps))
        outlines.append((files["video"], annotation, segments[-1].stop))
    return outlines


def synthesize_video(root: Path, number: int, parameters: Parameters) -> None:
    """Makes one video and its annotations; the phase file appears last."""
    cv2.setNumThreads(0)
    segments, uses = plan_operation(number, parameters)
    hospital, seed = parameters.source, parameters.source.seed_of(parameters.seed)
    kind = Scene if hospital.cue is None else PlantedScene
    scene = kind(seed, number, parameters.width, parameters.height, segments, uses, hospital)
    files = dict(hospital.files(root, number))
    with _written(files.pop("video")) as path:
        _encode(path, (scene.frame(index) for index in range(segments[-1].stop)), parameters)
    for what, annotation in files.items():
        _write(annotation, WRITERS[what](segments, uses, hospital.fps))


def plan_operation(number: int, parameters: Parameters) -> tuple[tuple[Segment, ...], tuple[ToolUse, ...]]:
    """The phases and instruments of a video."""
    hospital = parameters.source
    generator = numpy_generator(hospital.seed_of(parameters.seed), "operation", number)
    spread = generator.uniform(1 - DURATION_SPREAD, 1 + DURATION_SPREAD)
    num_frames = max(MIN_SECONDS * hospital.frames_per_second, round(parameters.minutes * 60 * hospital.fps * spread))
    if hospital.cue is not None:
        phases = draw_phase_names(hospital.seed_of(parameters.seed), number, hospital.cue)
        return draw_planted(generator, num_frames, phases, hospital.frames_per_second)
    segments = draw_phases(generator, num_frames, trocars=hospital.annotates_trocars)
    return segments, draw_tools(generator, segments, hospital.frames_per_second)


def _parameters(minutes: float, seed: int, width: int | None, height: int | None, hospital: Hospital) -> Parameters:
    return Parameters(
        minutes=float(minutes),
        seed=seed,
        width=hospital.width if width is None else width,
        height=hospital.height if height is None else height,
        hospital=hospital.name,
    )


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
        found = {**OF_THE_FIRST, **_read_parameters(path)}
        differences = [
            f"{name} {found.get(name)} (asked: {value})" for name, value in wanted.items() if found.get(name) != value
        ]
        if differences:
            raise InputError(
                f"{root} holds videos made with {', '.join(differences)}: choose another folder or delete it"
            )
        return
    folder = parameters.source.files(root, 1)["video"].parent
    if any(folder.glob("*.mp4")):
        raise InputError(f"{folder} holds videos that were not made here: choose another folder")
    kept = {name: value for name, value in wanted.items() if (name, value) not in OF_THE_FIRST.items()}
    _write(path, json.dumps(kept, indent=2) + "\n")


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


def _written(path: Path) -> AbstractContextManager[Path]:
    """A temporary path; another command may be writing the same file."""
    return replacing(path, mark=f".{os.getpid()}")


def _write(path: Path, text: str) -> None:
    with _written(path) as temporary:
        temporary.write_text(text)


def _encode(path: Path, images: Iterator[np.ndarray], parameters: Parameters) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=parameters.source.fps, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = parameters.width, parameters.height, "yuv420p"
        stream.codec_context.thread_count = 1  # more threads would change the bytes
        for index, image in enumerate(images):
            planes: np.ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
