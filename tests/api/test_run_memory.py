"""The memory of a run has an end."""

import httpx

from app.execution.run_memory import MEMORY_MOST
from tests.definitions import task
from tests.executing import claim_steps, start
from tests.factories import get_task, pointers, report

HALF = "x" * (MEMORY_MOST // 2 - 100)


class TestTotal:
    async def test_what_does_not_fit_is_refused_and_nothing_is_written(self, client: httpx.AsyncClient) -> None:
        last = task("last", "a", "b", "c", args=["{{memory.one}}", "{{memory.three}}"], trigger_rule="all_done")
        await start(client, task("a"), task("b"), task("c"), last)
        held = await claim_steps(client)
        for path, name in (("a", "one"), ("b", "two")):
            response = await report(client, held[path], "complete", memory={name: HALF})
            assert response.status_code == 200, response.text
        response = await report(client, held["c"], "complete", memory={"three": "x" * 300})
        assert (response.status_code, pointers(response)) == (422, ["/memory"])
        assert (await get_task(client, held["c"]))["status"] == "running"
        response = await report(client, held["c"], "complete", memory={"two": "less", "three": 3})
        assert response.status_code == 200, response.text
        assert (await claim_steps(client))["last"]["params"]["args"] == [HALF, 3]
