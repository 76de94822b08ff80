"""A refund that waits until a person approves it, for up to a week, and holds no worker meanwhile.

Shows: sleep, and an event that anybody can emit with curl. The function runs again from its top after each wait, and
finds what it did: so the offer is a step.

Run it, ask for a refund from another terminal, and approve it:
    $ milepost worker approval:worker
    $ curl --json '{"queue": "refunds", "task_name": "refund", "params": {"order": 7}}' http://127.0.0.1:8000/v1/tasks
    $ curl --json '{"payload": {"by": "ada"}}' http://127.0.0.1:8000/v1/queues/refunds/events/refund-7-approved
"""

from milepost import Client, EventTimeout, TaskContext, Worker

WEEK = 7 * 86_400
worker = Worker(Client(), queue="refunds")


def offer(order: int) -> str:
    """Tell the person who decides."""
    print(f"refund order {order}?", flush=True)
    return "offered"


@worker.task("refund")
def refund(ctx: TaskContext, params: dict[str, int]) -> dict[str, str]:
    """Wait a moment for a change of mind, then for the approval."""
    order = params["order"]
    ctx.sleep(0.5)
    ctx.step("offer", offer, order)
    try:
        approval = ctx.await_event(f"refund-{order}-approved", timeout_seconds=WEEK)
    except EventTimeout:
        return {"refund": "declined, nobody approved it"}
    print(f"refund approved by {approval['by']}", flush=True)
    return {"refund": "paid", "by": approval["by"]}
