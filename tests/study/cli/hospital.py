"""A small hospital whose data set is described in every format: to do harm to, and to put right again."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from tests.trainers.data.conftest import encode

NAMES = ("op1", "op2", "op3", "op4")
NUM_FRAMES, IMAGES = 50, (0, 1, 2, 3)
HEAD = 'phases = ["Access", "Dissection", "Closure"]\n'
VIDEOS = 'videos = "videos/{name}.mp4"\n'
SPLIT = '[split]\ntrain = ["op1", "op2"]\ntest = ["op3", "op4"]\n'
DESCRIPTIONS = {
    "intervals": f'{HEAD}{VIDEOS}[annotations]\nfiles = "intervals/{{name}}.csv"\nformat = "intervals"\n'
    f'unit = "seconds"\n{SPLIT}',
    "rows": f'{HEAD}{VIDEOS}[annotations]\nfiles = "rows/{{name}}.txt"\nformat = "frame-rows"\nrate = 25\n{SPLIT}',
    "table": f'{HEAD}{VIDEOS}[annotations]\nfiles = "table/{{name}}.csv"\nformat = "csv"\nrate = 5\ntime = "at"\n'
    f'unit = "seconds"\nphase = "what"\n{SPLIT}',
    "seconds": f'{HEAD}{VIDEOS}[annotations]\nfiles = "seconds/{{name}}.txt"\nformat = "second-rows"\n{SPLIT}',
    "images": f'{HEAD}frames = "images/{{name}}/{{frame}}.png"\nfps = 0.02\n[annotations]\n'
    f'files = "halves/{{name}}.csv"\nformat = "intervals"\nunit = "hh:mm:ss"\n{SPLIT}',
}
"""By their name, each in a file of that name."""


def build(root: Path) -> Path:
    """Makes the hospital in a folder."""
    for folder in ("videos", "intervals", "rows", "table", "seconds", "halves"):
        (root / folder).mkdir(parents=True)
    for name, text in DESCRIPTIONS.items():
        (root / f"{name}.toml").write_text(text)
    for number, name in enumerate(NAMES):
        encode(root / "videos" / f"{name}.mp4", NUM_FRAMES + number)
        _annotate(root, name)
        _draw(root / "images" / name, number)
    return root


def restore(kept: Path, root: Path) -> None:
    """Puts everything back as it was, times of modification too, so that nothing is read again that was read."""
    shutil.rmtree(root)
    shutil.copytree(kept, root, symlinks=True)


def _annotate(root: Path, name: str) -> None:
    (root / "intervals" / f"{name}.csv").write_text("start,end,phase\n0,0.8,Access\n0.8,2,Closure\n")
    rows = (f"{frame}\t{'Access' if frame < 20 else 'Closure'}" for frame in range(NUM_FRAMES))
    (root / "rows" / f"{name}.txt").write_text("\n".join(["Frame\tPhase", *rows]) + "\n")
    times = (f"{step / 5},{'Access' if step < 4 else 'Closure'}" for step in range(NUM_FRAMES // 5))
    (root / "table" / f"{name}.csv").write_text("\n".join(["at,what", *times]) + "\n")
    (root / "seconds" / f"{name}.txt").write_text("0\tAccess\n1\tClosure\n")
    (root / "halves" / f"{name}.csv").write_text(
        "start,end,phase\n00:00:00,00:01:40,Access\n00:01:40,00:03:20,Closure\n"
    )


def _draw(folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    for index in IMAGES:
        pixels = np.random.default_rng(10 * number + index).integers(0, 255, (24, 32, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index:06}.png"), cv2.resize(pixels, (64, 48), interpolation=cv2.INTER_NEAREST))
