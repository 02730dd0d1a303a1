import asyncio
from collections.abc import Awaitable, Callable, Sequence

from study.execution.ray.admission import AdmissionQueue
from study.execution.ray.nodes import Node
from trainers.stage import Resources

SMALL = Resources()
GANG = Resources(workers=2)
ON_GPU = Resources(threads=2, gpus=1)


class Stages:
    """Stages that come for room in their order, and stay until they are told to leave."""

    def __init__(self, *nodes: Node) -> None:
        self.queue = AdmissionQueue()
        self.queue.update(nodes)
        self.inside: list[int] = []
        self.said: list[str] = []
        self._leave: dict[int, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, *each: Resources) -> list[int]:
        for resources in each:
            number = len(self._tasks)
            self._leave[number] = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._stay(number, resources)))
        return await self.settled()

    async def leave(self, *numbers: int) -> list[int]:
        for number in numbers:
            self._leave[number].set()
        return await self.settled()

    async def give_up(self, number: int) -> list[int]:
        self._tasks[number].cancel()
        return await self.settled()

    async def settled(self) -> list[int]:
        for _ in range(5):
            await asyncio.sleep(0)
        return sorted(self.inside)

    async def _stay(self, number: int, resources: Resources) -> None:
        async with self.queue.admitted(number, resources, self.said.append):
            self.inside.append(number)
            await self._leave[number].wait()
            self.inside.remove(number)


def on(nodes: Sequence[Node], story: Callable[[Stages], Awaitable[None]]) -> None:
    async def run() -> None:
        await story(Stages(*nodes))

    asyncio.run(run())


def test_stages_start_in_their_order_and_never_need_more_than_there_is():
    async def story(stages: Stages) -> None:
        assert await stages.come(SMALL, SMALL, SMALL, SMALL) == [0, 1]
        assert await stages.leave(1) == [0, 2]
        assert await stages.leave(0, 2) == [3]

    on([Node(cpus=2.0)], story)


def test_no_smaller_stage_passes_a_gang_that_needs_all_there_is():
    async def story(stages: Stages) -> None:
        assert await stages.come(SMALL, GANG, SMALL, SMALL) == [0]
        assert await stages.leave(0) == [1]
        assert await stages.leave(1) == [2, 3]

    on([Node(cpus=2.0)], story)


def test_smaller_stages_pass_a_gang_only_in_what_it_leaves():
    async def story(stages: Stages) -> None:
        wide = Resources(workers=3)
        assert await stages.come(SMALL, SMALL, wide, SMALL, SMALL) == [0, 1, 3]
        assert await stages.leave(0) == [1, 3]
        assert await stages.leave(1) == [2, 3]
        assert await stages.leave(3) == [2, 4]

    on([Node(cpus=2.0), Node(cpus=2.0)], story)


def test_stages_of_processors_alone_pass_those_that_wait_for_a_gpu():
    async def story(stages: Stages) -> None:
        assert await stages.come(ON_GPU, ON_GPU, ON_GPU, SMALL, SMALL, SMALL) == [0, 3, 4, 5]
        assert await stages.leave(0) == [1, 3, 4, 5]

    on([Node(cpus=8.0, gpus=1.0)], story)


def test_three_tenths_of_a_gpu_fit_three_times_and_a_tenth_ten_times():
    async def story(stages: Stages) -> None:
        assert len(await stages.come(*[Resources(gpus=0.1)] * 11)) == 10
        assert len(await stages.leave(*range(10))) == 1
        assert len(await stages.come(*[Resources(gpus=0.3)] * 4)) == 4

    on([Node(cpus=100.0, gpus=1.0)], story)


def test_one_that_gives_up_waiting_makes_way():
    async def story(stages: Stages) -> None:
        assert await stages.come(SMALL, GANG, SMALL) == [0]
        assert await stages.give_up(1) == [0, 2]

    on([Node(cpus=2.0)], story)


def test_what_no_living_node_can_hold_says_so_once_and_holds_up_nobody():
    async def story(stages: Stages) -> None:
        assert await stages.come(ON_GPU, Resources(workers=3), SMALL) == [2]
        lacks = "the living nodes have 2 times 1 CPUs"
        assert stages.said == [
            f"it needs 2 CPUs and 1 GPUs; {lacks}",
            f"it needs 3 workers with 1 CPUs each; {lacks}",
        ]
        stages.queue.update([Node(cpus=4.0, gpus=1.0)])
        assert await stages.settled() == [0, 2]
        assert await stages.leave(2, 0) == [1]
        assert len(stages.said) == 2

    on([Node(cpus=1.0), Node(cpus=1.0)], story)


def test_a_gang_that_lost_the_nodes_it_ran_on_says_so():
    async def story(stages: Stages) -> None:
        assert await stages.come(GANG) == [0]
        stages.queue.update([Node(cpus=1.0)])
        assert stages.said == ["it needs 2 workers with 1 CPUs each; the living nodes have 1 CPUs"]

    on([Node(cpus=1.0), Node(cpus=1.0)], story)


def test_nobody_enters_a_closed_room():
    async def story(stages: Stages) -> None:
        assert await stages.come(SMALL, SMALL) == [0]
        stages.queue.close()
        assert await stages.leave(0) == []

    on([Node(cpus=1.0)], story)
