"""Requests out of bytes: one at a time is given to the parser, and what comes after it waits."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterable
from enum import IntEnum
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.way_in import ANSWER_AT_ONCE
from app.errors import HeadersTooLarge, MalformedRequest, Refusal
from app.server.exchanges import HttpExchange
from app.server.heads import END, LINE_END, check_part, check_size, without_upgrade
from app.server.limits import FRAMING_RATIO
from app.server.refusing import explain
from app.server.state import ServiceState


class Phase(IntEnum):
    """What a connection reads."""

    head = 0
    body = 1
    nothing = 2
    """It is about to be closed; what arrives is dropped."""


HEAD, BODY, NOTHING = Phase.head, Phase.body, Phase.nothing
"""Looked up many times in each request: as globals they cost a third."""


class Flow(FlowControl):
    """Reading goes on when the application asks for it, unless there is enough here that waits for its turn."""

    is_full = False

    def resume_reading(self) -> None:
        """Read on."""
        if not self.is_full:
            super().resume_reading()


class RequestReader(HttpToolsProtocol):
    """Feeds the parser exactly one request at a time: what comes after it waits as bytes.

    So the parser never holds more than a checked head, never sees a wish for another protocol, and a pipeline costs
    what its bytes do.
    """

    server_state: ServiceState
    cycle: HttpExchange
    flow: Flow

    def __init__(
        self,
        config: Config,
        server_state: ServiceState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = server_state.limits
        self._lines_most = self.limits.head_lines
        self.phase = HEAD
        self._data = b""
        self._at = 0
        self._is_new = False
        """The application has not heard of the request yet."""
        self._is_answering = False
        self._expects_head = False
        self._head_since: float | None = None
        self._left: int | None = 0
        """Bytes of the body that are still to come; None: it comes in chunks."""
        self._tail = b""
        self._framing = 0
        self._body_bytes = 0

    @abstractmethod
    def refuse(self, refusal: Refusal, url: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer in the place of the application, and end the connection."""

    @abstractmethod
    def may_go_on(self) -> bool:
        """Return whether the connection can be used after the answer that begins now."""

    @abstractmethod
    def can_give_way(self) -> bool:
        """Return whether what it holds can be given up."""

    @abstractmethod
    def give_way(self) -> None:
        """Give up what it holds."""

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; what cannot be taken yet waits behind what waits already."""
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0
        self._take_data()

    def is_busy(self) -> bool:
        """Return whether the next request has to wait: for the answer before it, or for its reader."""
        return self._is_answering or self.flow.write_paused

    def go_on(self) -> None:
        """Read on, beginning with what has waited."""
        self.flow.is_full = False
        self.flow.resume_reading()
        if self._at < len(self._data):
            self._take_data()

    def _take_data(self) -> None:
        self._read_requests()
        if self._is_new:
            self._is_new = False
            if self.phase is not NOTHING:  # what cannot be read to here is not begun
                self._start_asgi_task(self.cycle, self.app)

    def _read_requests(self) -> None:
        while self._at < len(self._data):
            if self.phase is BODY:
                self._take_body()
            elif self.is_busy():
                self._wait_for_turn()
                return
            elif not self._take_head():
                return
        self._data = b""
        self._at = 0

    def _wait_for_turn(self) -> None:
        self.flow.is_full = True
        self.flow.pause_reading()
        self._hold(len(self._data) - self._at + self._body_bytes)

    def refuse_request(self, refusal: Refusal) -> None:
        """Refuse a request whose head was read, at least in part."""
        self.refuse(refusal, self.url, self.headers)

    def _hold(self, size: int) -> None:
        if size > self.limits.free_bytes:
            self.server_state.arriving.hold(self, size)

    def _take_head(self) -> bool:
        """Give the next head to the parser; return whether it was there."""
        data, at = self._data, self._at
        while data.startswith(LINE_END, at):
            at += len(LINE_END)  # some send one more after a body
        self._at = at
        end = data.find(END, at) + len(END)
        if end < len(END):
            self._wait_for_head(data[at : at + self.limits.head_bytes + 1])
            return False
        head = data if end - at == len(data) else data[at:end]
        self._at = end
        self._head_since = None
        if refusal := check_size(head, self.limits):
            self.refuse(refusal)
        else:
            self._read_head(without_upgrade(head))
        return True

    def _wait_for_head(self, part: bytes) -> None:
        if not part:
            return
        if self._head_since is None:
            self._head_since = self.loop.time()
        if refusal := check_part(part, self.limits):
            self.refuse(refusal)
        else:
            self._hold(len(part))

    def _read_head(self, head: bytes) -> None:
        self._expects_head = True
        self._left = self._framing = self._body_bytes = 0
        self._tail = b""
        self._feed(head)
        if not self._is_answering and self.phase is not NOTHING:
            http2 = head.startswith(b"PRI ")
            self.refuse(MalformedRequest("HTTP/2 is not spoken here" if http2 else "its head has no end"))

    def _take_body(self) -> None:
        """Give the parser as much as certainly belongs to this request."""
        data, at = self._data, self._at
        end = self._find_end() if self._left is None else min(len(data), at + self._left)
        portion: bytes | memoryview = data if end - at == len(data) else memoryview(data)[at:end]
        self._at = end
        before = self._body_bytes
        self._feed(portion)
        if self._left is None:
            body = self._body_bytes - before
            self._framing = max(0, self._framing + end - at - body - FRAMING_RATIO * body)
            self._tail = (self._tail + data[max(at, end - 3) : end])[-3:]
            if self._framing > self.limits.framing_bytes:
                self.refuse_request(HeadersTooLarge("too much around and after the chunks of the body"))
        else:
            self._left -= end - at
            if not self._left and self.phase is BODY:
                self.refuse_request(MalformedRequest("its body has no end"))
        if self._is_answering:
            self._hold(self._body_bytes)

    def _find_end(self) -> int:
        """Return where a body in chunks may end: behind the next empty line, also one that began in the last read."""
        seam = self._tail + self._data[self._at : self._at + 3]
        if (found := seam.find(END)) >= 0:
            return self._at + found + len(END) - len(self._tail)
        found = self._data.find(END, self._at)
        return found + len(END) if found >= 0 else len(self._data)

    def _feed(self, portion: bytes | memoryview) -> None:
        try:
            self.parser.feed_data(portion)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._expects_head:
                self.refuse(explain(error))
            else:
                self.refuse_request(explain(error))

    def on_message_begin(self) -> None:
        """Begin a request, where one may begin."""
        if not self._expects_head:
            raise MalformedRequest("it goes on after its end")
        self._expects_head = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers come too late to be one."""
        if self.phase is BODY:
            return
        headers = self.headers
        name = name.lower()
        headers.append((name, value))
        if len(headers) > self._lines_most:
            raise HeadersTooLarge(f"at most {self._lines_most} header lines are taken")
        if name == b"content-length":
            self._left = int(value)
        elif name == b"transfer-encoding":
            self._left = None
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Describe the request to the application."""
        version = self.parser.get_http_version()
        self._describe(version)
        self.cycle = HttpExchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self.cycle.may_go_on = self.may_go_on
        self.scope["extensions"] = {ANSWER_AT_ONCE: {"write": self.cycle.answer}}
        self.phase = BODY
        self._is_answering = self._is_new = True

    def _describe(self, version: str) -> None:
        method = self.parser.get_method().decode("ascii")
        if method == "CONNECT":
            raise MalformedRequest("this is no proxy")
        try:
            url = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            raise MalformedRequest("the address cannot be read") from None
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii")
        self.scope["method"] = method
        if version != "1.1":
            self.scope["http_version"] = version
        self.scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        self.scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        self.scope["query_string"] = url.query or b""

    def on_body(self, body: bytes) -> None:
        """Hand on a part of a body; nobody needs what comes after the answer."""
        self._body_bytes += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End a request."""
        self.phase = HEAD
        self.cycle.more_body = False
        self.cycle.message_event.set()
