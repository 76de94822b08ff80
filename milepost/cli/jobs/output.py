"""What a command says: passed on byte for byte, and cut into lines of a log."""

import fcntl
import os
import selectors
import struct
import termios
import threading
from collections.abc import Callable
from time import monotonic

CHUNK_BYTES = 64 * 1024
TEXT_BYTES = 16 * 1024
"""How long a line of a log is at most; what is longer becomes several."""
TAIL_BYTES = 8 * 1024
RIPE_SECONDS = 2.0
"""How long what has no line break yet is waited for."""

Take = Callable[[str, str], None]
"""Takes a text and its level."""


class Tail:
    """The last of what was said, on both streams."""

    def __init__(self) -> None:
        self._kept = b""
        self._lock = threading.Lock()

    def add(self, chunk: bytes) -> None:
        """Take a part."""
        with self._lock:
            self._kept = (self._kept + chunk)[-TAIL_BYTES:]

    def text(self) -> str:
        """Return it as text."""
        return _read_text(self._kept).encode()[-TAIL_BYTES:].decode(errors="ignore")


class Lines:
    """Cuts a stream into lines."""

    def __init__(self, level: str, take: Take) -> None:
        self._level = level
        self._take = take
        self._rest = b""
        self._since = 0.0
        self._lock = threading.Lock()

    def add(self, chunk: bytes) -> None:
        """Take a part of the stream, and give on each line that it ends."""
        with self._lock:
            *lines, rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._give(line.removesuffix(b"\r"))
            if lines or not self._rest:
                self._since = monotonic()
            while len(rest) > TEXT_BYTES:
                end = _end_of_character(rest, TEXT_BYTES)
                self._give(rest[:end])
                rest = rest[end:]
            self._rest = rest

    def end_ripe(self) -> None:
        """Give on what has waited for its line break long enough."""
        if self._rest and monotonic() - self._since > RIPE_SECONDS:
            self.end()

    def end(self) -> None:
        """Give on what has no line break."""
        with self._lock:
            if self._rest:
                self._give(self._rest)
                self._rest = b""

    def _give(self, line: bytes) -> None:
        text = _read_text(line)
        while len(encoded := text.encode()) > TEXT_BYTES:
            first = encoded[:TEXT_BYTES].decode(errors="ignore")
            self._take(first, self._level)
            text = text[len(first) :]
        self._take(text, self._level)


def _read_text(data: bytes) -> str:
    """Return ``data`` as text; what is none is U+FFFD, and so is NUL."""
    return data.decode(errors="replace").replace("\0", "\ufffd")


def _end_of_character(data: bytes, most: int) -> int:
    """Return where to cut UTF-8 so that no character is cut: at ``most``, or up to three bytes before."""
    return next((end for end in range(most, most - 4, -1) if data[end] & 0xC0 != 0x80), most)  # noqa: PLR2004


class Pump(threading.Thread):
    """Passes one stream on until its end, or until the command has ended."""

    def __init__(self, source: int, target: int, ended: int, heard: Callable[[bytes], None]) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._target = target
        self._ended = ended
        self._heard = heard

    def run(self) -> None:
        """Read and write; when nobody takes it any more, the command learns that as it always does."""
        try:
            while (chunk := self._read()) and self._pass_on(chunk):
                pass
        finally:
            os.close(self._source)

    def _read(self) -> bytes:
        """Return what comes next; nothing at the end of the stream, or of the command."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._source, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            ready = [key.fd for key, _ in selector.select()]
        if self._ended not in ready:
            return os.read(self._source, CHUNK_BYTES)
        self._pass_rest()
        return b""

    def _pass_rest(self) -> None:
        """Pass on what the command has left, and not what others write who hold the stream still."""
        left: int = struct.unpack("i", fcntl.ioctl(self._source, termios.FIONREAD, b"\0" * 4))[0]
        while left > 0 and (chunk := os.read(self._source, min(left, CHUNK_BYTES))) and self._pass_on(chunk):
            left -= len(chunk)

    def _pass_on(self, chunk: bytes) -> bool:
        """Return whether all of ``chunk`` was taken."""
        self._heard(chunk)
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[os.write(self._target, rest) :]
            except BlockingIOError:  # whoever else has it open has made it so
                _wait_writable(self._target)
            except OSError:
                return False
        return True


def _wait_writable(descriptor: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_WRITE)
        selector.select()
