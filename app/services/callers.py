"""Who calls, and which request it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, for histories and idempotency."""

    name: str
    """Name of the API key, or `anonymous` where there are none."""
    request_id: str | None
    """None: it is not a call."""


HOUSEKEEPING = Caller("housekeeping", None)
"""Who acts when nobody calls."""
