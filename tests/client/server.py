"""A service that listens on a port of this machine, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.main import create_app
from app.server import serving
from app.server.connections import Connection
from app.server.limits import Limits
from app.settings import Settings
from tests.conftest import make_settings
from tests.waiting import PATIENCE_SECONDS, wait_until


@contextmanager
def listening(database_url: str, port: int = 0, **settings: object) -> Iterator[str]:
    """Give the address of a service on ``database_url``."""
    with listening_with(make_settings(database_url, **settings), port) as url:
        yield url


@contextmanager
def listening_with(settings: Settings, port: int = 0, limits: Limits | None = None) -> Iterator[str]:
    """Give the address of a service with ``settings``, whose connections have ``limits``."""
    app = create_app(settings)
    config = serving.Config(
        app,
        host="127.0.0.1",
        port=port,
        lifespan="on",
        log_config=None,
        access_log=False,
        http=Connection,
    )
    config.limits = limits or Limits(drain_seconds=2)
    server = serving.Server(config)
    thread = threading.Thread(target=server.run, name="service", daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the service did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        kernel = getattr(app.state, "kernel", None)
        if kernel is not None and thread.is_alive():
            kernel.wakeups.drain()
        server.should_exit = True
        thread.join(timeout=PATIENCE_SECONDS)
        assert not thread.is_alive(), "the service did not stop"
