"""Files that are digested while they are read, in order or not."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trainers.data.ingest import digested_file
from trainers.data.ingest.digested_file import DigestedFile
from trainers.data.ingest.video_file import read_timeline
from trainers.stage import InputError


def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path):
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
        with pytest.raises(InputError, match=rf"{path} cannot be read \({reason}\): let this user read it"):
            DigestedFile(path)


def test_a_file_that_cannot_be_read_to_its_end_is_one_sentence(
    tmp_path: Path, encode_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    def fail(self: DigestedFile, size: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    video = encode_video(tmp_path / "video.mp4", 20)
    monkeypatch.setattr(DigestedFile, "read", fail)
    with DigestedFile(video) as file, pytest.raises(InputError, match=r"video\.mp4 .*\(Input/output error\)"):
        read_timeline(video, file)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(10_000))
    return path


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [(0, 10_000)],
        [(0, 100), (100, 9_900)],
        [(0, 100), (9_000, 1_000), (100, 8_900)],
        [(0, 4_000), (1_000, 6_000), (500, 20), (5_000, 9_000)],
        [(0, 100), (300, 100), (7_000, 2_000)],
        [(2_000, 100)],
    ],
)
@pytest.mark.parametrize("most_skipped", [0, 500])
def test_the_digest_is_that_of_the_whole_file_however_it_was_read(
    path: Path, reads: list[tuple[int, int]], most_skipped: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(digested_file, "MOST_SKIPPED_BYTES", most_skipped)
    content = path.read_bytes()
    with DigestedFile(path) as file:
        for start, length in reads:
            assert file.seek(start) == start
            assert file.read(length) == content[start : start + length]
            assert file.tell() == min(start + length, len(content))
        assert file.seek(0, os.SEEK_END) == len(content)
        assert file.digest() == hashlib.blake2b(content, digest_size=16).hexdigest()
