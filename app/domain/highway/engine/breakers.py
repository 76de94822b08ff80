"""Circuit breakers: after too many failures of a function its attempts wait until a time of isolation is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.highway.language.durations import parse_duration
from app.domain.json_texts import Json

_THRESHOLD = 5
_SUCCESSES = 2
_ISOLATION_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens and closes."""

    failure_threshold: int
    success_threshold: int
    isolation_seconds: float
    catch: Sequence[str] | None
    ignore: Sequence[str]

    def counts(self, error: Json) -> bool:
        """Return whether ``error`` is a failure for the breaker, by its name."""
        name = str(error.get("name") or error.get("type") or "") if isinstance(error, Mapping) else ""
        return name not in self.ignore and (self.catch is None or name in self.catch)


def read_policy(spec: Mapping[str, Json] | None) -> BreakerPolicy | None:
    """Return the policy that a step's `circuit_breaker_policy` is; None without one."""
    if not spec:
        return None
    isolation = spec.get("isolation_duration", spec.get("isolation_duration_seconds", _ISOLATION_SECONDS))
    return BreakerPolicy(
        failure_threshold=spec.get("failure_threshold", _THRESHOLD),
        success_threshold=spec.get("success_threshold", _SUCCESSES),
        isolation_seconds=parse_duration(isolation),
        catch=spec.get("catch_exceptions"),
        ignore=spec.get("ignore_exceptions") or (),
    )


def closes_at(breaker: Mapping[str, Json] | None, now: datetime) -> datetime | None:
    """Return until when an open breaker lets nothing through; None: it lets attempts through ``now``."""
    opened = breaker and breaker.get("open_until")
    until = datetime.fromisoformat(opened) if opened else None
    return until if until is not None and until > now else None


def count_failure(breaker: Mapping[str, Json] | None, policy: BreakerPolicy, now: datetime) -> Mapping[str, Json]:
    """Return the breaker after one more failure."""
    before = breaker or {}
    failures = before.get("failures", 0) + 1
    if failures < policy.failure_threshold and not before.get("open_until"):
        return {"failures": failures}
    return {"open_until": (now + timedelta(seconds=policy.isolation_seconds)).isoformat(), "successes": 0}


def count_success(breaker: Mapping[str, Json] | None, policy: BreakerPolicy) -> Mapping[str, Json]:
    """Return the breaker after one more success: what counts are failures without a success between them."""
    before = breaker or {}
    if not before.get("open_until"):
        return {}
    successes = before.get("successes", 0) + 1
    return {} if successes >= policy.success_threshold else {**before, "successes": successes}
