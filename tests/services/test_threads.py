"""Long work beside the event loop."""

import asyncio
import subprocess
import sys
import threading

import pytest

from app.services.threads import run_aside


class TestRunAside:
    async def test_result_comes_back(self) -> None:
        assert await run_aside(divmod, 7, 2) == (3, 1)

    async def test_failure_comes_back(self) -> None:
        with pytest.raises(ZeroDivisionError):
            await run_aside(divmod, 7, 0)

    async def test_two_are_worked_on_at_once_and_others_wait(self) -> None:
        go_on, begun = threading.Event(), [threading.Event() for _ in range(3)]

        def work(number: int) -> int:
            begun[number].set()
            assert go_on.wait(10)
            return number

        jobs = [asyncio.create_task(run_aside(work, number)) for number in range(3)]
        while not all(event.is_set() for event in begun[:2]):  # noqa: ASYNC110 - threads tell no loop
            await asyncio.sleep(0)
        assert not begun[2].is_set()
        go_on.set()
        assert await asyncio.gather(*jobs) == [0, 1, 2]

    async def test_work_that_nobody_waits_for_any_more_is_left_out(self) -> None:
        go_on, done = threading.Event(), threading.Event()
        held = [asyncio.create_task(run_aside(go_on.wait, 10)) for _ in range(2)]
        left = asyncio.create_task(run_aside(done.set))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*held)
        await run_aside(int)
        assert not done.is_set()

    def test_work_without_an_end_does_not_keep_the_process(self) -> None:
        program = (
            "import asyncio, threading\n"
            "from app.services.threads import run_aside\n"
            "begun = threading.Event()\n"
            "def work():\n"
            "    begun.set()\n"
            "    while True: pass\n"
            "async def main():\n"
            "    job = asyncio.create_task(run_aside(work))\n"
            "    while not begun.is_set(): await asyncio.sleep(0)\n"
            "    job.cancel()\n"
            "asyncio.run(main())\n"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False, timeout=30).returncode == 0
