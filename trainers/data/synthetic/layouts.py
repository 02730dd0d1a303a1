"""Layouts of data sets: synthetic videos of Cholec80's layout, laid out as each built-in description expects them."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from trainers.data.datasets.cholec80 import PHASES
from trainers.data.ingest.annotations import read_phases
from trainers.data.synthetic.operation import FPS
from trainers.runtime.files import replacing
from trainers.stage import InputError

TEST_EVERY = 3
"""Of M2CAI16's videos, every n-th is one to test on."""
TROCAR_PART = 4
"""One n-th of the first phase is M2CAI16's placement of trocars."""
FRAMES_EVERY = 5
Phases = Sequence[int]
"""The index of the phase of every frame."""
Writer = Callable[[Path, int, Path, Phases], None]
"""What writes a video into a folder: the folder, the number of the video, its mp4, and its phases."""


def lay_out(made: Path, root: Path, layout: str) -> None:
    """Writes videos that were made in Cholec80's layout as another layout has them; what is there already is kept.

    Args:
        made: the folder with the videos as they were made.
        root: the folder to fill.
        layout: the name of a built-in description.

    Raises:
        InputError: there is no such layout.
    """
    if layout not in WRITERS:
        raise InputError(f"layout {layout!r} cannot be made: it has to be one of cholec80, {', '.join(WRITERS)}.")
    for number, video in enumerate(sorted((made / "videos").glob("*.mp4")), start=1):
        annotation = made / "phase_annotations" / f"{video.stem}-phase.txt"
        if annotation.exists():
            WRITERS[layout](root, number, video, read_phases(annotation, PHASES).tolist())


def _m2cai16(root: Path, number: int, video: Path, phases: Phases) -> None:
    is_test = number % TEST_EVERY == 0
    of_side = number // TEST_EVERY if is_test else number - number // TEST_EVERY
    stem = f"{'test_dataset/test' if is_test else 'train_dataset/'}{'_' if is_test else ''}workflow_video_{of_side:02}"
    first = next((index for index, phase in enumerate(phases) if phase != phases[0]), len(phases))
    names = ["TrocarPlacement"] * (first // TROCAR_PART) + [PHASES[phase] for phase in phases[first // TROCAR_PART :]]
    _link(video, root / f"{stem}.mp4")
    _rows(root / f"{stem}.txt", ["Frame\tPhase", *(f"{frame}\t{name}" for frame, name in enumerate(names))])


def _autolaparo(root: Path, number: int, video: Path, phases: Phases) -> None:
    _link(video, root / "videos" / f"{number:02}.mp4")
    rows = (f"{second}\t{phase + 1}" for second, phase in enumerate(phases[::FPS], start=1))
    _rows(root / "labels" / f"label_{number:02}.txt", ["Frame\tPhase", *rows])


def _heichole(root: Path, number: int, video: Path, phases: Phases) -> None:
    _link(video, root / "Videos" / "Full" / f"Hei-Chole{number}.mp4")
    path = root / "Annotations" / "Phase" / f"Hei-Chole{number}_Annotation_Phase.csv"
    _rows(path, (f"{frame},{phase}" for frame, phase in enumerate(phases)))


def _cholect50(root: Path, number: int, video: Path, phases: Phases) -> None:
    name, seconds = f"VID{number:02}", phases[::FPS]
    _cut(video, FPS, root / "videos" / name, "{:06}.png")
    triplets = {str(second): [[-1] * 14 + [phase]] for second, phase in enumerate(seconds)}
    record = {"video": number, "fps": 1, "num_frames": len(seconds), "annotations": triplets}
    _rows(root / "labels" / f"{name}.json", [json.dumps(record)])


def _frames(root: Path, number: int, video: Path, phases: Phases) -> None:
    _cut(video, FRAMES_EVERY, root / video.stem, "{:06}.jpg", by=FRAMES_EVERY)
    rows = (f"{frame}\t{PHASES[phase]}" for frame, phase in enumerate(phases))
    _rows(root / "phase_annotations" / f"{video.stem}-phase.txt", ["Frame\tPhase", *rows])


WRITERS: Mapping[str, Writer] = {
    "m2cai16": _m2cai16,
    "autolaparo": _autolaparo,
    "heichole": _heichole,
    "cholect50": _cholect50,
    "frames": _frames,
}


def _link(video: Path, path: Path) -> None:
    """A second name for a video, or a copy where a file system has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    try:
        path.hardlink_to(video)
    except OSError:
        with replacing(path, mark=f".{os.getpid()}") as temporary:
            shutil.copyfile(video, temporary)


def _cut(video: Path, every: int, folder: Path, name: str, *, by: int = 1) -> None:
    """Cuts every n-th frame of a video out; images are numbered in steps of `by`."""
    if folder.is_dir():
        return
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    temporary.mkdir(parents=True)
    try:
        for number, image in enumerate(_images(video, every)):
            cv2.imwrite(str(temporary / name.format(number * by)), image)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _images(video: Path, every: int) -> Iterator[np.ndarray]:
    with av.open(str(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield frame.to_ndarray(format="bgr24")


def _rows(path: Path, rows: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, mark=f".{os.getpid()}") as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")
