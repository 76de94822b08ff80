"""Long work beside the event loop."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from app.errors import Unavailable
from app.execution.threads import Lane
from tests.waiting import eventually


def new_lane(threads: int = 2, waiting_most: int = 10) -> Lane:
    return Lane("done", threads, waiting_most)


async def begun(event: threading.Event) -> None:
    async def has_begun() -> bool:
        return event.is_set()

    await eventually(has_begun, within_seconds=60)


class TestLane:
    async def test_result_comes_back(self) -> None:
        assert await new_lane().run(divmod, 7, 2) == (3, 1)

    async def test_failure_comes_back(self) -> None:
        with pytest.raises(ZeroDivisionError):
            await new_lane().run(divmod, 7, 0)

    async def test_as_many_are_worked_on_at_once_as_there_are_threads_and_others_wait(self) -> None:
        lane = new_lane()
        go_on, events = threading.Event(), [threading.Event() for _ in range(3)]

        def work(number: int) -> int:
            events[number].set()
            assert go_on.wait(60)
            return number

        jobs = [asyncio.create_task(lane.run(work, number)) for number in range(3)]
        for event in events[:2]:
            await begun(event)
        assert not events[2].is_set()
        go_on.set()
        assert await asyncio.gather(*jobs) == [0, 1, 2]

    async def test_what_is_too_much_is_refused_and_room_comes_back(self) -> None:
        lane, go_on = new_lane(threads=1, waiting_most=1), threading.Event()
        held = [asyncio.create_task(lane.run(go_on.wait, 60)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await lane.run(int)
        assert refused.value.headers["Retry-After"] == "2"
        go_on.set()
        await asyncio.gather(*held)

        async def has_room() -> bool:
            try:
                return await lane.run(int) == 0
            except Unavailable:
                return False

        await eventually(has_room, within_seconds=60)

    async def test_work_that_nobody_waits_for_any_more_is_left_out(self) -> None:
        lane = new_lane()
        go_on, done = threading.Event(), threading.Event()
        held = [asyncio.create_task(lane.run(go_on.wait, 60)) for _ in range(2)]
        left = asyncio.create_task(lane.run(done.set))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*held)
        await lane.run(int)
        assert not done.is_set()

    async def test_work_under_way_is_told_that_nobody_waits_any_more(self) -> None:
        started, ended = threading.Event(), threading.Event()

        def work(is_over: Callable[[], bool]) -> None:
            started.set()
            while not is_over():
                pass
            ended.set()

        job = asyncio.create_task(new_lane().run_within(1e9, work))
        await begun(started)
        job.cancel()
        await begun(ended)

    async def test_work_under_way_is_told_that_its_time_is_over(self) -> None:
        def work(is_over: Callable[[], bool]) -> bool:
            while not is_over():
                pass
            return True

        assert await new_lane().run_within(0.01, work)

    def test_work_without_an_end_does_not_keep_the_process(self) -> None:
        program = (
            "import asyncio, threading\n"
            "from app.execution.threads import EXAMINING\n"
            "begun = threading.Event()\n"
            "def work():\n"
            "    begun.set()\n"
            "    while True: pass\n"
            "async def main():\n"
            "    job = asyncio.create_task(EXAMINING.run(work))\n"
            "    while not begun.is_set(): await asyncio.sleep(0)\n"
            "    job.cancel()\n"
            "asyncio.run(main())\n"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0
