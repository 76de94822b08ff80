"""Who calls, and which request it is."""

from typing import NamedTuple, Protocol


class Caller(NamedTuple):
    """Who calls, for histories and idempotency."""

    name: str
    """Name of the API key, or `anonymous` where there are none."""
    request_id: str | None
    """None: it is not a call."""


class Visit(Protocol):
    """A call that waits, and who waits for its answer."""

    async def is_gone(self) -> bool:
        """Return whether nobody waits any more."""

    async def check_key(self) -> None:
        """Raise Unauthenticated or Forbidden once the caller would not be let in any more."""


HOUSEKEEPING = Caller("housekeeping", None)
"""Who acts when nobody calls."""
