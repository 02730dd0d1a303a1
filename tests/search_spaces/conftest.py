"""What recipes make where the package brings no weights: stand-ins, whatever files it has today."""

from pathlib import Path

import pytest

from trainers.pretrained import shipped


@pytest.fixture(autouse=True)
def shipped_files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the package's weights: an empty one."""
    folder = tmp_path_factory.mktemp("shipped")
    monkeypatch.setattr(shipped, "SHIPPED", folder)
    return folder
