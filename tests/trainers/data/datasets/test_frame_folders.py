import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainers.data.datasets.frame_folders import FrameFolder, digest_frames, discover
from trainers.data.frames import FrameStore
from trainers.stage import InputError, Work

PHASES = ("Preparation", "ClippingCutting")
Paint = Callable[[int], np.ndarray]


@pytest.fixture
def cut_out(tmp_path: Path, paint_index: Paint) -> Callable[..., Path]:
    def write(indices: range, name: str = "{:06}.png", num_annotated: int = 0) -> Path:
        folder = tmp_path / "video01"
        folder.mkdir()
        for index in indices:
            cv2.imwrite(str(folder / name.format(index)), paint_index(index))
        (tmp_path / "phase_annotations").mkdir()
        rows = [f"{frame}\t{PHASES[frame >= 40]}\n" for frame in range(num_annotated)]
        (tmp_path / "phase_annotations" / "video01-phase.txt").write_text("Frame\tPhase\n" + "".join(rows))
        return folder

    return write


def ingest(root: Path, fps: float, *, labelled: bool = True) -> tuple[FrameStore, dict[str, object]]:
    (recording,) = discover(root)
    output = root.parent / f"{root.name}-out"
    output.mkdir()
    FrameFolder(
        name=recording.name,
        video_digest=digest_frames(recording.video),
        annotation_digest="cd" * 16 if labelled else None,
        phases=PHASES,
        fps=fps,
        size_px=96,
        video_path=recording.video,
        annotation_path=recording.annotation if labelled else None,
    ).run(Work(output=output))
    return FrameStore(output), json.loads((output / "audit.json").read_text())


@pytest.mark.parametrize("name", ["{:06}.jpg", "{}.png", "{:04}.JPEG"])
def test_frames_are_stored_by_the_index_that_names_them(
    tmp_path: Path, cut_out: Callable[..., Path], index_of: Callable[[np.ndarray], int], name: str
):
    cut_out(range(0, 101, 5), name, num_annotated=104)
    store, audit = ingest(tmp_path, fps=5)
    with store:
        assert store.frames.tolist() == [index_of(store.read(row)) for row in range(len(store))]
        assert store.frames.tolist() == list(range(0, 101, 5))
        assert store.labels.tolist() == [int(frame >= 40) for frame in store.frames]
    assert audit["warnings"] == []
    assert audit["num_frames_video"] == 104


def test_a_lower_rate_takes_some_of_the_frames(tmp_path: Path, cut_out: Callable[..., Path]):
    cut_out(range(0, 101, 5), num_annotated=90)
    store, audit = ingest(tmp_path, fps=1)
    with store:
        assert store.frames.tolist() == [0, 25, 50, 75]
    assert audit["warnings"] == ["101 frames but 90 annotated ones: both cut to 90"]


def test_a_rate_above_that_of_the_frames_is_refused(tmp_path: Path, cut_out: Callable[..., Path]):
    cut_out(range(0, 101, 25))
    with pytest.raises(InputError, match=r"video01 lacks frame 5, which a row every 5 frames needs: extract"):
        ingest(tmp_path, fps=5, labelled=False)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("frame25.png", r"frame25\.png is not named by its index at 25 fps: rename"),
        ("25.png", r"25\.png has the index of 000025\.png: move one"),
    ],
)
def test_images_with_other_names_are_refused(tmp_path: Path, cut_out: Callable[..., Path], name: str, complaint: str):
    (cut_out(range(0, 101, 25)) / name).touch()
    with pytest.raises(InputError, match=complaint):
        discover(tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", r"000025\.png is damaged: copy"),
        (b"no image", r"000025\.png is damaged: copy"),
        (cv2.imencode(".png", np.zeros((7, 9, 3), np.uint8))[1].tobytes(), r"000025\.png is 9×7 px, unlike"),
    ],
    ids=["empty", "text", "another size"],
)
def test_a_faulty_image_is_named(tmp_path: Path, cut_out: Callable[..., Path], content: bytes, complaint: str):
    (cut_out(range(0, 101, 25)) / "000025.png").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        ingest(tmp_path, fps=1, labelled=False)


def test_folders_without_frames_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere is not a folder: name"):
        discover(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no folder of frames: frames are laid out as"):
        discover(tmp_path)
    (tmp_path / "video01").mkdir()
    with pytest.raises(InputError, match=r"video01 holds no images \(\.jpg"):
        discover(tmp_path)


def test_the_digest_tells_names_and_contents_apart(cut_out: Callable[..., Path]):
    folder = cut_out(range(0, 101, 25))
    first = digest_frames(folder)
    assert first == digest_frames(folder)
    (folder / "000100.png").rename(folder / "000101.png")
    renamed = digest_frames(folder)
    (folder / "000101.png").write_bytes((folder / "000075.png").read_bytes())
    assert len({first, renamed, digest_frames(folder)}) == 3
