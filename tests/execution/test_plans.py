"""Plans of definitions that this process has not registered: they are compiled once, beside the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice, product
from string import ascii_lowercase, digits
from time import perf_counter

import httpx
import pytest

from app.domain.highway.compiler.compilation import Compiled, compile_document
from app.execution import plans
from tests.definitions import register
from tests.executing import Json, start_run

STEPS = 20_000
STARTS = 8


@asynccontextmanager
async def watching_gaps() -> AsyncIterator[Callable[[], float]]:
    """Give what tells for how long the event loop did nothing else, at most, while this was open."""
    gaps = [0.0]

    async def tick() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(0)
            gaps.append(perf_counter() - began)

    ticking = asyncio.create_task(tick())
    try:
        yield lambda: max(gaps)
    finally:
        ticking.cancel()


def small_steps(number: int) -> list[Json]:
    """Return so many steps that wait for nothing, of as few bytes as a step can have."""
    ids = map("".join, product(digits + ascii_lowercase, repeat=3))
    return [{"task_id": task_id, "operator_type": "parallel"} for task_id in islice(ids, number)]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how many seconds each compilation of a plan has taken, as they come."""
    taken: list[float] = []

    def compile_and_note(document: Json) -> Compiled:
        began = perf_counter()
        found = compile_document(document)
        taken.append(perf_counter() - began)
        return found

    monkeypatch.setattr(plans, "compile_document", compile_and_note)
    return taken


class TestFirstStarts:
    async def test_event_loop_goes_on_while_a_plan_is_compiled_and_begun(
        self, client: httpx.AsyncClient, compiled: list[float]
    ) -> None:
        await register(client, *small_steps(STEPS))
        plans.forget_plans()
        async with watching_gaps() as longest:
            assert (await start_run(client))["status"] == "completed"
        [seconds] = compiled
        assert longest() < seconds / 2

    async def test_many_at_once_compile_once(self, client: httpx.AsyncClient, compiled: list[float]) -> None:
        never = {"condition": "false"}
        branches = {"never": {"tasks": {step["task_id"]: step for step in small_steps(STEPS)}}}
        choice = {"task_id": "choice", "operator_type": "multi_choice", "minimum_branches": 0}
        await register(client, {**choice, "branches": {"never": never}, "branch_workflows": branches})
        plans.forget_plans()
        runs = await asyncio.gather(*(start_run(client) for _ in range(STARTS)))
        assert len({run["workflow_run_id"] for run in runs}) == STARTS
        assert len(compiled) == 1
