"""A peer that says exactly what it is told to, in the pieces it is told to."""

import json
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.waiting import PATIENCE_SECONDS

ANSWER_SECONDS = PATIENCE_SECONDS


class Answer(NamedTuple):
    """What a peer has read: an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def is_problem(self, status: int, code: str) -> bool:
        """Whether it is this problem, whole and with the end of its connection."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["connection"] == "close"
        problem = self.json()
        assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "request_id"}
        assert problem["type"] == f"/problems/{problem['code']}"
        assert problem["request_id"] == self.headers["x-request-id"]
        return (self.status, problem["status"], problem["code"]) == (status, status, code)


class Peer:
    """One connection."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port or 80), timeout=ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, *parts: bytes) -> Self:
        for part in parts:
            self._socket.sendall(part)
        return self

    def hurry(self) -> Self:
        """Wait no more for the other side than a moment."""
        self._socket.settimeout(0.1)
        return self

    def send_until_refused(self, part: bytes, most: int) -> int:
        """Send ``part`` again and again, and return how many bytes were taken before the peer gave up, or ``most``."""
        sent = 0
        try:
            while sent < most:
                sent += self._socket.send(part)
        except (ConnectionError, TimeoutError):
            pass
        return sent

    def answer(self) -> Answer:
        """Return the next answer."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        while len(self._read) < size:
            self._more()
        body, self._read = self._read[:size], self._read[size:]
        return Answer(int(first.split()[1]), headers, body)

    def peek(self) -> bytes:
        """Return what has come and was not read yet."""
        with suppress(BlockingIOError, ConnectionError):
            return self._read + self._socket.recv(65536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return self._read

    def _more(self) -> None:
        data = self._socket.recv(65536)
        assert data, f"closed after {self._read!r}"
        self._read += data

    def wait_closed(self) -> bytes:
        """Return what still came, once the other side has closed the connection."""
        try:
            while data := self._socket.recv(65536):
                self._read += data
        except ConnectionResetError:
            pass
        return self._read

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def request(method: str, path: str, body: bytes = b"", *lines: str) -> bytes:
    """Return a request as bytes."""
    framing = [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, *framing, "", ""]).encode() + body


def in_chunks(body: bytes, sizes: Iterable[int] = (5, 7)) -> bytes:
    """Return ``body`` in chunks of these sizes, and one with the rest."""
    parts = []
    for size in sizes:
        part, body = body[:size], body[size:]
        parts.append(b"%x\r\n%b\r\n" % (len(part), part))
    return b"".join([*parts, b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"])
