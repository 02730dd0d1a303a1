from pathlib import Path

import av
import pytest

from trainers.data.ingest.decoder import COLOURS, decoder_versions, other_decoder
from trainers.data.ingest.video import Video


def test_the_versions_are_those_of_the_libraries_and_of_what_they_make_of_colours(tmp_path: Path):
    versions = decoder_versions()
    assert versions["av"] == av.__version__
    assert versions["libavcodec"] == ".".join(map(str, av.library_versions["libavcodec"]))
    assert len(versions[COLOURS]) == 12
    stage = Video(
        name="a", video_digest="ab", annotation_digest=None, phases=(), video_path=tmp_path, annotation_path=None
    )
    assert stage.library_versions() == versions


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ({}, None),
        ({"av": "16.1.0"}, "by av 16.1.0, which may convert colours differently from av "),
        ({"av": "17.0.0", "libavcodec": "62.11.100"}, "by av 17.0.0 with libavcodec 62.11.100, which may"),
        ({"libswscale": "9.1.100", COLOURS: decoder_versions()[COLOURS]}, "which converts colours as av "),
        ({COLOURS: "3ded7610977a"}, "which converts colours differently from av "),
    ],
)
def test_another_decoder_is_told_from_the_one_of_this_machine(recorded: dict[str, str], told: str | None):
    said = other_decoder({"numpy": "2.0", **recorded})
    assert told in said if told else said == ""
    assert other_decoder({"numpy": "2.0", **decoder_versions()}) == ""
