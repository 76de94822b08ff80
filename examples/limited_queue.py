"""Calls to a service that takes two at once, and from one customer one after the other.

Shows: `max_concurrency` of a queue and `concurrency_key` of a task. The service holds both, whatever the number of
workers, and a limit is changed while they work.

Run it, and spawn work from another terminal:
    $ milepost worker limited_queue:worker
    $ python limited_queue.py
"""

import asyncio
from collections import Counter

from milepost import AsyncTaskContext, Client, Worker

worker = Worker(Client(), queue="exports", concurrency=10)
running: Counter[str] = Counter()


@worker.task("export")
async def export(ctx: AsyncTaskContext, params: dict[str, str]) -> dict[str, int]:
    """Return how many exports ran at once, of all customers and of this one."""
    customer = params["customer"]
    running[customer] += 1
    await ctx.heartbeat(progress={"customer": customer})
    await asyncio.sleep(0.2)
    at_once = {"of_all": running.total(), "of_customer": running[customer]}
    running[customer] -= 1
    return at_once


def spawn() -> None:
    """Spawn six exports, three for each of two customers, and say how many ran at once."""
    with Client() as client:
        client.put_queue("exports", max_concurrency=2)
        spawned = client.spawn_tasks(
            [
                {"task_name": "export", "queue": "exports", "params": {"customer": name}, "concurrency_key": name}
                for name in ("ada", "grace")
                for _ in range(3)
            ]
        )
        for task in spawned.items:
            done = client.wait_for_task(task.task_id, timeout_seconds=60)
            print(done.concurrency_key, done.status, done.result)


if __name__ == "__main__":
    spawn()
