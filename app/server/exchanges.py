"""One request and its answer on a connection."""

from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


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

    def give_up(self) -> None:
        """Tell the application that the peer has gone."""
        self.disconnected = True
        self.message_event.set()
