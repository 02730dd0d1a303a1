"""What tests of commands share: videos that may be harmed, and the command line on a fresh home."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.study.tiny_cli import called


@pytest.fixture
def own_videos(tiny_videos: Path, tmp_path: Path) -> Path:
    """Videos to do harm to."""
    return Path(shutil.copytree(tiny_videos, tmp_path / "own"))


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Result]:
    """The command line on a fresh home."""
    return lambda *arguments: called(tmp_path / "home", *arguments)
