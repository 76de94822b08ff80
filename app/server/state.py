"""What all connections of a process share."""

from typing import TYPE_CHECKING

import structlog
from uvicorn.server import ServerState

from app.metrics import CONNECTIONS
from app.server.ledger import Ledger
from app.server.limits import Limits
from app.server.refusing import RefusalLog

if TYPE_CHECKING:
    from app.server.connections import Connection


log = structlog.get_logger()


class ServiceState(ServerState):
    """The open connections, what they hold, and whether the process is about to stop."""

    connections: set["Connection"]  # type: ignore[assignment]

    def __init__(self, limits: Limits, most: int) -> None:
        super().__init__()
        self.limits = limits
        self.most = most
        self.arriving = Ledger(limits.arriving_bytes)
        self.unsent = Ledger(limits.unsent_bytes)
        self.refused: set[Connection] = set()
        self.refusals = RefusalLog()
        self.draining = False
        """Answers carry `Connection: close`."""
        self.stopping = False
        """Nobody listens any more; a connection is closed as soon as it is idle."""
        self.quiet_since = float("-inf")
        """When the last connection was closed."""
        CONNECTIONS.set_function(lambda: len(self.connections))

    def take(self, connection: "Connection") -> bool:
        """Return whether there is room for a connection that was just made."""
        if len(self.connections) - len(self.refused) <= self.most:
            return True
        self.refused.add(connection)
        return False

    def forget(self, connection: "Connection", now: float) -> None:
        """Note that a connection is closed."""
        self.refused.discard(connection)
        self.arriving.release(connection)
        self.unsent.release(connection)
        if not self.connections:
            self.quiet_since = now

    def check(self, now: float) -> None:
        """Close the connections whose time is over."""
        for connection in list(self.connections):
            try:
                connection.check(now)
            except Exception:  # one must not keep the others open
                log.exception("internal_error", client=connection.client)
