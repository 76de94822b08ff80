"""The definition that the demo registers: an order with branches, a loop, a wait and an approval."""

from collections.abc import Mapping
from typing import Any

QUEUE = "demo"
ORDERS = "demo_orders"
APPROVAL = "demo-order-{}-approved"


def _task(task_id: str, *dependencies: str, **members: Any) -> dict[str, Any]:
    named = {"task_id": task_id, "operator_type": "task", "function": f"shop.{task_id}"}
    return {**named, "dependencies": list(dependencies), "result_key": task_id, **members}


_ONE_PARCEL = [_task("pack", args=["{{item}}"]), _task("label", "pack", args=["{{item}}"])]
_STEPS = (
    _task("receive", args=["{{inputs.order}}"]),
    _task("reserve", "receive", args=["{{receive}}"]),
    _task("charge", "receive", args=["{{receive}}"]),
    {
        "task_id": "parcels",
        "operator_type": "foreach",
        "items": "{{receive.parcels}}",
        "parallel": True,
        "dependencies": ["reserve", "charge"],
        "loop_body": _ONE_PARCEL,
    },
    {"task_id": "cool_off", "operator_type": "wait", "wait_for": 3, "dependencies": ["parcels"]},
    {
        "task_id": "approval",
        "operator_type": "wait_for_event",
        "event_name": APPROVAL.format("{{inputs.order}}"),
        "dependencies": ["cool_off"],
    },
    _task("ship", "approval", args=["{{receive}}"]),
)
DEFINITION: Mapping[str, Any] = {
    "name": ORDERS,
    "version": "1.0.0",
    "default_retry_policy": {"max_retries": 2, "delay": "PT2S"},
    "tasks": {step["task_id"]: step for step in _STEPS},
}
