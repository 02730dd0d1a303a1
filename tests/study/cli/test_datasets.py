"""Datasets at the command line: what of them is stored, what failed, and the page on one."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.study.tiny_cli import called
from tests.study.tiny_home import copy_of, done, refused

pytestmark = pytest.mark.usefixtures("tiny_scale")
Call = Callable[..., Result]


def test_what_is_stored_is_said_by_scale(tiny_home: Path):
    result = done(called(tiny_home, "datasets"))
    assert re.search(r"tiny +cholec80 +4 +0\.0\d +tiny 4/4", result.output)
    (record,) = json.loads(done(called(tiny_home, "datasets", "--json")).output)
    assert (record["stored"], record["failed"], record["errors"]) == ({"tiny": 4}, {}, 0)


def test_a_record_that_cannot_be_read_hides_no_other_dataset(tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    (home / "datasets" / "broken.json").write_text("{")
    result = called(home, "datasets", "--json")
    assert result.exit_code == 3
    assert [record["name"] for record in json.loads(result.stdout)] == ["tiny"]
    assert re.search(r"^error: \S*broken\.json cannot be read: `\S+ --home \S+ ingest", result.stderr)


def test_an_audit_that_found_errors_is_said_until_it_finds_none(call: Call, own_videos: Path):
    video = own_videos / "videos" / "video03.mp4"
    whole = video.read_bytes()
    video.write_bytes(b"")
    asked = ("ingest", "cholec80", str(own_videos), "--name", "ours", "--scale", "tiny", "--threads", "1")
    assert call(*asked).exit_code == 2
    assert re.search(r"ours .* 1 error, not registered", done(call("datasets")).output)
    refused(call("datasets", "show", "ours"), 2, "no dataset named 'ours'")
    video.write_bytes(whole)
    done(call(*asked))
    result = done(call("datasets")).output
    assert "errors" not in result
    assert "tiny 4/4" in result


def test_a_video_that_cannot_be_decoded_fails_alone_and_is_said(call: Call, own_videos: Path):
    video = own_videos / "videos" / "video03.mp4"
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat") + 4
    packets = slice(start + len(content) // 3, start + len(content) // 3 + 2000)
    content[packets] = bytes(2000)
    video.write_bytes(content)
    result = call("ingest", "cholec80", str(own_videos), "--name", "ours", "--scale", "tiny", "--threads", "1")
    assert result.exit_code in (1, 2), "a fault in a key frame is found by the audit already"
    assert "video03.mp4 is damaged" in result.output
    assert "Traceback" not in result.output
    listed = done(call("datasets")).output
    assert "failed ours video03: " in listed or "not registered" in listed


def test_the_page_is_one_file_with_frames_ribbons_and_findings(tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    result = done(called(home, "datasets", "show", "tiny"))
    page = home / "datasets" / "tiny.html"
    assert result.output.startswith(f"{page} shows frames of patients")
    text = page.read_text()
    assert text.count('src="data:image/jpeg;base64,') == 4 * 8
    assert text.count("<svg ") == 1
    assert "This page shows frames of patients." in text
    assert "nothing unusual was found" in text
    assert all(each in text for each in ("video01", "video04", "calot triangle dissection"))
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text), "it loads nothing"


def test_the_page_shows_the_findings_and_can_be_written_elsewhere(call: Call, own_videos: Path, tmp_path: Path):
    annotation = own_videos / "phase_annotations" / "video02-phase.txt"
    annotation.write_text("\n".join(annotation.read_text().splitlines()[:-2]))
    done(call("ingest", "cholec80", str(own_videos), "--name", "ours", "--scale", "tiny", "--threads", "1"))
    done(call("datasets", "show", "ours", "--output", str(tmp_path / "page.html")))
    text = (tmp_path / "page.html").read_text()
    assert "both cut to" in text
    assert ">warning<" in text


def test_a_dataset_of_which_nothing_is_stored_has_a_page_without_frames(call: Call, tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    shutil.rmtree(home / "artifacts")
    (home / "artifacts").mkdir()
    done(called(home, "datasets", "show", "tiny"))
    text = (home / "datasets" / "tiny.html").read_text()
    assert "data:image" not in text
    assert text.count("not stored") == 4
