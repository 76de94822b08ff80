"""Answers that are written as a whole."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from app.server.exchanges import HttpExchange

LOG = logging.getLogger(__name__)


def make_exchange(*, is_paused: bool = False, may_go_on: bool = True) -> tuple[HttpExchange, list[bytes]]:
    """Return an exchange, and what it will have written to its peer."""
    written: list[bytes] = []
    transport: Any = SimpleNamespace(write=written.append)
    flow: Any = SimpleNamespace(write_paused=is_paused)
    scope: Any = {"type": "http", "method": "GET"}
    exchange = HttpExchange(
        scope, transport, flow, LOG, LOG, False, [(b"date", b"today")], asyncio.Event(), False, True, lambda: None
    )
    exchange.may_go_on = lambda: may_go_on
    return exchange, written


class TestAnswer:
    def test_it_is_written_at_once_and_completes_the_exchange(self) -> None:
        exchange, written = make_exchange()
        assert exchange.answer(200, [(b"content-length", b"2")], b"ok")
        assert written == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"]
        assert exchange.response_complete
        assert exchange.message_event.is_set()

    def test_it_says_when_the_connection_ends(self) -> None:
        exchange, written = make_exchange(may_go_on=False)
        assert exchange.answer(204, [], b"")
        assert written == [b"HTTP/1.1 204 No Content\r\ndate: today\r\nconnection: close\r\n\r\n"]

    def test_reader_that_is_behind_is_waited_for_by_another_way(self) -> None:
        exchange, written = make_exchange(is_paused=True)
        assert not exchange.answer(200, [], b"")
        assert not written
        assert not exchange.response_started

    @pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"\r\n\r\n<script>"])
    def test_header_cannot_end_its_line(self, value: bytes) -> None:
        exchange, written = make_exchange()
        with pytest.raises(RuntimeError, match="ends a line"):
            exchange.answer(200, [(b"location", value)], b"")
        assert not written
