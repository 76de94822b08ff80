"""When a call is begun anew, and after which pause."""

import logging
import random
from time import monotonic
from typing import Any

from milepost.client.calls import Call
from milepost.client.exceptions import MilepostError, Unavailable, UnreachableError

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
log = logging.getLogger("milepost.client")


def growing_pause(failures: int) -> float:
    """Return a pause in seconds that doubles with each failure in a row; half of it is chance, to spread the load."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 16))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - chance, not a secret


class Retries:
    """What is left of the tries of one call."""

    def __init__(self, call: Call[Any], attempts: int, seconds: float) -> None:
        self._call = call
        self._attempts = attempts
        self._until = monotonic() + seconds
        self._failures = 0

    def pause_after(self, error: MilepostError) -> float | None:
        """Return how many seconds to wait before the next try; None when there is none."""
        self._failures += 1
        if self._failures >= self._attempts or not self._is_worth_another(error):
            return None
        asked = error.retry_after_seconds if isinstance(error, Unavailable) else None
        pause = growing_pause(self._failures) if asked is None else asked
        if monotonic() + pause > self._until:
            return None
        call = f"{self._call.method} {self._call.path}"
        level = logging.WARNING if self._failures == 1 else logging.INFO  # one line for whoever waits and wonders
        log.log(level, "retrying %s: %s", call, error, extra={"call": call, "error": str(error)})
        return pause

    def _is_worth_another(self, error: MilepostError) -> bool:
        """Return whether the call may be sent again: what never left always, else only what is repeatable."""
        match error:
            case UnreachableError():
                return self._call.repeatable or not error.maybe_done
            case Unavailable():
                return self._call.repeatable
        return False
