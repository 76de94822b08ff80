"""A service that listens on a port of this machine, in a thread of this process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

import uvicorn

from app.main import create_app
from app.settings import Settings
from tests.conftest import make_settings

Found = TypeVar("Found")
_LOOK_AGAIN_SECONDS = 0.01


def until(look: Callable[[], Found], *, within_seconds: float = 10.0) -> Found:
    """Return the first true answer of ``look``. Raises AssertionError when there is none in time."""
    deadline = monotonic() + within_seconds
    pause = threading.Event()
    while not (found := look()):
        assert monotonic() < deadline, f"nothing after {within_seconds} seconds"
        pause.wait(_LOOK_AGAIN_SECONDS)
    return found


@contextmanager
def listening(database_url: str, port: int = 0, **settings: object) -> Iterator[str]:
    """Give the address of a service on ``database_url``."""
    with listening_with(make_settings(database_url, **settings), port) as url:
        yield url


@contextmanager
def listening_with(settings: Settings, port: int = 0) -> Iterator[str]:
    """Give the address of a service with ``settings``."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="service", daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started, "the service did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        kernel = getattr(app.state, "kernel", None)
        if kernel is not None and thread.is_alive():
            kernel.wakeups.drain()
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "the service did not stop"
