"""The workers of the demo: they take their time, talk, and fail now and then."""

import asyncio
from collections.abc import Callable
from random import Random

from app.cli.demo.definitions import QUEUE
from milepost.client.client import AsyncClient
from milepost.client.context import AsyncTaskContext
from milepost.client.functions import make_handler
from milepost.client.worker import Worker
from milepost.schemas.wire import JsonValue

_WORKERS = 3
_chance = Random()  # noqa: S311 - nothing here is a secret


class DeclinedError(Exception):
    """The bank says no, whoever asks and however often."""


async def _work(ctx: AsyncTaskContext, what: str, least: float = 0.3, most: float = 1.5) -> None:
    """Take some time, and say how far it is."""
    parts = 4
    for part in range(1, parts + 1):
        await asyncio.sleep(_chance.uniform(least, most) / parts)
        ctx.log(f"{what}: part {part} of {parts}", level="debug" if part < parts else "info", part=part)
        await ctx.heartbeat(reported_progress={"done": part, "total": parts, "unit": "parts", "message": what})


async def receive(order: int, *, ctx: AsyncTaskContext) -> dict[str, JsonValue]:
    """Return what was ordered."""
    await _work(ctx, f"order {order}", most=0.8)
    return {"order": order, "cents": 900 + 137 * order % 9000, "parcels": [f"{order}-{n}" for n in range(1, 4)]}


async def reserve(order: dict[str, JsonValue], *, ctx: AsyncTaskContext) -> str:
    """Reserve what was ordered; the warehouse is slow to answer now and then, and is asked again."""
    await _work(ctx, "reserving")
    if _chance.random() < 0.25:  # noqa: PLR2004 - one in four
        raise TimeoutError("no answer from the warehouse in 30 s")
    return f"shelf {order['order']}"


async def charge(order: dict[str, JsonValue], *, ctx: AsyncTaskContext) -> dict[str, JsonValue]:
    """Charge the card, which is declined for good for some."""
    await _work(ctx, f"charging {order['cents']} cents")
    if isinstance(order["order"], int) and order["order"] % 5 == 0:
        ctx.log("the bank declined the card", level="error", order=order["order"])
        raise DeclinedError("the card was declined: Zoë Łukasiewicz, insufficient funds")
    return {"paid": order["cents"]}


async def pack(parcel: str, *, ctx: AsyncTaskContext) -> str:
    """Pack one parcel."""
    await _work(ctx, f"packing {parcel}", most=2.5)
    return parcel


async def label(parcel: str, *, ctx: AsyncTaskContext) -> str:
    """Print the label of one parcel."""
    await _work(ctx, f"label {parcel}", most=0.6)
    return f"label of {parcel}"


async def ship(order: dict[str, JsonValue], *, ctx: AsyncTaskContext) -> dict[str, JsonValue]:
    """Send it off."""
    await _work(ctx, "shipping")
    return {"order": order["order"], "sent": True}


async def resize_image(ctx: AsyncTaskContext, params: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Resize a picture; every third does not work at once."""
    await _work(ctx, f"resizing {params['image']}", most=2.0)
    if _chance.random() < 0.33:  # noqa: PLR2004 - one in three
        raise OSError(f"{params['image']}: the picture cannot be read")
    return {"image": params["image"], "pixels": 640 * 480}


async def remind(ctx: AsyncTaskContext, params: dict[str, JsonValue]) -> str:
    """Sleep a while, and remind somebody: no worker is held meanwhile."""
    await ctx.sleep(15)
    ctx.log(f"reminded {params['who']}")
    return "reminded"


_STEPS: tuple[Callable[..., object], ...] = (receive, reserve, charge, pack, label, ship)


def make_workers(client: AsyncClient) -> list[Worker]:
    """Return the workers, which call the service where ``client`` does."""
    workers = [
        Worker(client, queue=QUEUE, worker_id=f"demo-{number}", concurrency=4, lease_seconds=15, drain_seconds=5)
        for number in range(1, _WORKERS + 1)
    ]
    for worker in workers:
        for function in _STEPS:
            name = f"shop.{function.__name__}"
            worker.task(name)(make_handler(name, function))
        worker.task("resize_image")(resize_image)
        worker.task("remind")(remind)
    return workers
