"""A way to the database that can fall silent: it takes what it is sent and brings nothing on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from app.db.engine import read_url


class Way:
    """Stands between a service and its database; ``url`` leads through it."""

    def __init__(self, url: str) -> None:
        target = conninfo_to_dict(read_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
        self._socket = f"{target['host']}/.s.PGSQL.{target['port']}"
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = url

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Way"]:
        """Carry until the end of the block."""
        server = await asyncio.start_server(self._carry_both, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = make_url(f"postgresql://{self._target['user']}@127.0.0.1:{port}/{self._target['dbname']}")
        self.url = url.render_as_string(hide_password=False)
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def fall_silent(self) -> None:
        """Swallow what is sent from now on, also on connections that come."""
        self._open.clear()

    def speak_again(self) -> None:
        """Carry again, connections that come; the old ones are dead."""
        self._open.set()

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        there, back = await asyncio.open_unix_connection(self._socket)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        self._tasks.discard(task)
        for end in (back, writer):
            end.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._open.wait()
            sink.write(data)
            await sink.drain()
        sink.close()
