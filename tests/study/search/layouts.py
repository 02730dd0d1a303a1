"""Videos of Cholec80's layout as users hold them otherwise: M2CAI16's folders, and frames that were cut out."""

import shutil
from pathlib import Path

import av

FRAMES_EVERY = 5
"""One frame in five is kept: 5 fps."""


def as_m2cai16(cholec80: Path, root: Path, num_test: int) -> None:
    """Copies videos into M2CAI16's folders, the last ones to test on; each begins with its first phase, trocars."""
    videos = sorted((cholec80 / "videos").glob("*.mp4"))
    sides = {
        "train_dataset/workflow_video_": videos[:-num_test],
        "test_dataset/test_workflow_video_": videos[-num_test:],
    }
    for place, side in sides.items():
        (root / place).parent.mkdir(parents=True)
        for number, video in enumerate(side, 1):
            shutil.copy(video, root / f"{place}{number:02}.mp4")
            rows = (cholec80 / "phase_annotations" / f"{video.stem}-phase.txt").read_text().splitlines()
            rows[1 : 1 + FRAMES_EVERY] = [f"{frame}\tTrocarPlacement" for frame in range(FRAMES_EVERY)]
            (root / f"{place}{number:02}.txt").write_text("\n".join(rows) + "\n")


def as_frames(cholec80: Path, root: Path) -> None:
    """Cuts frames out into a folder per video."""
    for path in sorted((cholec80 / "videos").glob("*.mp4")):
        (root / path.stem).mkdir(parents=True)
        with av.open(str(path)) as video:
            for index, frame in enumerate(video.decode(video=0)):
                if index % FRAMES_EVERY == 0:
                    frame.to_image().save(root / path.stem / f"{index:06}.png")
    shutil.copytree(cholec80 / "phase_annotations", root / "phase_annotations")
