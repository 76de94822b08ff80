"""Why things stand where they stand."""

from enum import StrEnum


class Reason(StrEnum):
    """Why something stands where it stands, when nobody's report says so."""

    deadline = "deadline"
    lost = "lost"
    cancel_requested = "cancel_requested"
    max_delay = "max_delay"
    max_duration = "max_duration"
    attempts_exhausted = "attempts_exhausted"
    not_retryable = "not_retryable"
    run_ended = "run_ended"
    upstream = "upstream"
    terminated = "terminated"
    timeout = "timeout"
