import os
import signal
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle

from study.execution.ray.messages import StageRequest
from study.execution.ray.stage_task import compute_stage
from trainers.stage import Resources

READ: list[str] = []


class Interrupted:
    """Reading its pickle takes an import, in the middle of which its process is interrupted."""

    def __reduce__(self) -> tuple[Any, ...]:
        return imported, ()


def imported() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    READ.append("to its end")


def test_an_interrupt_waits_until_the_stage_and_its_modules_are_read(tmp_path: Path):
    broker = SimpleNamespace(note_started=SimpleNamespace(remote=lambda *_: None))
    pickled = zlib.compress(cloudpickle.dumps(Interrupted()))
    request = StageRequest(key="0" * 32, title="it", inputs=(), resources=Resources(), stage=pickled)
    with pytest.raises(KeyboardInterrupt):
        compute_stage._function(tmp_path, request, "attempt", broker)
    assert READ == ["to its end"]
