"""`milepost demo`: something to look at, on a service that runs."""

import asyncio
import logging
import signal
from contextlib import suppress
from typing import Annotated

import typer

from milepost.cli.calls import DEFAULT_URL, Url, call
from milepost.cli.exits import ExitCode, leave

Every = Annotated[float, typer.Option(min=0.2, help="Seconds from one order to the next.")]


def show_demo(every: Every = 4.0, url: Url = DEFAULT_URL) -> None:
    """Work in a small shop until Ctrl-C: runs, steps, failures, waits, logs, something late and something stuck.

    Needs a service that runs, and a key for it where it asks for one. What was made stays; run it again at any time.
    """
    _check_service(url)
    typer.echo(f"The shop is open until Ctrl-C. Look at it:\n\n{_what_to_look_at(url)}\n", err=True)
    asyncio.run(_run(url, every))
    typer.echo("\nThe shop is closed. What was made stays; `milepost demo` opens it again.", err=True)


def _check_service(url: str) -> None:
    """Leave with what to do unless the service answers, and lets the demo in."""
    import httpx  # noqa: PLC0415 - help needs no client

    try:
        httpx.get(f"{url.rstrip('/')}/livez", timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL):
        leave(
            ExitCode.UNREACHABLE,
            f"no service answers at {url}: start one with `milepost serve` in another terminal, or name it with --url",
        )
    call("GET", url, "/v1/queues", params=[("limit", 1)])


def _what_to_look_at(url: str) -> str:
    return (
        f"  {url}/                              the page\n"
        "  milepost runs list                  what runs, and what went wrong\n"
        "  milepost runs list --late           what takes too long\n"
        "  milepost runs steps ID              how far an order is\n"
        f"  curl -H 'Accept: text/plain' {url}/v1/queues"
    )


async def _run(url: str, every_seconds: float) -> None:
    """Work until Ctrl-C or SIGTERM."""
    from app.cli.demo.traffic import keep_coming, prepare  # noqa: PLC0415 - help needs no client
    from app.cli.demo.workers import make_workers  # noqa: PLC0415
    from milepost.client.client import AsyncClient  # noqa: PLC0415

    logging.getLogger("milepost").propagate = False  # what fails is seen where it is looked for
    logging.getLogger("milepost").addHandler(logging.NullHandler())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncClient(url) as client:
        await prepare(client)
        workers = make_workers(client)
        working = [asyncio.create_task(worker.run_async()) for worker in workers]
        coming = asyncio.create_task(keep_coming(client, every_seconds, lambda line: typer.echo(f"  {line}")))
        await asyncio.wait([*working, coming, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        for worker in workers:
            worker.stop()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(coming, *working)
        await asyncio.gather(*working)
