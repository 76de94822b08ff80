"""Templates: what the `{{...}}` in texts becomes in a context."""

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final, Protocol

from app.domain.highway.language.budgets import current_budget, measure
from app.domain.highway.language.expressions import (
    Expression,
    Literal,
    Path,
    Range,
    Segment,
    parse_number,
    parse_template,
)
from app.domain.json_texts import Json
from app.domain.json_values import find_unstorable

RANGE_LENGTH_MOST = 100_000
RESOLVED_LENGTH_MOST = 16 * 1024 * 1024
"""Characters of JSON that the templates of one value may become together; the rest of them stays as written."""

_EMBEDDED_COST = 2
"""What becomes text is written at one go, and kept."""
_CHARACTERS_AN_ELEMENT = 64
"""Of texts that are JSON, which is read once for all that look into it."""
_INDEX = re.compile(r"-?[0-9]{1,9}")
_JSON_START = re.compile(r"\s*+[\[{]")


class Context(Protocol):
    """Where templates find their values."""

    def find(self, path: Sequence[Segment]) -> tuple[Json, int] | None:
        """Return the value that the first segments of `path` name and how many those were; None: there is none."""


class _Unknown(Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""No value: the path leads nowhere. null is a value."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value with its templates replaced."""

    value: Json
    unresolved: tuple[str, ...] = ()
    """Expressions without a value, trimmed, each once, in the order of the text."""


def resolve(value: Json, context: Context) -> Resolved:
    """Return `value` with the templates in all its texts replaced, through lists and the values of objects.

    A text that is one template and nothing else takes the native value; within a text a value becomes text. What has no
    value stays as written. Nothing is resolved twice. The result shares its parts with the context: do not change it.
    """
    resolving = _Resolving(context)
    return Resolved(resolving.resolve_value(value), tuple(resolving.unresolved))


def look_up(expression: str, context: Context) -> Json:
    """Return the value of an expression (what stands between the braces, or a bare path), or UNKNOWN."""
    match parse_template("{{" + expression + "}}"):
        case (Expression() as parsed,):
            return value_of(parsed, context)
    return UNKNOWN


def as_text(value: Json) -> str:
    """Return how `value` is embedded in a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def value_of(expression: Expression, context: Context) -> Json:
    """Return the value of a parsed expression, or UNKNOWN."""
    match expression.source:
        case None:
            return UNKNOWN
        case Range(bounds):
            value = _count_up([_operand(bound, context) for bound in bounds])
        case path:
            value = follow(path, context)
    for default in expression.defaults:
        if value is UNKNOWN:
            value = _operand(default, context)
    return value


def follow(path: Path, context: Context) -> Json:
    """Return the value at the end of `path`, or UNKNOWN."""
    value, known = context.find(path) or (UNKNOWN, len(path))
    for position in range(known, len(path)):
        value = _step(value, path[position], last=position == len(path) - 1)
    return value


def _operand(operand: Literal | Path, context: Context) -> Json:
    # A copy, because the parsed expression is kept and its values would be shared by everybody.
    return deepcopy(operand.value) if isinstance(operand, Literal) else follow(operand, context)


def _step(value: Json, segment: Segment, *, last: bool) -> Json:
    inside = read_json(value) if isinstance(value, str) else value
    match inside:
        case dict() if segment in inside:
            return inside[segment]
        case list() if (index := _list_index(segment)) is not None:
            return inside[index] if -len(inside) <= index < len(inside) else UNKNOWN
        case dict() | list() | str() if last and segment == "length":
            return len(inside)
    return UNKNOWN


def _list_index(segment: Segment) -> int | None:
    return int(segment) if isinstance(segment, int) or _INDEX.fullmatch(segment) else None


def read_json(text: str) -> Json:
    """Return the object or list that `text` is the JSON of, else `text` itself. Raises BudgetSpentError."""
    if not _JSON_START.match(text):
        return text
    current_budget().take_elements(1 + len(text) // _CHARACTERS_AN_ELEMENT)
    return _read_json_cached(text)


@lru_cache(maxsize=16)
def _read_json_cached(text: str) -> Json:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if find_unstorable(value) is None else text


def _count_up(bounds: Sequence[Json]) -> Json:
    start, end = (_whole_number(bound) for bound in (0, *bounds)[-2:])
    # Not len() of the range, which cannot hold any length.
    if start is None or end is None or end - start > RANGE_LENGTH_MOST:
        return UNKNOWN
    current_budget().take_elements(max(0, end - start))
    return list(range(start, end))


def _whole_number(value: Json) -> int | None:
    number = parse_number(value.strip()) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number % 1:
        return None
    return int(number)


@dataclass(slots=True)
class _Resolving:
    """One call of `resolve`: each expression is looked up once, and all of them together have a limited size."""

    context: Context
    room: int = RESOLVED_LENGTH_MOST
    known: dict[str, tuple[Json, int]] = field(default_factory=dict)
    """Values and how many characters each takes at least, by expression."""
    unresolved: dict[str, None] = field(default_factory=dict)

    def resolve_value(self, value: Json) -> Json:
        match value:
            case str():
                return self.resolve_text(value)
            case dict():
                return {key: self.resolve_value(member) for key, member in value.items()}
            case list():
                return [self.resolve_value(member) for member in value]
        return value

    def resolve_text(self, text: str) -> Json:
        current_budget().take_characters(len(text))
        match parse_template(text):
            case (Expression() as whole,):
                value = self.find(whole)
                return text if value is UNKNOWN else value
            case pieces:
                return "".join(piece if isinstance(piece, str) else self.embed(piece) for piece in pieces)

    def embed(self, expression: Expression) -> str:
        """Return its value as text, or itself as it is written."""
        value = self.find(expression)
        if value is UNKNOWN:
            return expression.raw
        # Counted again: it is written out here, and not only named.
        current_budget().take_characters(_EMBEDDED_COST * self.known[expression.text][1])
        return as_text(value)

    def find(self, expression: Expression) -> Json:
        """Return its value; UNKNOWN if it has none, or there is no room left for it."""
        name = expression.text
        if name not in self.known:
            value = value_of(expression, self.context)
            self.known[name] = (value, 0 if value is UNKNOWN else measure(value))
        else:
            current_budget().take_characters(self.known[name][1])
        value, size = self.known[name]
        if value is UNKNOWN or size > self.room:
            current_budget().take_characters(len(name))
            self.unresolved[name] = None
            return UNKNOWN
        self.room -= size
        return value
