"""Times ingest beside plain decoding, and counts how often a file is read and how much memory that takes.

    PYTHONPATH=. python benchmarks/ingest.py [MINUTES] [--hour] [--output FILE]

Videos are made first: some seconds are encoded, and their packets repeated up to MINUTES (2 where not given), without
encoding them again. Four plain programs stand beside ours. Decoding makes every frame and does nothing with it.
Reading makes an image of each, too, as any program has to that looks at them: by PyAV's `to_ndarray`, and by OpenCV's
`VideoCapture`. Cutting is what a program does instead of ours: it decodes every frame, resizes every fifth, and makes a
JPEG of it. Storing is the stage, after registration, which skips frames that no row needs, and cuts, resizes and
stores those of the rows; ingest is the whole, with the audit before it. Speeds are frames of the video per second of
CPU time, so that other work on the machine does little harm; each is the best of some rounds, which take turns. Passes
are bytes that ingest read, over the size of the file. `--hour` ingests an hour of 1080p instead, once, without noise
and without the others. `--output FILE` writes FILE.json and FILE.md.
"""

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from trainers.data.datasets import registry
from trainers.data.datasets.audit import Audit
from trainers.data.datasets.description import parse
from trainers.data.frames import JPEG_QUALITY
from trainers.stage import Work

FPS = 25
ROW_FPS, ROW_PX = 5, 250
CLIP_FRAMES, BETWEEN_KEYS = 250, 125
ROUNDS = 2
SIZES = {"480p": (854, 480), "1080p": (1920, 1080)}
NOISE = 5.0
"""Standard deviation of the noise of a sensor, in grey levels."""
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one go over a video."""

    cpu_seconds: float
    read_bytes: int
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """Speeds and needs of a video; speeds are source frames per second of CPU time."""

    video: str
    minutes: float
    megabytes: int
    frames: int
    decoding: int
    reading_pyav: int
    reading_opencv: int
    cutting: int
    storing: int
    ingest: int
    passes: float
    peak_mib: int


def encode(path: Path, width: int, height: int, noise: float) -> None:
    """Writes a clip of a drifting texture with noise, coded with B-frames as recorders do."""
    random = np.random.default_rng(0)
    texture = cv2.resize(random.integers(0, 255, (height // 8, width // 4, 3), np.uint8), (2 * width, height))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "medium", "g": str(BETWEEN_KEYS)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(CLIP_FRAMES):
            picture = texture[:, 3 * number : 3 * number + width] + random.normal(0, noise, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def repeat(clip: Path, path: Path, times: int) -> None:
    """Writes the packets of a clip again and again, without encoding anything."""
    with av.open(str(path), "w") as container:
        with av.open(str(clip)) as first:
            stream = container.add_stream_from_template(first.streams.video[0])
        for repetition in range(times):
            with av.open(str(clip)) as source:
                shift = round(repetition * CLIP_FRAMES / FPS / source.streams.video[0].time_base)
                for packet in source.demux(video=0):
                    if packet.dts is not None:
                        packet.stream, packet.pts, packet.dts = stream, packet.pts + shift, packet.dts + shift
                        container.mux(packet)


def decode(path: Path) -> None:
    """Plain decoding on one thread."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def read(path: Path) -> None:
    """Plain decoding of every frame to an RGB image, on one thread."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")


def capture(path: Path) -> None:
    """Plain reading of every frame by OpenCV, on one thread."""
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while video.read()[0]:
        pass


def cut(path: Path) -> None:
    """Plain decoding of every frame, and a small JPEG of every fifth, on one thread."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(video=0)):
            if number % (FPS // ROW_FPS) == 0:
                image = reformatter.reformat(frame, format="bgr24").to_ndarray()
                small = cv2.resize(image, (ROW_PX, ROW_PX), interpolation=cv2.INTER_AREA)
                cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def audit(path: Path, home: Path) -> Audit:
    """What `freelunch ingest` does before it stores anything."""
    described = parse('videos = "{name}.mp4"', str(path.parent / "timed.toml"))
    return registry.audit(home, "timed", described, path.parent, lambda video: None)


def store(path: Path) -> None:
    """The stage of a video that is registered."""
    with tempfile.TemporaryDirectory() as folder:
        (stage,) = registry.load(path.parent / "home", "timed").videos(fps=ROW_FPS, size_px=ROW_PX)
        stage.run(Work(output=Path(folder)))


def ingest(path: Path) -> None:
    """Audit, registration and the stage."""
    with tempfile.TemporaryDirectory() as folder:
        registered = registry.write(Path(folder), audit(path, Path(folder)))
        (stage,) = registered.videos(fps=ROW_FPS, size_px=ROW_PX)
        stage.run(Work(output=Path(folder)))


def cost(work: Callable[[Path], None], path: Path, clip: Path) -> Cost:
    """What a go costs, in a process of its own that has done the same with a clip before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, path, clip))


def _measured(work: Callable[[Path], None], path: Path, clip: Path) -> Cost:
    cv2.setNumThreads(1)
    work(clip)
    before, start = _of_process("io", "rchar"), time.process_time()
    work(path)
    return Cost(
        cpu_seconds=time.process_time() - start,
        read_bytes=_of_process("io", "rchar") - before,
        peak_bytes=_of_process("status", "VmHWM") * 1024,
    )


def _of_process(file: str, name: str) -> int:
    """A number that the system keeps of this process."""
    lines = Path("/proc/self", file).read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


def make(folder: Path, size: str, minutes: float, noise: float) -> tuple[Path, Path, int]:
    """A clip and a video, each in a folder of its own, and the number of frames of the video."""
    clip, path = folder / size / "clip" / "clip.mp4", folder / size / "video" / "video.mp4"
    for each in (clip, path):
        each.parent.mkdir(parents=True)
    encode(clip, *SIZES[size], noise)
    times = max(1, round(minutes * 60 * FPS / CLIP_FRAMES))
    repeat(clip, path, times)
    return clip, path, times * CLIP_FRAMES


def time_all(folder: Path, size: str, minutes: float) -> Line:
    """Speeds of a video of a size and length."""
    clip, path, frames = make(folder, size, minutes, NOISE)
    for each in (clip, path):
        registry.write(each.parent / "home", audit(each, each.parent / "home"))
    works = (decode, read, capture, cut, store, ingest)
    rounds = [[cost(work, path, clip) for work in works] for _ in range(ROUNDS)]
    speeds = [round(frames / min(each.cpu_seconds for each in column)) for column in zip(*rounds, strict=True)]
    passes, peak = min(costs[-1].read_bytes for costs in rounds), max(costs[-1].peak_bytes for costs in rounds)
    return Line(
        video=size,
        minutes=minutes,
        megabytes=round(path.stat().st_size / 1e6),
        frames=frames,
        decoding=speeds[0],
        reading_pyav=speeds[1],
        reading_opencv=speeds[2],
        cutting=speeds[3],
        storing=speeds[4],
        ingest=speeds[5],
        passes=round(passes / path.stat().st_size, 2),
        peak_mib=round(peak / MIB),
    )


def ratios(line: dict[str, object]) -> dict[str, object]:
    """The speeds of storing and of ingest over those of plain programs."""
    plain = ("decoding", "reading_pyav", "reading_opencv", "cutting")
    found = {f"{ours}_to_{each}": round(line[ours] / line[each], 2) for ours in ("storing", "ingest") for each in plain}
    return {"video": line["video"], **found}


def time_hour(folder: Path) -> dict[str, float]:
    """Needs of an hour of 1080p that is ingested."""
    clip, path, frames = make(folder, "1080p", 60, 0)
    found = cost(ingest, path, clip)
    return {
        "frames": frames,
        "megabytes": round(path.stat().st_size / 1e6),
        "cpu_minutes": round(found.cpu_seconds / 60, 1),
        "passes": round(found.read_bytes / path.stat().st_size, 3),
        "peak_mib": round(found.peak_bytes / MIB),
    }


def table(rows: list[dict[str, object]]) -> str:
    """A table in Markdown, a column for each field."""
    titles = [name.replace("_", " ") for name in rows[0]]
    lines = [titles, ["---"] * len(titles), *[[str(value) for value in row.values()] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(minutes: float, hour: bool, output: Path | None) -> None:
    """Measures, prints, and adds to the files of results."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows: list[dict[str, object]]
        rows = [{**time_hour(folder)}] if hour else [asdict(time_all(folder, size, minutes)) for size in SIZES]
    print(table(rows))
    if output is None:
        return
    path = output.with_suffix(".json")
    found = json.loads(path.read_text()) if path.exists() else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, av {av.__version__}"
    found |= {"machine": machine, "hour" if hour else "speeds": rows}
    path.write_text(json.dumps(found, indent=1) + "\n")
    parts = [f"# Ingest beside plain decoding\n\n{machine}. What is measured: `benchmarks/ingest.py`."]
    if "speeds" in found:
        parts.append(f"Source frames per second of CPU time, on one core:\n\n{table(found['speeds'])}")
        parts.append(f"The same, ours over plain programs:\n\n{table([ratios(line) for line in found['speeds']])}")
    if "hour" in found:
        parts.append(f"An hour of 1080p, audit and rows:\n\n{table(found['hour'])}")
    output.with_suffix(".md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, nargs="?", default=2)
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    main(asked.minutes, asked.hour, asked.output)
