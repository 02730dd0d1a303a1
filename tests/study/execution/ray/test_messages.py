import asyncio
import subprocess
import sys
from pathlib import Path

from study.core.graph import key, source_hash, walk
from study.execution.ray.event_log import News
from study.execution.ray.messages import Event, orders, unpickled
from study.execution.resources import Profile
from tests.study.steps import Gang, Step
from trainers.stage import Resources

FIRST = Step(name="first")
SECOND = Gang(name="second", needs=(FIRST, FIRST))
LAST = Step(name="last", needs=(SECOND, FIRST))


def progress(fraction: float, **metrics: float) -> Event:
    return Event(kind="progress", key="a", metrics={"fraction": fraction, **metrics}, epoch=1)


def test_orders_name_the_missing_inputs_once_and_what_each_stage_is_granted():
    stages = walk(LAST)
    profile = Profile(default=Resources(workers=2, threads=3))
    all_of_them = orders(stages, list(stages), profile.grant)
    assert [(order.key, order.title) for order in all_of_them] == [
        (key(stage), stage.title) for stage in (FIRST, SECOND, LAST)
    ]
    assert [order.inputs for order in all_of_them] == [(), (key(FIRST),), (key(SECOND), key(FIRST))]
    assert [order.resources.workers for order in all_of_them] == [1, 2, 1]
    some = orders(stages, [key(SECOND), key(LAST)], profile.grant)
    assert [order.inputs for order in some] == [(), (key(SECOND),)]
    assert unpickled(some[1].stage) == LAST


def test_a_stage_travels_with_its_module_its_key_and_its_source_hash(tmp_path: Path):
    path = tmp_path / "order"
    path.write_bytes(orders(walk(LAST), [key(LAST)], Profile().grant)[0].stage)
    program = f"""
import sys
from pathlib import Path
from study.core.graph import inputs, key, source_hash
from study.execution.ray.messages import unpickled
stage = unpickled(Path({str(path)!r}).read_bytes())
assert "tests.study.steps" not in sys.modules
print(key(stage), source_hash(type(stage)), stage.title, *(key(needed) for needed in inputs(stage).values()))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.split() == [key(LAST), source_hash(Step), "last", key(SECOND), key(FIRST)]


def test_news_are_kept_until_they_are_heard_and_then_forgotten():
    async def story() -> None:
        news = News()
        started, finished = Event(kind="started", key="a"), Event(kind="finished", key="a")
        news.tell(started)
        assert await news.since(0, 1.0) == await news.since(0, 1.0) == (1, [started])
        news.tell(finished)
        assert await news.since(1, 1.0) == (2, [finished])
        assert await news.since(0, 1.0) == (2, [finished])
        assert await news.since(2, 0.01) == (2, [])
        waiting = asyncio.create_task(news.since(2, 60.0))
        await asyncio.sleep(0)
        news.tell(started)
        assert await waiting == (3, [started])

    asyncio.run(story())


def test_of_progress_within_an_epoch_only_the_latest_is_kept():
    async def story() -> None:
        news = News()
        epoch_ends = progress(0.2, loss=1.0)
        for event in (progress(0.1), epoch_ends, progress(0.3), progress(0.4)):
            news.tell(event)
        following, heard = await news.since(0, 1.0)
        assert heard == [epoch_ends, progress(0.4)]
        news.tell(progress(0.5))
        assert await news.since(following, 1.0) == (5, [progress(0.5)])

    asyncio.run(story())
