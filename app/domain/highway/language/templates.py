"""Templates: the `{{...}}` in a text, how they are read, and what they become in a context."""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from app.domain.highway.language.budgets import current_budget, measure
from app.domain.json_values import find_unstorable

Segment = str | int
"""One step of a path: a name, or an index into a list (from the end if negative)."""
Path = tuple[Segment, ...]

RANGE_LENGTH_MAX = 100_000
RESOLVED_LENGTH_MAX = 16 * 1024 * 1024
"""Characters of JSON that the templates of one value may become together; the rest of them stays as written."""

_EMBEDDED_COST = 2
"""What becomes text is written at one go, and kept."""
_CACHED_LENGTH_MAX = 4096
_CHARACTERS_AN_ELEMENT = 64
"""Of texts that are JSON, which is read once for all that look into it."""
_LITERAL_DEPTH_MAX = 32
_NUMBER_LENGTH_MAX = 300

_QUOTE = r"""'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+\""""
_QUOTED = re.compile(_QUOTE, re.DOTALL)
_ESCAPE = re.compile(r"""\\([\\'"/ntr])""")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_BLANKS = re.compile(r"\s*+")
_NAME = re.compile(r"\w[\w-]*+")
_STEP = re.compile(rf"\.(?P<name>[\w-]++)|\[\s*+(?:(?P<index>-?[0-9]{{1,9}}+)|(?P<key>{_QUOTE}))\s*+\]", re.DOTALL)
_INDEX = re.compile(r"-?[0-9]{1,9}")
_NUMBER = re.compile(r"-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+(?![\w.\[-])")
_CONSTANT = re.compile(r"(?:true|false|null|True|False|None)(?![\w.\[-])")
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_INTEGER = re.compile(r"[+-]?[0-9]++")
_NUMERIC = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+")
_RANGE = re.compile(r"range\s*+\(")
_DEFAULT = re.compile(r"\|\s*+default\s*+\(")
_OTHER = re.compile(r"\{\{((?:[^{}]++|\{(?!\{)|\}(?!\}))*+)\}\}")
_JSON_START = re.compile(r"\s*+[\[{]")

T = TypeVar("T")
Read = tuple[T, int] | None  # what was read and where it ends; None: it is not there


class Context(Protocol):
    """Where templates find their values."""

    def find(self, path: Sequence[Segment]) -> tuple[Any, int] | None:
        """Return the value that the first segments of `path` name and how many those were; None: there is none."""


class _Unknown(Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""No value: the path leads nowhere. null is a value."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value with its templates replaced."""

    value: Any
    unresolved: tuple[str, ...] = ()
    """Expressions without a value, trimmed, each once, in the order of the text."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written down in an expression."""

    value: Any


@dataclass(frozen=True, slots=True)
class Range:
    """`range(end)` or `range(start, end)`."""

    bounds: tuple[Literal | Path, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands between two pairs of braces."""

    raw: str  # with its braces, as written
    source: Path | Range | None  # None: it is no valid expression, so it has no value
    defaults: tuple[Literal | Path, ...] = ()

    @property
    def text(self) -> str:
        """What stands between the braces, trimmed."""
        return self.raw[2:-2].strip()

    @property
    def paths(self) -> Iterator[Path]:
        """The paths that it reads before any default."""
        operands = self.source.bounds if isinstance(self.source, Range) else (self.source,)
        return (operand for operand in operands if isinstance(operand, tuple))


def resolve(value: Any, context: Context) -> Resolved:
    """Return `value` with the templates in all its texts replaced, through lists and the values of objects.

    A text that is one template and nothing else takes the native value; within a text a value becomes text. What has no
    value stays as written. Nothing is resolved twice. The result shares its parts with the context: do not change it.
    """
    resolving = _Resolving(context)
    return Resolved(resolving.resolve_value(value), tuple(resolving.unresolved))


def look_up(expression: str, context: Context) -> Any:
    """Return the value of an expression (what stands between the braces, or a bare path), or UNKNOWN."""
    match parse_template("{{" + expression + "}}"):
        case (Expression() as parsed,):
            return value_of(parsed, context)
    return UNKNOWN


def paths_in(value: Any) -> Iterator[Path]:
    """Yield the paths that the templates in `value` read, those of defaults left out."""
    if isinstance(value, str):
        for piece in parse_template(value):
            if isinstance(piece, Expression):
                yield from piece.paths
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from paths_in(member)


def has_template(text: str) -> bool:
    """Return whether there is any `{{...}}` in `text`, be it a valid expression or not."""
    return any(isinstance(piece, Expression) for piece in parse_template(text))


def whole_template(text: str) -> str | None:
    """Return what stands between the braces, trimmed, if `text` is one template and nothing else but blanks around."""
    match parse_template(text.strip()):
        case (Expression() as expression,):
            return expression.text
    return None


def as_text(value: Any) -> str:
    """Return how `value` is embedded in a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def value_of(expression: Expression, context: Context) -> Any:
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


def follow(path: Path, context: Context) -> Any:
    """Return the value at the end of `path`, or UNKNOWN."""
    value, known = context.find(path) or (UNKNOWN, len(path))
    for position in range(known, len(path)):
        value = _step(value, path[position], last=position == len(path) - 1)
    return value


def _operand(operand: Literal | Path, context: Context) -> Any:
    # A copy, because the parsed expression is kept and its values would be shared by everybody.
    return deepcopy(operand.value) if isinstance(operand, Literal) else follow(operand, context)


def _step(value: Any, segment: Segment, *, last: bool) -> Any:
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


def read_json(text: str) -> Any:
    """Return the object or list that `text` is the JSON of, else `text` itself. Raises BudgetSpentError."""
    if not _JSON_START.match(text):
        return text
    current_budget().take_elements(1 + len(text) // _CHARACTERS_AN_ELEMENT)
    return _read_json_cached(text)


@lru_cache(maxsize=16)
def _read_json_cached(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if find_unstorable(value) is None else text


def _count_up(bounds: Sequence[Any]) -> Any:
    start, end = (_whole_number(bound) for bound in (0, *bounds)[-2:])
    # Not len() of the range, which cannot hold any length.
    if start is None or end is None or end - start > RANGE_LENGTH_MAX:
        return UNKNOWN
    current_budget().take_elements(max(0, end - start))
    return list(range(start, end))


def _whole_number(value: Any) -> int | None:
    number = parse_number(value.strip()) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number % 1:
        return None
    return int(number)


@dataclass(slots=True)
class _Resolving:
    """One call of `resolve`: each expression is looked up once, and all of them together have a limited size."""

    context: Context
    room: int = RESOLVED_LENGTH_MAX
    known: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """Values and how many characters each takes at least, by expression."""
    unresolved: dict[str, None] = field(default_factory=dict)

    def resolve_value(self, value: Any) -> Any:
        match value:
            case str():
                return self.resolve_text(value)
            case dict():
                return {key: self.resolve_value(member) for key, member in value.items()}
            case list():
                return [self.resolve_value(member) for member in value]
        return value

    def resolve_text(self, text: str) -> Any:
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

    def find(self, expression: Expression) -> Any:
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


def parse_template(text: str) -> tuple[str | Expression, ...]:
    """Return `text` cut into plain texts and expressions, in order; an unclosed `{{` is plain."""
    if "{{" not in text:
        return (text,) if text else ()
    return _cut_cached(text) if len(text) <= _CACHED_LENGTH_MAX else _cut(text)


def _cut(text: str) -> tuple[str | Expression, ...]:
    pieces: list[str | Expression] = []
    done = 0
    at = text.find("{{")
    while at >= 0:
        read = read_template(text, at)
        if read:
            pieces += [text[done:at], read[0]]
            done = read[1]
        at = text.find("{{", done if read else at + 1)
    return tuple(piece for piece in [*pieces, text[done:]] if piece)


_cut_cached = lru_cache(maxsize=2048)(_cut)


def read_template(text: str, at: int) -> Read[Expression]:
    """Read one `{{...}}`; text between braces that is no expression is one without a source."""
    if text.startswith("{{{", at):
        return None  # of several braces in a row the last two count
    if text.startswith("{{", at) and (read := _read_expression(text, at + 2)):
        (source, defaults), end = read
        if text.startswith("}}", end):
            return Expression(text[at : end + 2], source, defaults), end + 2
    other = _OTHER.match(text, at)
    return (Expression(other[0], None), other.end()) if other else None


def _read_expression(text: str, at: int) -> Read[tuple[Path | Range, tuple[Literal | Path, ...]]]:
    source = _read_source(text, skip_blanks(text, at))
    if source is None:
        return None
    defaults: list[Literal | Path] = []
    at = skip_blanks(text, source[1])
    while opening := _DEFAULT.match(text, at):
        if (read := _read_list(text, opening.end(), ")", _read_operand)) is None or len(read[0]) != 1:
            return None
        defaults += read[0]
        at = skip_blanks(text, read[1])
    return (source[0], tuple(defaults)), at


def _read_source(text: str, at: int) -> Read[Path | Range]:
    if (opening := _RANGE.match(text, at)) is None:
        return read_path(text, at)
    read = _read_list(text, opening.end(), ")", _read_operand)
    return (Range(tuple(read[0])), read[1]) if read and len(read[0]) in {1, 2} else None


def _read_operand(text: str, at: int) -> Read[Literal | Path]:
    literal = read_literal(text, at)
    return (Literal(literal[0]), literal[1]) if literal else read_path(text, at)


def read_path(text: str, at: int) -> Read[Path]:
    """Read a path: a name, then any number of `.name`, `[0]` and `['key']`."""
    if (name := _NAME.match(text, at)) is None:
        return None
    segments: list[Segment] = [name[0]]
    at = name.end()
    while step := _STEP.match(text, at):
        if step["index"]:
            segments.append(int(step["index"]))
        else:
            segments.append(step["name"] or unquote(step["key"]))
        at = step.end()
    return tuple(segments), at


def read_literal(text: str, at: int, depth: int = 0) -> Read[Any]:
    """Read a value as JSON writes it; texts also in single quotes, constants also as Python writes them."""
    if quoted := _QUOTED.match(text, at):
        return unquote(quoted[0]), quoted.end()
    if number := _NUMBER.match(text, at):
        value = parse_number(number[0])
        return None if value is None else (value, number.end())
    if constant := _CONSTANT.match(text, at):
        return _CONSTANTS[constant[0]], constant.end()
    if text.startswith("[", at) and depth < _LITERAL_DEPTH_MAX:
        return _read_list(text, at + 1, "]", lambda text, at: read_literal(text, at, depth + 1))
    if text.startswith("{", at) and depth < _LITERAL_DEPTH_MAX:
        members = _read_list(text, at + 1, "}", lambda text, at: _read_member(text, at, depth + 1))
        return members and (dict(members[0]), members[1])
    return None


def _read_member(text: str, at: int, depth: int) -> Read[tuple[str, Any]]:
    if (key := _QUOTED.match(text, at)) is None:
        return None
    at = skip_blanks(text, key.end())
    if not text.startswith(":", at) or (value := read_literal(text, skip_blanks(text, at + 1), depth)) is None:
        return None
    return (unquote(key[0]), value[0]), value[1]


def _read_list(text: str, at: int, end: str, read_one: Callable[[str, int], Read[T]]) -> Read[list[T]]:
    """Read things with commas between them, up to and with `end`."""
    things: list[T] = []
    at = skip_blanks(text, at)
    while things or not text.startswith(end, at):
        if (read := read_one(text, at)) is None:
            return None
        things.append(read[0])
        at = skip_blanks(text, read[1])
        if text.startswith(end, at):
            break
        if not text.startswith(",", at):
            return None
        at = skip_blanks(text, at + 1)
    return things, at + len(end)


def skip_blanks(text: str, at: int) -> int:
    """Return where the next character that is no blank stands."""
    return blanks.end() if (blanks := _BLANKS.match(text, at)) else at


def unquote(quoted: str) -> str:
    r"""Return the text between quotes; `\n \t \r`, an escaped quote and slashes are read, other backslashes stay."""
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), quoted[1:-1])


def parse_number(text: str) -> int | float | None:
    """Return the number that a JSON number or numeric text stands for; None: it is none, or not finite."""
    if len(text) > _NUMBER_LENGTH_MAX or not _NUMERIC.fullmatch(text):
        return None
    number = int(text) if _INTEGER.fullmatch(text) else float(text)
    return number if math.isfinite(number) else None
