import asyncio

from study.execution.ray.jobs import Job, needed_by
from study.execution.ray.messages import StageOutcome, StageRequest
from trainers.stage import Resources


def job(key: str, *inputs: str, aids: tuple[str, ...] = ()) -> Job:
    request = StageRequest(key=key, title=key, inputs=inputs, aids=aids, resources=Resources(), stage=b"")
    return Job(request=request, number=0)


def test_what_is_asked_for_needs_its_inputs_and_aids_at_any_depth_and_nothing_else():
    jobs = {
        each.key: each for each in (job("a"), job("b", "a"), job("aid", "b"), job("c", aids=("aid",)), job("d", "a"))
    }
    assert needed_by({"one": {"c"}, "another": set()}, jobs) == {"c", "aid", "b", "a"}
    assert needed_by({"one": {"d"}, "another": {"b"}}, jobs) == {"d", "b", "a"}
    assert needed_by({"one": set()}, jobs) == set()


def test_what_is_asked_for_and_was_finished_before_is_not_among_the_jobs():
    assert needed_by({"one": {"b", "long finished"}}, {"b": job("b", "finished")}) == {"b"}


def test_a_cancelled_job_is_stopped_and_has_no_outcome_before_it_has_ended():
    async def cancelled() -> tuple[StageOutcome | None, StageOutcome | None]:
        waiting = job("a")
        waiting.task = asyncio.create_task(asyncio.sleep(60))  # type: ignore[assignment]
        before = waiting.outcome
        waiting.cancel()
        waiting.cancel()
        await asyncio.wait([waiting.task])
        assert waiting.task.cancelling() == 1, "a second time would cut the first short"
        return before, waiting.outcome

    assert asyncio.run(cancelled()) == (None, StageOutcome(status="stopped"))
