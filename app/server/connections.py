"""A connection: what its peer may send, hold and wait for."""

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.config import Config

from app.api.observe import take_request_id
from app.errors import Refusal, RequestTimeout, TooManyConnections, Unavailable
from app.server.exchanges import HttpExchange
from app.server.refusing import render
from app.server.requests import BODY, NOTHING, Flow, RequestReader
from app.server.state import ServiceState

_TOO_MUCH = Unavailable("too many large requests at once")


class Connection(RequestReader):
    """Requests in, answers out, one after the other, within the limits of time and space."""

    def __init__(
        self,
        config: Config,
        server_state: ServiceState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.idle_since = self.loop.time()
        self._lingered = 0
        self._gives_way = False
        self._received = 0
        self._watched: HttpExchange | None = None
        self._body_since = self._moved_at = self._taken_at = 0.0
        self._seen_received = self._seen_unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        if not self.server_state.take(self):
            self.refuse(TooManyConnections(f"this process takes {self.server_state.most} at a time"))
            if len(self.server_state.refused) > self.limits.refused_at_once:
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and let its request know."""
        super().connection_lost(exc)
        self._data = b""
        self.server_state.forget(self, self.loop.time())

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; what cannot be taken yet waits behind what waits already."""
        self._received += len(data)
        if self.phase is NOTHING:
            self._lingered += len(data)
            if self._lingered > self.limits.linger_bytes:
                self.transport.abort()
        else:
            super().data_received(data)

    def pause_writing(self) -> None:
        """Let the answer wait: its reader does not read as fast as it is written."""
        super().pause_writing()
        self.server_state.unsent.hold(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on with the answer, or with the request that has waited for its end."""
        super().resume_writing()
        self.server_state.unsent.release(self)
        if not self.is_busy():
            self.go_on()

    def may_go_on(self) -> bool:
        """Return whether the connection can be used after the answer that begins now."""
        if self.server_state.draining or self._gives_way:
            return False
        if self.phase is not BODY:
            return True
        return not self.expect_100_continue and self._left is not None and self._left <= self.limits.rest_bytes

    def on_response_complete(self) -> None:
        """Go on with what has arrived meanwhile, or end the connection."""
        self.server_state.total_requests += 1
        self._is_answering = False
        if self.transport.is_closing():
            return
        self.idle_since = self.loop.time()
        self.server_state.arriving.release(self)
        if not self.cycle.goes_on or self.server_state.stopping or self._gives_way:
            self._leave(linger=self.phase is BODY or self._at < len(self._data) or self._gives_way)
        else:
            self.go_on()

    def refuse(self, refusal: Refusal, url: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer in the place of the application, and end the connection."""
        if self.phase is NOTHING or self.transport.is_closing():
            return
        request_id = take_request_id(headers)
        self.server_state.refusals.note(refusal.code, refusal.detail, self.client, request_id)
        if self._is_answering:
            self.cycle.give_up()
        if (self._is_answering or self.phase is BODY) and self.cycle.response_started:
            self._leave(linger=False)
        else:
            self.transport.write(render(refusal, url, request_id, self.server_state.default_headers))
            self._leave(linger=True)

    def _leave(self, *, linger: bool) -> None:
        """End the connection; linger where the peer may still send, as a reset would take the answer from it."""
        self.phase = NOTHING
        self._data = b""
        self.idle_since = self.loop.time()
        self.server_state.arriving.release(self)
        self.flow.is_full = False
        if linger:
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()

    def can_give_way(self) -> bool:
        """Return whether it waits for its peer, or holds what has not begun."""
        return self.flow.write_paused or self._at < len(self._data) or self.phase is BODY

    def give_way(self) -> None:
        """Free what is held for the peer: there is too much of it over all connections."""
        if self.flow.write_paused:
            self._drop("too many answers wait for their readers")
        elif self.is_busy() and self.phase is not BODY:
            self._gives_way = True  # what has begun is answered, and what waits behind it is not
            self._data = b""
        elif self.phase is BODY:
            self.refuse_request(_TOO_MUCH)
        else:
            self.refuse(_TOO_MUCH)

    def _drop(self, reason: str) -> None:
        self.server_state.refusals.note("slow-reader", reason, self.client)
        self.loop.call_soon(self.transport.abort)  # not under the feet of who writes

    def check(self, now: float) -> None:
        """End what has lasted too long."""
        if self._is_stuck(now):
            self._drop(f"nothing of an answer was read for {self._write_patience():g} s")
        elif self.transport.is_closing():
            return
        elif self.phase is NOTHING:
            if now - self.idle_since > self.limits.linger_seconds:
                self.transport.abort()
        elif self.phase is BODY:
            self._check_body(now)
        elif self.is_busy():
            return
        elif self._head_since is not None:
            if now - self._head_since > self.limits.head_seconds:
                self.refuse(RequestTimeout(f"its head was not complete after {self.limits.head_seconds:g} s"))
        elif now - self.idle_since > self._patience():
            self.transport.close()

    def _patience(self) -> float:
        return self.limits.last_call_seconds if self.server_state.stopping else self.limits.keep_alive_seconds

    def _is_stuck(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._seen_unsent:
            self._seen_unsent, self._taken_at = unsent, now
        return unsent > 0 and now - self._taken_at > self._write_patience()

    def _write_patience(self) -> float:
        return self.limits.last_write_seconds if self.server_state.draining else self.limits.write_seconds

    def _check_body(self, now: float) -> None:
        if self._watched is not self.cycle:
            self._watched = self.cycle
            self._body_since = self._moved_at = now
        if self._received != self._seen_received or self.flow.read_paused:
            self._seen_received, self._moved_at = self._received, now
        if now - self._moved_at > self.limits.body_pause_seconds:
            self.refuse_request(RequestTimeout(f"nothing of its body came for {self.limits.body_pause_seconds:g} s"))
        elif now - self._body_since > self.limits.body_seconds:
            self.refuse_request(RequestTimeout(f"its body was not complete after {self.limits.body_seconds:g} s"))

    def shutdown(self) -> None:
        """End the connection after its answer; if there is none due, unless a request may be on its way."""
        if self._is_answering:
            self.cycle.keep_alive = False
        else:
            self.check(self.loop.time())

    def stop(self) -> None:
        """End the connection now."""
        if self._is_answering:
            self.refuse_request(Unavailable("the process stops, and the request was not done in time"))
        else:
            self.transport.close()
