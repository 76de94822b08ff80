"""The functions of pipeline.yaml, a definition that the service executes: it decides what is done when.

Shows: steps that get what others returned, two of them side by side, and retries for all of them.

Register the definition, let a worker call the functions, and start a run from another terminal:
    $ milepost workflows register pipeline.yaml
    $ milepost worker --functions pipeline --queue pipeline
    $ milepost workflows start pipeline --queue pipeline --inputs '{"day": "2026-11-22"}' --wait
"""

from typing import Any

Order = dict[str, Any]


def extract(day: str) -> list[Order]:
    """Return the orders of a day."""
    return [{"day": day, "order": 17, "cents": 1250}, {"day": day, "order": 18, "cents": 0}]


def transform(orders: list[Order]) -> list[Order]:
    """Return what has a price."""
    return [order for order in orders if order["cents"] > 0]


def count(orders: list[Order]) -> int:
    """Return how many there are."""
    return len(orders)


def add_up(orders: list[Order]) -> int:
    """Return what they cost together."""
    return sum(order["cents"] for order in orders)


def load(*, number: int, cents: int) -> dict[str, int]:
    """Return what was stored."""
    return {"orders": number, "cents": cents}
