"""Reasons: how one is written, in which order they stand, and how many are told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import quote

from app.domain.json_texts import Json
from milepost.schemas.why import REASONS_MOST, WhyCode

View = TypeVar("View")
Method: TypeAlias = Literal["POST", "PATCH"]


@dataclass(frozen=True, slots=True)
class Fix:
    """A call that changes something."""

    method: Method
    path: str
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Saying:
    """What one rule says."""

    text: str
    subject: Mapping[str, object]
    since: datetime | None = None
    until: datetime | None = None
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something stands where it stands."""

    code: WhyCode
    saying: Saying


Rule = Callable[[View], Iterator[Saying]]
"""Yields what is to be said by one code."""
_PLACES = {code: place for place, code in enumerate(WhyCode)}


def find_reasons(rules: Mapping[WhyCode, Rule[View]], view: View) -> Iterator[Reason]:
    """Yield what the rules say of one thing."""
    for code, rule in rules.items():
        for saying in rule(view):
            yield Reason(code, saying)


def in_order(reasons: Sequence[Reason]) -> Sequence[Reason]:
    """Return reasons with the most decisive first; of one code they keep their order."""
    return sorted(reasons, key=lambda reason: _PLACES[reason.code])


def told(reasons: Sequence[Reason], left_out: int = 0) -> tuple[Sequence[Reason], int]:
    """Return the reasons that are told, in their order, and how many are not."""
    shown = in_order(reasons)[:REASONS_MOST]
    return shown, len(reasons) - len(shown) + left_out


def call(method: Method, *parts: object, body: Mapping[str, Json] | None = None) -> Fix:
    """Return a call of the API at a path of these parts."""
    return Fix(method, "/v1/" + "/".join(quote(str(part), safe="") for part in parts), body or {})
