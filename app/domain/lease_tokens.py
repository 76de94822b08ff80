"""Lease tokens: 122 random bits, in a UUID whose version says whether the task is the work item of a step.

So a report about a plain task need not ask the database whether a run is to be locked first.
"""

from uuid import UUID

STEP_VERSION = 8


def is_of_step(token: UUID) -> bool:
    """Return whether a lease with this token is one of a work item. Source: RFC 9562, section 5.8."""
    return token.version == STEP_VERSION
