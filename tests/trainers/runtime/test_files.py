import os

import pytest

from trainers.runtime.files import replacing


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for content in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(content)
        assert path.read_text() == content
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.txt"]
