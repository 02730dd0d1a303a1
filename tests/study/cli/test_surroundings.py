"""Commands in a terminal, a folder and under variables that are not as usual."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from study.cli import main
from tests.study.tiny_cli import called
from tests.study.tiny_home import refused


def ended(*arguments: str) -> int:
    """The exit code of a command on this process's own streams."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments), prog_name="freelunch")
    return int(end.value.code or 0)


def test_a_command_whose_output_is_closed_ends_as_usual(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "stdout", None)
    assert ended("--home", str(tmp_path), "list") == 0
    monkeypatch.setattr(sys, "stderr", None)
    assert ended("--home", str(tmp_path), "status") == 2


def test_a_closed_input_counts_as_no_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "stdin", None)
    assert ended("--home", str(tmp_path), "list") == 0
    assert not sys.stdin.isatty(), "confirmations ask this"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_lacks_is_printed_as_escapes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert ended("--home", str(tmp_path), "list") == 0
    stream.seek(0)
    assert "\\u03bb" in stream.read()


def test_a_folder_that_was_removed_is_named_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert ended("list") == 3
    assert "error: the current folder cannot be used (No such file or directory): change to" in capsys.readouterr().err


@pytest.mark.parametrize("columns", ["0", "1", "-3", "x"])
def test_a_terminal_without_a_size_shows_tables_nevertheless(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: str
):
    monkeypatch.setenv("COLUMNS", columns)
    listed = called(tmp_path / "home", "list")
    assert listed.exit_code == 0
    assert "\ntable3 " in listed.output


@pytest.mark.parametrize("command", [("status",), ("datasets",), ("plan", "table3")])
def test_a_link_to_itself_is_no_home(tmp_path: Path, command: tuple[str, ...]):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    result = called(tmp_path / "loop", *command)
    assert "Traceback" not in result.output
    assert result.exit_code in (0, 2, 3)
    if command[0] == "plan":
        refused(result, 3, "cannot be written (Too many levels of symbolic links)")


@pytest.mark.parametrize(
    ("number", "file", "said"),
    [
        (errno.EROFS, "/o/p.html.2efc660bd50c45c6b61b8df72ed13b39.part", "/o/p.html cannot be written (Read-only file"),
        (errno.EACCES, "/o/.synthetic.json.629.part", "/o/synthetic.json cannot be written (Permission denied): name"),
        (errno.EROFS, "/o/new", "/o/new cannot be written (Read-only file system): name another folder"),
        (errno.EROFS, None, "a file cannot be written (Read-only file system)"),
        (
            errno.EACCES,
            "/o/video.mp4",
            "/o/video.mp4 cannot be used (Permission denied): let this user read it, or name another.",
        ),
        (
            errno.ENOTDIR,
            "/h/weights",
            "/h/weights cannot be used (Not a directory): put a folder in its place, or name",
        ),
        (errno.EIO, None, "a file or a connection cannot be used (Input/output error)."),
    ],
)
def test_a_place_that_cannot_be_written_is_called_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, file: str | None, said: str
):
    def fails(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), file)

    monkeypatch.setattr("study.cli.videos.make_laid_out", fails)
    refused(called(tmp_path / "home", "synthesize", str(tmp_path / "videos")), 3, f"error: {said}")
