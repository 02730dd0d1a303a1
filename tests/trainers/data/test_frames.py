import os
import subprocess
import sys

import numpy as np
import pytest

from trainers.data.frames import UNLABELLED, Frame, Frames, FrameStore, LeftOut, write_frames
from trainers.stage import InputError


def image_of(index: int) -> np.ndarray:
    return np.full((16, 24, 3), (index % 200, 50, 100), np.uint8)


def write(folder, source, *, indices, labels=None, names=("dissection", "closing")):
    folder.mkdir()
    labels = labels if labels is not None else [index % 2 for index in indices]
    frames = (Frame(index, label, image_of(index)) for index, label in zip(indices, labels, strict=True))
    write_frames(folder, frames, source=source, label_names=names)
    return folder


@pytest.fixture
def folders(tmp_path):
    return [
        write(tmp_path / "a", "digest-a", indices=range(0, 100, 5), labels=[UNLABELLED, 0, 1, 0] * 5),
        write(tmp_path / "b", "digest-b", indices=range(0, 60, 5)),
    ]


def test_store_gives_back_what_was_written_beyond_one_chunk(tmp_path):
    with FrameStore(write(tmp_path / "long", "digest", indices=range(2, 1502))) as store:
        assert len(store) == 1500
        assert store.source == "digest"
        assert store.label_names == ("dissection", "closing")
        assert store.frames.tolist() == list(range(2, 1502))
        assert store.labels.tolist() == [index % 2 for index in range(2, 1502)]
        for row in (1499, 0, 1024, 1023):
            assert np.abs(store.read(row).astype(int) - image_of(row + 2)).max() <= 3


def test_frames_are_the_rows_of_their_stores_in_order(folders):
    with Frames(folders) as frames:
        assert len(frames) == 32
        assert [frames.source(row) for row in (0, 19, 20, 31)] == ["digest-a", "digest-a", "digest-b", "digest-b"]
        assert [frames.frame(row) for row in (0, 19, 20, 31)] == [0, 95, 0, 55]
        assert frames.video.tolist() == [0] * 20 + [1] * 12
        assert frames.labels[18:22].tolist() == [1, 0, 0, 1]
        assert frames.label_names == ("dissection", "closing")
        assert np.abs(frames.image(21).astype(int) - image_of(5)).max() <= 3


def test_rows_of_stretches_are_left_out(folders):
    stretches = ((0, 10, 40), (0, 90, 99), (1, 3, 60))
    left_out = [LeftOut(source=source, start=start, stop=stop) for source, start, stop in stretches]
    with Frames(folders, left_out=left_out) as frames:
        assert [frames.frame(row) for row in range(len(frames))] == [0, 5, *range(40, 90, 5), 0]
        assert frames.video.tolist() == [0] * 12 + [1]
    with Frames(folders, sample_every=25, left_out=left_out[:1]) as frames:
        assert [frames.frame(row) for row in range(len(frames))] == [0, 50, 75, 0, 25, 50]


def test_sampling_goes_by_the_index_in_the_source_video(folders):
    with Frames(folders, sample_every=25) as frames:
        assert [(frames.source(row), frames.frame(row)) for row in range(len(frames))] == [
            *(("digest-a", index) for index in (0, 25, 50, 75)),
            *(("digest-b", index) for index in (0, 25, 50)),
        ]


def test_only_labelled_frames_can_be_kept(folders):
    with Frames(folders, labelled_only=True) as frames:
        assert len(frames) == 27
        assert frames.labels.min() >= 0
        assert frames.frame(0) == 5


def test_frame_ids_are_the_same_in_every_subset_and_differ_between_videos(folders):
    with Frames(folders) as everything, Frames(folders[::-1], sample_every=10) as some:
        ids = {(everything.source(row), everything.frame(row)): everything.frame_id(row) for row in range(32)}
        assert len(set(ids.values())) == 32
        assert all(0 <= value < 2**63 for value in ids.values())
        assert all(some.frame_id(row) == ids[some.source(row), some.frame(row)] for row in range(len(some)))


def test_videos_that_name_their_labels_differently_are_refused_only_where_labels_count(folders, tmp_path):
    other = write(tmp_path / "c", "digest-c", indices=range(3), names=("closing", "dissection"))
    with Frames([*folders, other]) as frames:
        assert len(frames) == 35
    with pytest.raises(InputError, match="closing, dissection"):
        Frames([*folders, other], labelled_only=True)


def test_closing_leaves_no_file_open(folders):
    before = len(os.listdir("/proc/self/fd"))
    Frames(folders).close()
    assert len(os.listdir("/proc/self/fd")) == before


FEW_FILES = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[2])))
from trainers.data.frames import Frames
folder = Path(sys.argv[1])
with Frames([folder] * 300) as frames:
    rows = [row for row in range(len(frames)) if frames.frame(row) == 2]
    print(len({frames.image(row).tobytes() for row in rows}), len(rows), len({frames.source(row) for row in rows}))
with Frames([folder] * 10) as frames:
    print(frames.image(0).shape)
"""


@pytest.mark.parametrize("hard_limit", [64, 256, 4096])
def test_more_videos_are_read_than_files_may_be_open(tmp_path, hard_limit):
    folder = write(tmp_path / "many", "digest", indices=range(3))
    command = [sys.executable, "-c", FEW_FILES, str(folder), str(hard_limit)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout == "1 300 1\n(16, 24, 3)\n", ran.stderr
