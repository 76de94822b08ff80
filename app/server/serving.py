"""The server: from its first connection to the last, and over several processes."""

import asyncio
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pickle import UnpicklingError
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess, multiprocess

from app.server.limits import Limits
from app.server.state import ServiceState

CHECK_SECONDS = 0.25
LEAST_STOP_SECONDS = 0.2
QUIET_SECONDS = 5.0
"""Without a connection for so long, nobody has to be told of a stop: a balancer looks more often than that."""
LET_GO_SECONDS = 0.03
PAUSE_SECONDS = 0.003
"""A caller who asks again and again has come back by then, and waits for his answer."""
ACCEPT_SECONDS = 0.03
"""At most: nothing else is done meanwhile."""
FEWEST_CONNECTIONS = 16
DESCRIPTORS_MOST = 65_536


class Config(uvicorn.Config):
    """uvicorn's configuration, and what connections may do; also in the processes that it starts."""

    limits = Limits()


class Server(uvicorn.Server):
    """Closes connections whose time is over, and takes its leave before it stops."""

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._limits = config.limits
        self.server_state: ServiceState = ServiceState(self._limits, _most_connections(self._limits))
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        self._told_by: int | None = None
        self._told_at = 0.0
        self._checking: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.server_state.check(loop.time())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: at SIGTERM with taking leave, at Ctrl-C without; at once when it is said again.

        A parent says SIGTERM to processes that have heard Ctrl-C themselves: that is not again.
        """
        del frame
        self._captured_signals.append(sig)
        if self._told_by in {sig, signal.SIGTERM}:
            self.should_exit = self.force_exit = True
        elif self._told_by is None:
            self._told_by, self._told_at = sig, time.monotonic()
            self.server_state.draining = True
            self.should_exit = sig == signal.SIGINT or not self.started

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop listening."""
        return await super().on_tick(counter) or (self._told_by is not None and self._has_taken_leave())

    def _has_taken_leave(self) -> bool:
        """Return whether everybody had the time to see that this process is about to stop, or nobody is there."""
        now = time.monotonic()
        state = self.server_state
        quiet = not state.connections and now - state.quiet_since > QUIET_SECONDS
        return quiet or now - self._told_at >= self._limits.leave_taking_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what is under way, and end; what is still under way then is answered 503."""
        self.server_state.draining = self.server_state.stopping = True
        gone = time.monotonic() - self._told_at if self._told_by else 0.0
        seconds = max(LEAST_STOP_SECONDS, self._limits.drain_seconds - gone)
        asyncio.get_running_loop().call_later(seconds, self._refuse_rest)
        self.config.timeout_graceful_shutdown = math.ceil(seconds)
        taking = asyncio.create_task(self._take_rest([listener.dup() for listener in sockets or []]))
        await super().shutdown(sockets)
        for task in (taking, self._checking):
            if task:
                task.cancel()

    def _refuse_rest(self) -> None:
        for connection in list(self.server_state.connections):
            connection.stop()
        for task in self.server_state.tasks:
            task.cancel()

    async def _take_rest(self, listeners: Sequence[socket.socket]) -> None:
        """Take those whom nobody has taken yet: they would be reset when the last one closes their listener.

        The event loop lets go of its own descriptor some turns after it was told to, and accepts nobody meanwhile.
        """
        await asyncio.sleep(LET_GO_SECONDS)
        callers = [caller for listener in listeners for caller in _accept_rest(listener)]
        await asyncio.gather(*(self._take(caller) for caller in callers))

    async def _take(self, caller: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        protocol: Any = self.config.http_protocol_class
        await loop.connect_accepted_socket(
            lambda: protocol(self.config, self.server_state, self.lifespan.state, loop), caller
        )


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Return whether a line tells more than that a request was ended by a stop."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _accept_rest(listener: socket.socket) -> list[socket.socket]:
    """Accept until nobody has come for a moment, and close at once; who shares the listener goes on listening."""
    callers = []
    ends_at = time.monotonic() + ACCEPT_SECONDS
    listener.settimeout(PAUSE_SECONDS)
    with suppress(OSError):
        while time.monotonic() < ends_at:
            callers.append(listener.accept()[0])
    listener.close()
    return callers


def _most_connections(limits: Limits) -> int:
    """Return how many connections there are descriptors for, of as many as the system gives."""
    if sys.platform == "win32":
        return limits.connections
    import resource  # noqa: PLC0415 - Windows has no such module

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MOST if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return limits.connections
    room = soft - limits.other_descriptors - limits.refused_at_once
    return min(limits.connections, max(FEWEST_CONNECTIONS, room))


class Process(multiprocess.Process):
    """A process with a server of ours."""

    @property
    def server(self) -> uvicorn.Server:
        """Return the server, in its process."""
        if self._server is None:
            assert isinstance(self.config, Config)  # noqa: S101 - what the supervisor was given
            self._server = Server(self.config)
        return self._server

    def _healthcheck(self, timeout: float) -> bool | None:
        """Return whether the server has started; None: no answer in time, or the process has ended meanwhile."""
        with suppress(OSError, EOFError, UnpicklingError):
            self.parent_conn.send(b"ping")
            ends_at = time.monotonic() + timeout
            while self.process.is_alive() and time.monotonic() < ends_at:
                if self.parent_conn.poll(CHECK_SECONDS):
                    return bool(self.parent_conn.recv())
        return None


class Supervisor(Multiprocess):
    """Starts the processes, starts again those that die, and hands on that they shall stop; again when told again."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        multiprocess.Process = Process  # type: ignore[misc]  # uvicorn leaves no other way to say which server

    def terminate_all(self) -> None:
        """Tell the processes to stop, and let go of what they listen on: who calls shall not wait for nobody."""
        super().terminate_all()
        for listener in self.sockets:
            listener.close()

    def join_all(self) -> None:
        """Return when all processes have ended."""
        self.signal_queue.clear()
        for process in self.processes:
            while process.exitcode is None:
                process.process.join(CHECK_SECONDS)
                if self.signal_queue:
                    self.signal_queue.clear()
                    for other in self.processes:
                        _tell_again(other.process.pid, ended=other.exitcode is not None)


def _tell_again(pid: int | None, *, ended: bool) -> None:
    if pid and not ended:
        os.kill(pid, signal.SIGTERM)
