"""An empty home."""

from pathlib import Path

import pytest

from study.core.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")
