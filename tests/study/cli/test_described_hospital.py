"""The description that docs/datasets.md shows, as it is written there: from the file to a plan."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from click.testing import Result

from tests.study.tiny_home import done, refused

pytestmark = pytest.mark.usefixtures("tiny_scale")
DOCS = Path(__file__).parents[3] / "docs" / "datasets.md"
NAMES = ("op01", "op02", "op11", "op12")
LONGEST = 12
"""Lines of the description."""


@pytest.fixture
def hospital(tiny_videos: Path, tmp_path: Path) -> Path:
    """The folder of a made-up hospital with the documented description in it."""
    text = re.search(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    root = tmp_path / "hospital"
    for folder in ("theatre-1", "theatre-2", "phases"):
        (root / folder).mkdir(parents=True)
    for number, (name, video) in enumerate(zip(NAMES, sorted((tiny_videos / "videos").glob("*.mp4")), strict=True)):
        wrap(video, root / f"theatre-{number % 2 + 1}" / f"{name}.mkv")
        rows = ["start,end,phase", "0:00:00,0:00:02,Access", "0:00:02,0:00:03,Dissection", "0:00:03.5,0:00:04,Closure"]
        (root / "phases" / f"{name}.csv").write_text("\n".join(rows) + "\n")
    (root / "lakeside.toml").write_text(text[1], encoding="utf-8")
    return root


def wrap(video: Path, path: Path) -> None:
    """The same encoded frames in another container."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


def test_the_documented_hospital_is_ingested_and_planned(hospital: Path, call: Callable[..., Result]):
    description = hospital / "lakeside.toml"
    assert len(description.read_text().strip().splitlines()) <= LONGEST
    looked = done(call("ingest", str(description), "--dry-run", "--scale", "tiny"))
    assert "4 of 4 videos to store" in looked.output
    ingested = done(call("ingest", str(description), "--scale", "tiny", "--threads", "1"))
    assert all(name in ingested.output for name in NAMES)
    planned = done(call("plan", "table3", "--dataset", "lakeside", "--scale", "tiny"))
    assert "2 train" in planned.output or "1 train" in planned.output


def test_a_registered_data_set_does_not_need_its_description_any_more(hospital: Path, call: Callable[..., Result]):
    done(call("ingest", str(hospital / "lakeside.toml"), "--scale", "tiny", "--threads", "1"))
    (hospital / "lakeside.toml").unlink()
    shutil.rmtree(hospital / "phases")
    done(call("plan", "table3", "--dataset", "lakeside", "--scale", "tiny"))
    assert "lakeside.toml" in done(call("datasets")).output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("phases =", "phase =", "lakeside.toml:2, field 'phase', is no key of a description: did you mean 'phases'?"),
        ("theatre-*", "room-*", "has no folder room-*/: correct the pattern 'room-*/{name}.mkv' in"),
        ('["op1*"]', '["op21"]', "field 'split.test', names 'op21', which is no video of the data set: did you mean"),
        ('"Closure"', '"Close"', "op01.csv:4 names the unknown phase 'Closure': did you mean 'Close'?"),
    ],
)
def test_a_mistake_in_a_description_ends_the_command_and_nothing_is_registered(
    hospital: Path, call: Callable[..., Result], old: str, new: str, said: str
):
    description = hospital / "lakeside.toml"
    description.write_text(description.read_text().replace(old, new))
    refused(call("ingest", str(description), "--scale", "tiny"), 2, said)
    assert not (hospital.parent / "home" / "datasets" / "lakeside.json").exists()
