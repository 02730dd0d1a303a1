"""Times ingest beside plain decoding, and counts how often a file is read and how much memory that takes.

    python benchmarks/ingest.py [MINUTES]

Videos are made first: a few seconds are encoded, and their packets repeated up to MINUTES (2 where not given). Decoding
makes every frame and does nothing with it; reading makes an RGB image of each, too, as any program has to that looks at
them; ingest skips frames that no row needs, and cuts, resizes and stores those of the rows. Speeds are frames of the
video per second of CPU time, so that other work on the machine does no harm; each is the best of two rounds, which take
turns. Passes are bytes that ingest read, over the size of the file.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from trainers.data.ingest.video import Video
from trainers.stage import Work

FPS = 25
CLIP_FRAMES = 200
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


def encode(path: Path, width: int, height: int) -> None:
    """Writes a clip of a drifting texture with noise, coded with B-frames as recorders do."""
    random = np.random.default_rng(0)
    texture = cv2.resize(random.integers(0, 255, (height // 8, width // 4, 3), np.uint8), (2 * width, height))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "medium", "g": "250"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(CLIP_FRAMES):
            picture = texture[:, 3 * number : 3 * number + width] + random.normal(0, NOISE, (height, width, 1))
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


def ingest(path: Path) -> None:
    """The stage, at 5 rows per second."""
    stage = Video(
        name=path.stem,
        video_digest="0" * 32,
        annotation_digest=None,
        phases=("Phase",),
        timing="seconds",
        video_path=path,
        annotation_path=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        stage.run(Work(output=Path(folder)))


def cost(work: Callable[[Path], None], path: Path, clip: Path) -> Cost:
    """What a go costs, in a process of its own that has done the same with a clip before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, path, clip))


def _measured(work: Callable[[Path], None], path: Path, clip: Path) -> Cost:
    work(clip)
    before, start = _read_bytes(), time.process_time()
    work(path)
    return Cost(
        cpu_seconds=time.process_time() - start,
        read_bytes=_read_bytes() - before,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _read_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar")))


def main(minutes: float) -> None:
    print(f"{'video':>14} {'frames':>7} {'decoding':>9} {'reading':>9} {'ingest':>9} {'passes':>7} {'peak MiB':>9}")
    with tempfile.TemporaryDirectory() as made:
        for name, (width, height) in SIZES.items():
            clip = Path(made) / f"{name}-clip.mp4"
            encode(clip, width, height)
            for length in (minutes / 4, minutes):
                path, times = Path(made) / f"{name}.mp4", max(1, round(length * 60 * FPS / CLIP_FRAMES))
                repeat(clip, path, times)
                rounds = [[cost(work, path, clip) for work in (decode, read, ingest)] for _ in range(ROUNDS)]
                show(f"{name} {length:g} min", times * CLIP_FRAMES, path.stat().st_size, rounds)


def show(name: str, frames: int, size: int, rounds: list[list[Cost]]) -> None:
    """Prints a line of the table, and how fast ingest is beside the others."""
    decoding, reading, ours = (min(each.cpu_seconds for each in column) for column in zip(*rounds, strict=True))
    speeds = " ".join(f"{frames / seconds:7.0f}/s" for seconds in (decoding, reading, ours))
    passes = min(costs[-1].read_bytes for costs in rounds) / size
    peak = max(costs[-1].peak_bytes for costs in rounds) / MIB
    print(f"{name:>14} {frames:7} {speeds} {passes:7.2f} {peak:9.0f}")
    print(f"{'':>14} ingest / decoding {decoding / ours:.2f}, ingest / reading {reading / ours:.2f}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2)
