"""An order whose steps are done once, also when the worker is killed between them.

Shows: checkpoints. What a step returned is stored; the next attempt gets it back and goes on after it. Here a dead
worker's task is lost after five seconds, and the next worker has it at once.

Run it, spawn an order from another terminal, kill the worker with `kill -9` while it packs, and run it again:
    $ PACKING_SECONDS=60 milepost worker durable_steps:worker
    $ curl --json '{"queue": "orders", "task_name": "ship", "params": {"order": 7}}' http://127.0.0.1:8000/v1/tasks
    $ PACKING_SECONDS=0 milepost worker durable_steps:worker
"""

import os
import time
from typing import Any

from milepost import Client, TaskContext, Worker

worker = Worker(Client(), queue="orders", lease_seconds=5)


def charge(order: int) -> dict[str, Any]:
    """Charge the customer: what must not happen twice."""
    print(f"charge order {order}", flush=True)
    return {"payment": f"payment-{order}"}


def pack(order: int) -> str:
    """Pack the parcel, which takes its time."""
    print(f"pack order {order}", flush=True)
    time.sleep(float(os.environ.get("PACKING_SECONDS", "10")))
    return f"parcel-{order}"


@worker.task("ship")
def ship(ctx: TaskContext, params: dict[str, int]) -> dict[str, Any]:
    """Charge, then pack; each is done once, whatever the number of attempts."""
    paid = ctx.step("charge", charge, params["order"])
    parcel = ctx.step("pack", pack, params["order"])
    print(f"shipped in attempt {ctx.task.attempt}", flush=True)
    return {**paid, "parcel": parcel}
