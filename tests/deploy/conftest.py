"""Homes of scale `tiny` for the deployment files, and folders for other users."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.study.tiny_home import tiny_home, tiny_scale, tiny_videos  # noqa: F401 (fixtures)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter; pytest closes its own to them, again whenever it is started."""
    with TemporaryDirectory(prefix="freelunch-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)
