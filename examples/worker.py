"""A worker: one function for each kind of task.

Shows: a handler that runs in a thread and one that runs in the event loop, four tasks at once, and a mistake that no
further attempt would mend. A worker extends its leases by itself, and stops cleanly on Ctrl-C and SIGTERM. In a program
of your own `worker.run()` does what the command does.

Run it, and spawn tasks from another terminal:
    $ milepost worker worker:worker
    $ curl --json '{"queue": "images", "task_name": "resize", "params": {"width": 640}}' http://127.0.0.1:8000/v1/tasks
    $ curl --json '{"queue": "images", "task_name": "resize", "params": {"width": 0}}' http://127.0.0.1:8000/v1/tasks
    $ curl --json '{"queue": "images", "task_name": "publish", "params": {}}' http://127.0.0.1:8000/v1/tasks
    $ curl -H 'Accept: text/plain' 'http://127.0.0.1:8000/v1/tasks?queue=images'
"""

from typing import Any

from milepost import AsyncTaskContext, Client, NonRetryable, TaskContext, Worker

worker = Worker(Client(), queue="images", concurrency=4)


@worker.task("resize", time_limit_seconds=60)
def resize(ctx: TaskContext, params: dict[str, int]) -> dict[str, int]:
    """Return the new size; an attempt that takes longer than a minute fails."""
    if params["width"] < 1:
        raise NonRetryable("an image is at least one pixel wide")
    print(f"resize, attempt {ctx.task.attempt}", flush=True)
    return {"width": params["width"], "height": params["width"] * 3 // 4}


@worker.task("publish")
async def publish(ctx: AsyncTaskContext, params: dict[str, Any]) -> str:
    """Show progress on the task, which whoever looks at it sees."""
    await ctx.heartbeat(progress={"percent": 50})
    return f"published {params.get('name', 'all')}"
