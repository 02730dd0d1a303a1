"""Annotation files that text editors and accidents leave."""

import errno
from pathlib import Path

import pytest

from tests.odd_paths import odd_path
from trainers.data.ingest.annotations import read_phases, table
from trainers.stage import InputError

PHASES = ("Preparation", "Dissection")
TEXT = "Frame\tPhase\n0\tPreparation\n1\tPreparation\n2\tDissection\n"


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "video01-phase.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\t", "   ").encode() + b"\n\n",
        TEXT.replace("\n0", "\n000").encode(),
    ],
)
def test_every_way_to_write_the_rows_is_read(tmp_path: Path, content: bytes):
    assert read_phases(written(tmp_path, content), PHASES).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (TEXT.encode("utf-16"), "is in UTF-16: save it as UTF-8"),
        (TEXT.encode("utf-16-be"), ":2 reads"),
        (TEXT.encode() + b"\xff", r"is not a text file \(byte \d+\)"),
        (TEXT.replace("\n1\t", "\n" + "9" * 5000 + "\t").encode(), ":3 is frame 9{100} where frame 1 is due"),
        (TEXT.replace("Dissection", "D" * 5000).encode(), ":4 names the unknown phase 'D{100}'"),
        (TEXT.replace("\n", "\0\n").encode(), ":2 names the unknown phase"),
        (b"x" * 100_000, "is empty"),
        (b"Frame\tPhase\n" + b"x" * 100_000, ":2 reads 'x{100}' instead of"),
    ],
)
def test_what_is_no_annotation_is_refused_with_its_row(tmp_path: Path, content: bytes, sentence: str):
    with pytest.raises(InputError, match=sentence) as refused:
        read_phases(written(tmp_path, content), PHASES)
    assert len(str(refused.value)) < 500 + len(str(tmp_path))


def test_a_file_larger_than_any_annotation_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "LARGEST_BYTES", len(TEXT) - 1)
    with pytest.raises(InputError, match="no annotation of a video is"):
        read_phases(written(tmp_path, TEXT.encode()), PHASES)


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, kind: str):
    with pytest.raises(InputError, match=r"cannot be read .*: put the annotation's file in its place"):
        read_phases(odd_path(tmp_path / "odd", kind), PHASES)


def test_a_file_of_another_user_is_to_be_made_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(path: Path, **options: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = written(tmp_path, TEXT.encode())
    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\): let this user read it\.$"):
        read_phases(path, PHASES)
