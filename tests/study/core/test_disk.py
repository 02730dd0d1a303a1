import errno
import shutil
from pathlib import Path

import pytest

from study.core.disk import translate_disk_errors
from trainers.stage import MachineError


def test_a_full_disk_is_recognised_however_a_library_words_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(MachineError, match="is full"), translate_disk_errors(tmp_path):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path):
    with pytest.raises(RuntimeError, match="unrelated"), translate_disk_errors(tmp_path):
        raise RuntimeError("unrelated")
    with pytest.raises(PermissionError), translate_disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "no")
