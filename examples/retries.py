"""A call to a service that fails now and then: spawned once, and tried again with growing pauses.

Shows: an idempotency key, so that a task that is spawned twice exists once; retries with exponential backoff; and an
error that says by itself when to come back.

Run it, and spawn the same payment twice from another terminal:
    $ milepost worker retries:worker
    $ python retries.py
    $ python retries.py
"""

from milepost import Client, RetryLater, TaskContext, Worker

worker = Worker(Client(), queue="payments")


@worker.task("pay")
def pay(ctx: TaskContext, params: dict[str, int]) -> str:
    """Fail twice, and succeed in the third attempt."""
    print(f"attempt {ctx.task.attempt}", flush=True)
    if ctx.task.attempt == 1:
        raise ConnectionError("the bank does not answer")
    if ctx.task.attempt == 2:
        raise RetryLater("the bank asks to wait", seconds=0.5)
    return f"paid {params['cents']} cents"


def spawn() -> None:
    """Spawn a payment whose key makes it one task, however often this is called."""
    with Client() as client:
        spawned = client.spawn_task(
            "pay",
            {"cents": 1250},
            queue="payments",
            idempotency_key="invoice-17",
            max_attempts=5,
            retry_strategy={"kind": "exponential", "base_seconds": 0.5, "factor": 2, "max_seconds": 60, "jitter": True},
        )
        print(spawned.task_id, "spawned now" if spawned.created else "known already", flush=True)
        done = client.wait_for_task(spawned.task_id, timeout_seconds=60)
        print(done.status, done.result)


if __name__ == "__main__":
    spawn()
