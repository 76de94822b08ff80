"""What the endpoints of one process share."""

from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from app.access.doorkeeper import Doorkeeper
from app.access.feed import Feed
from app.access.sightings import Sightings
from app.api.own_site import OwnSite
from app.db.batching import Batching
from app.db.engine import Database
from app.db.wakeups import Wakeups
from app.settings import Settings


class Watched(Protocol):
    """Whatever does the housekeeping, as far as a health check looks."""

    def overdue(self, seconds: float) -> list[str]:
        """Return the chores that are late by more than ``seconds``."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The parts of a running service; made at its start, found at ``app.state.kernel``."""

    settings: Settings
    database: Database
    batching: Batching
    wakeups: Wakeups
    doorkeeper: Doorkeeper
    own_site: OwnSite
    housekeeping: Watched
    sightings: Sightings
    feed: Feed


def kernel_of(request: Request) -> Kernel:
    """Return the parts of the service that answers ``request``."""
    kernel: Kernel = request.scope["kernel"]
    return kernel
