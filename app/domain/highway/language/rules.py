"""By which rules steps begin, and are joined."""

from enum import StrEnum


class TriggerRule(StrEnum):
    """When a step starts, by how the steps it depends on have ended."""

    all_success = "all_success"
    all_done = "all_done"
    one_success = "one_success"
    one_done = "one_done"
    none_failed = "none_failed"


class JoinMode(StrEnum):
    """When a join is over, by how the steps it joins have ended."""

    all_of = "all_of"
    any_of = "any_of"
    all_success = "all_success"
    one_success = "one_success"
