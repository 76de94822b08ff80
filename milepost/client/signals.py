"""What a handler raises, or what leaves it, to say how its attempt ends."""

from datetime import datetime


class NonRetryable(Exception):
    """Raised by a handler: the attempt failed, and another one would fail as well."""


class RetryLater(Exception):
    """Raised by a handler: the attempt failed, and the next one comes at a time of its choice."""

    def __init__(self, message: str = "", *, seconds: float | None = None, at: datetime | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.at = at


class TimeLimitExceeded(TimeoutError):
    """The handler ran longer than its task's ``time_limit_seconds``."""


class EventTimeout(TimeoutError):
    """The awaited event did not come in time."""


class Suspended(BaseException):
    """Leaves the handler of a task that was put aside; not an Exception, so that handlers do not catch it.

    The task is claimed again later, and its handler runs from the top: steps give back what they stored.
    """
