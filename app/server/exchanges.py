"""One request and its answer on a connection."""

import re
from collections.abc import Callable, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_UNFIT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no line of a head may hold, but for its end."""


class HttpExchange(RequestResponseCycle):
    """Decides with the first line of the answer whether its connection lives on, and leaves closing to that."""

    may_go_on: Callable[[], bool]
    """Whether the connection can be used after the answer that begins now; to be set at once."""
    _goes_on: bool | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the peer was told that it can use the connection again."""
        return bool(self._goes_on)

    @property
    def keep_alive(self) -> bool:
        """Whether no `Connection: close` is due; once the answer is complete, that there is nothing to close."""
        if self.response_complete:
            return True
        if self._goes_on is None:
            self._goes_on = self._wanted and self.may_go_on()
        return self._goes_on

    @keep_alive.setter
    def keep_alive(self, wanted: bool) -> None:
        self._wanted = wanted

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer at once: one call of the system instead of two, and half of the work.

        False: nothing was written, for it has to wait for its reader, or nobody is there.
        """
        if self.disconnected or self.flow.write_paused or self.access_log:
            return False
        lines = [*self.default_headers, *headers]
        if not self.keep_alive:
            lines.append((b"connection", b"close"))
        head = b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % line for line in lines)])
        if _UNFIT.search(head) or head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1:
            raise RuntimeError("a header of the answer holds what ends a line")
        self.response_started = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%b\r\n%b" % (head, body))
        self.response_complete = True
        self.message_event.set()
        self.on_response()
        return True

    def give_up(self) -> None:
        """Tell the application that the peer has gone."""
        self.disconnected = True
        self.message_event.set()
