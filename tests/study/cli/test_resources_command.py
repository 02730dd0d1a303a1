import os
import shlex
from pathlib import Path

import pytest
from ray.scripts.scripts import start

from tests.study.tiny_cli import called
from tests.study.tiny_home import done


def test_resources_are_options_of_ray_start_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    printed = shlex.split(done(called(tmp_path / "home", "resources")).output)
    context = start.make_context("ray start", ["--head", *printed])
    assert context.params["num_cpus"] == 1
    assert context.params["num_gpus"] == 0
    assert context.params["memory"] > 0
    assert list(tmp_path.iterdir()) == []
