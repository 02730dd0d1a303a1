import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from study.core.graph import key, source_hash, walk
from study.execution.events import EpochEnded, Finished, Progressed, Started
from study.execution.ray.event_log import EventLog
from study.execution.ray.pickling import requests_for, unpickled
from study.execution.resources import Profile
from tests.study.steps import Gang, Step
from trainers.stage import Progress, Resources

FIRST = Step(name="first")
SECOND = Gang(name="second", needs=(FIRST, FIRST))
LAST = Step(name="last", needs=(SECOND, FIRST))


def progressed(fraction: float) -> Progressed:
    return Progressed(key="a", progress=Progress(fraction=fraction, epoch=1))


def test_requests_name_the_missing_inputs_once_and_what_each_stage_is_granted():
    stages = walk(LAST)
    profile = Profile(default=Resources(workers=2, threads=3))
    all_of_them = requests_for(stages, list(stages), profile.grant)
    assert [(request.key, request.title) for request in all_of_them] == [
        (key(stage), stage.title) for stage in (FIRST, SECOND, LAST)
    ]
    assert [request.inputs for request in all_of_them] == [(), (key(FIRST),), (key(SECOND), key(FIRST))]
    assert [request.resources.workers for request in all_of_them] == [1, 2, 1]
    some = requests_for(stages, [key(SECOND), key(LAST)], profile.grant)
    assert [request.inputs for request in some] == [(), (key(SECOND),)]
    assert unpickled(some[1].stage) == LAST


def test_a_stage_travels_with_its_module_its_key_and_its_source_hash(tmp_path: Path):
    path = tmp_path / "request"
    path.write_bytes(requests_for(walk(LAST), [key(LAST)], Profile().grant)[0].stage)
    program = f"""
import sys
from pathlib import Path
from study.core.graph import inputs, key, source_hash
from study.execution.ray.pickling import unpickled
stage = unpickled(Path({str(path)!r}).read_bytes())
assert "tests.study.steps" not in sys.modules
print(key(stage), source_hash(type(stage)), stage.title, *(key(needed) for needed in inputs(stage).values()))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.split() == [key(LAST), source_hash(Step), "last", key(SECOND), key(FIRST)]


@dataclass(frozen=True, kw_only=True)
class Counting(Step):
    """A stage whose code has the names torch, `distributed` and `config`, which make up the name of a module."""

    distributed: bool = False
    config: int = 3

    @property
    def title(self) -> str:
        return f"{self.name} {self.config} {self.distributed} {torch.pi:.2f}"


def test_a_users_class_may_name_what_is_a_module_of_torchs_own_kind():
    stage = Counting(name="counting")
    (request,) = requests_for(walk(stage), [key(stage)], Profile().grant)
    assert unpickled(request.stage).title == "counting 3 False 3.14"


def test_events_are_kept_until_they_are_read_and_then_forgotten():
    async def story() -> None:
        log = EventLog()
        started, finished = Started(key="a", resumed=False), Finished(key="a", seconds=1.0)
        log.append(started)
        assert await log.read_from(0, 1.0) == await log.read_from(0, 1.0) == (1, [started])
        log.append(finished)
        assert await log.read_from(1, 1.0) == (2, [finished])
        assert await log.read_from(0, 1.0) == (2, [finished])
        assert await log.read_from(2, 0.01) == (2, [])
        waiting = asyncio.create_task(log.read_from(2, 60.0))
        await asyncio.sleep(0)
        log.append(started)
        assert await waiting == (3, [started])

    asyncio.run(story())


def test_of_progress_within_an_epoch_only_the_latest_is_kept():
    async def story() -> None:
        log = EventLog()
        epoch_ended = EpochEnded(key="a", number=1, metrics={"loss": 1.0})
        for event in (progressed(0.1), epoch_ended, progressed(0.3), progressed(0.4)):
            log.append(event)
        following, events = await log.read_from(0, 1.0)
        assert events == [epoch_ended, progressed(0.4)]
        log.append(progressed(0.5))
        assert await log.read_from(following, 1.0) == (5, [progressed(0.5)])

    asyncio.run(story())
