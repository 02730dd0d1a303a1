import io
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from trainers.data.datasets.description import builtin
from trainers.data.datasets.discovery import discover
from trainers.data.datasets.frame_folders import FrameFolder, digest_frames, images_by_index
from trainers.data.frames import FrameStore
from trainers.data.ingest.annotations import AnnotationFormat
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
    (recording,) = discover(builtin("frames"), root).recordings
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
    with pytest.raises(InputError, match=r"video01 lacks frame 5, which 5 rows per second need: extract"):
        ingest(tmp_path, fps=5, labelled=False)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("frame25.png", r"frame25\.png is not named by its index, like 000025\.jpg: rename"),
        ("25.png", r"25\.png has the index of 000025\.png: move one"),
    ],
)
def test_images_with_other_names_are_refused(tmp_path: Path, cut_out: Callable[..., Path], name: str, complaint: str):
    folder = cut_out(range(0, 101, 25))
    (folder / name).touch()
    with pytest.raises(InputError, match=complaint):
        images_by_index(folder)


PICTURE = Image.fromarray(cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (128, 96)))
TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 3


def encoded(picture: Image.Image = PICTURE, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def with_hole(content: bytes, num_bytes: int = 400) -> bytes:
    """An image some of whose bytes are zero, as after a write that never reached the disk."""
    middle = len(content) // 2
    return content[:middle] + bytes(num_bytes) + content[middle + num_bytes :]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty: copy"),
        (b"no image", r"is damaged \(it is no image\): copy"),
        (encoded(kind="JPEG")[:-900], r"is damaged \(image file is truncated .*\): copy"),
        (encoded()[:-5000], r"is damaged \(.*\): copy"),
        (encoded()[:-12], r"is damaged \(.*\): copy"),
        (with_hole(encoded()), r"is damaged \(.*\): copy"),
        (encoded(kind="GIF"), "is a GIF by its content: extract it again as an RGB image, JPEG or PNG"),
        (encoded(kind="BMP"), "is a BMP by its content: extract"),
        (encoded(kind="WEBP"), "is a WEBP by its content: extract"),
        (encoded(save_all=True, append_images=[PICTURE.rotate(90)]), "is animated: extract"),
        (encoded(PICTURE.convert("CMYK"), "JPEG"), "is CMYK: extract"),
        (encoded(PICTURE.resize((9, 7))), r"is 9×7 px, unlike the 128×96 px of most images of its folder: extract"),
        (encoded(PICTURE.resize((1, 1))), r"is 1×1 px, unlike the 128×96 px of most images of its folder: extract"),
    ],
    ids=[
        *("empty", "text", "truncated JPEG", "truncated PNG", "PNG without its end", "PNG with a hole"),
        *("GIF", "BMP", "WebP", "animated", "CMYK", "another size", "one pixel"),
    ],
)
@pytest.mark.parametrize("index", [0, 30])
def test_a_faulty_image_is_named_whether_or_not_it_becomes_a_row(
    tmp_path: Path, cut_out: Callable[..., Path], content: bytes, complaint: str, index: int
):
    (cut_out(range(0, 101, 5)) / f"{index:06}.png").write_bytes(content)
    with pytest.raises(InputError, match=rf"video01/{index:06}\.png {complaint}"):
        ingest(tmp_path, fps=1, labelled=False)


def test_the_first_faulty_images_are_named_and_the_others_counted(tmp_path: Path, cut_out: Callable[..., Path]):
    folder = cut_out(range(0, 101, 5))
    for index in range(10, 70, 10):
        (folder / f"{index:06}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"000010\.png is empty: copy .*likewise 000020\.png is empty; .*; and 2 more"):
        ingest(tmp_path, fps=1, labelled=False)


@pytest.mark.parametrize(
    ("name", "content", "remark"),
    [
        ("000025.png", encoded(kind="JPEG"), "are JPEG by their content, not by their name"),
        ("000025.jpg", encoded(), "are PNG by their content, not by their name"),
        ("000025.jpg", encoded(kind="JPEG", exif=TURNED), "were turned as their EXIF orientation says"),
        ("000025.jpg", with_hole(encoded(kind="JPEG")), "may be damaged: not all of their data can be decoded"),
        ("000025.png", encoded(PICTURE.convert("RGBA")), "have transparency, left out"),
        ("000025.png", encoded(PICTURE.convert("L")), "are grey"),
        (
            "000025.png",
            cv2.imencode(".png", np.full((96, 128, 3), 30_000, np.uint16))[1].tobytes(),
            "have 16 bits per value, reduced to 8",
        ),
    ],
    ids=["JPEG as PNG", "PNG as JPEG", "EXIF", "JPEG with a hole", "transparent", "grey", "16 bits"],
)
def test_an_unusual_image_is_taken_and_told_of_in_the_audit(
    tmp_path: Path, cut_out: Callable[..., Path], name: str, content: bytes, remark: str
):
    folder = cut_out(range(0, 101, 25))
    (folder / "000025.png").unlink()
    (folder / name).write_bytes(content)
    store, audit = ingest(tmp_path, fps=1, labelled=False)
    with store:
        assert len(store) == 5
    assert f"1 of 5 images {remark} (first {name})" in audit["warnings"]


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}, {"quality": 20}])
def test_whole_images_of_every_kind_need_no_remark(
    tmp_path: Path, cut_out: Callable[..., Path], options: dict[str, object]
):
    folder = cut_out(range(0, 101, 25), "{:06}.jpg")
    for path in folder.iterdir():
        path.write_bytes(encoded(PICTURE.resize((121, 67)), "JPEG", **options))
    store, audit = ingest(tmp_path, fps=1, labelled=False)
    store.close()
    assert (audit["width_px"], audit["height_px"], audit["warnings"]) == (121, 67, [])


def test_images_that_lie_on_their_side_have_the_size_that_they_are_shown_with(
    tmp_path: Path, cut_out: Callable[..., Path]
):
    folder, exif = cut_out(range(0, 101, 25), "{:06}.jpg"), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for path in folder.iterdir():
        path.write_bytes(encoded(kind="JPEG", exif=exif))
    store, audit = ingest(tmp_path, fps=1, labelled=False)
    store.close()
    assert (audit["width_px"], audit["height_px"]) == (96, 128)
    assert audit["warnings"] == ["5 of 5 images were turned as their EXIF orientation says (first 000000.jpg)"]


def test_a_video_of_single_pixels_is_refused(tmp_path: Path, cut_out: Callable[..., Path]):
    for path in cut_out(range(0, 101, 25)).iterdir():
        path.write_bytes(encoded(PICTURE.resize((1, 1))))
    with pytest.raises(InputError, match=r"video01 has frames of 1×1 px: give a recording of at least 16 pixels"):
        ingest(tmp_path, fps=1, labelled=False)


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_an_entry_that_is_no_file_is_refused(tmp_path: Path, cut_out: Callable[..., Path], kind: str):
    entry = cut_out(range(0, 101, 25)) / "000026.png"
    entry.mkdir() if kind == "folder" else entry.symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"000026\.png is no file that can be read: put the image back or move"):
        images_by_index(entry.parent)


def test_a_folder_without_images_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere is not a folder: put the frames back"):
        images_by_index(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no images \(\.jpg"):
        images_by_index(tmp_path)


def test_the_digest_tells_names_and_contents_apart(cut_out: Callable[..., Path]):
    folder = cut_out(range(0, 101, 25))
    first = digest_frames(folder)
    assert first == digest_frames(folder)
    (folder / "000100.png").rename(folder / "000101.png")
    renamed = digest_frames(folder)
    (folder / "000101.png").write_bytes((folder / "000075.png").read_bytes())
    assert len({first, renamed, digest_frames(folder)}) == 3


@pytest.mark.parametrize(
    ("source_fps", "first", "fps", "shown"),
    [
        (30.0, 0, 10.0, [0, 3, 6, 9]),
        (30.0, 1, 10.0, [1, 4, 7, 10]),
        (1.0, 0, 2.0, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11]),
        (12.5, 0, 5.0, [0, 2, 5, 7, 10]),
    ],
)
def test_images_of_any_rate_are_shown_at_their_times(
    tmp_path: Path,
    cut_out: Callable[..., Path],
    index_of: Callable[[np.ndarray], int],
    source_fps: float,
    first: int,
    fps: float,
    shown: list[int],
):
    folder = cut_out(range(first, first + 12))
    annotation = tmp_path / "intervals.csv"
    annotation.write_text("start,end,phase\n0,0.15,Preparation\n0.15,0.35,ClippingCutting\n")
    stage = FrameFolder(
        name="video01",
        video_digest=digest_frames(folder),
        annotation_digest="cd" * 16,
        annotation_format=AnnotationFormat(kind="intervals", unit="seconds"),
        phases=PHASES,
        timing="seconds",
        source_fps=source_fps,
        fps=fps,
        size_px=96,
        video_path=folder,
        annotation_path=annotation,
    )
    (tmp_path / "out").mkdir()
    stage.run(Work(output=tmp_path / "out"))
    with FrameStore(tmp_path / "out") as store:
        assert [index_of(store.read(row)) for row in range(len(store))] == shown
        times = np.arange(len(shown)) / fps
        assert store.labels.tolist() == [0 if time < 0.15 else 1 if time < 0.35 else -1 for time in times]
