"""Expressions: what stands in the `{{...}}` of a text, and how it is read."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from app.domain.json_texts import Json

Segment = str | int
"""One step of a path: a name, or an index into a list (from the end if negative)."""
Path = tuple[Segment, ...]

_CACHED_LENGTH_MOST = 4096
_LITERAL_DEPTH_MOST = 32
_NUMBER_LENGTH_MOST = 300

_QUOTE = r"""'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+\""""
_QUOTED = re.compile(_QUOTE, re.DOTALL)
_ESCAPE = re.compile(r"""\\([\\'"/ntr])""")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_BLANKS = re.compile(r"\s*+")
_NAME = re.compile(r"\w[\w-]*+")
_STEP = re.compile(rf"\.(?P<name>[\w-]++)|\[\s*+(?:(?P<index>-?[0-9]{{1,9}}+)|(?P<key>{_QUOTE}))\s*+\]", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+(?![\w.\[-])")
_CONSTANT = re.compile(r"(?:true|false|null|True|False|None)(?![\w.\[-])")
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_INTEGER = re.compile(r"[+-]?[0-9]++")
_NUMERIC = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+")
_RANGE = re.compile(r"range\s*+\(")
_DEFAULT = re.compile(r"\|\s*+default\s*+\(")
_OTHER = re.compile(r"\{\{((?:[^{}]++|\{(?!\{)|\}(?!\}))*+)\}\}")

T = TypeVar("T")
Read = tuple[T, int] | None  # what was read and where it ends; None: it is not there


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written down in an expression."""

    value: Json


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


def parse_template(text: str) -> tuple[str | Expression, ...]:
    """Return `text` cut into plain texts and expressions, in order; an unclosed `{{` is plain."""
    if "{{" not in text:
        return (text,) if text else ()
    return _cut_cached(text) if len(text) <= _CACHED_LENGTH_MOST else _cut(text)


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


def read_literal(text: str, at: int, depth: int = 0) -> Read[Json]:
    """Read a value as JSON writes it; texts also in single quotes, constants also as Python writes them."""
    if quoted := _QUOTED.match(text, at):
        return unquote(quoted[0]), quoted.end()
    if number := _NUMBER.match(text, at):
        value = parse_number(number[0])
        return None if value is None else (value, number.end())
    if constant := _CONSTANT.match(text, at):
        return _CONSTANTS[constant[0]], constant.end()
    if text.startswith("[", at) and depth < _LITERAL_DEPTH_MOST:
        return _read_list(text, at + 1, "]", lambda text, at: read_literal(text, at, depth + 1))
    if text.startswith("{", at) and depth < _LITERAL_DEPTH_MOST:
        members = _read_list(text, at + 1, "}", lambda text, at: _read_member(text, at, depth + 1))
        return members and (dict(members[0]), members[1])
    return None


def _read_member(text: str, at: int, depth: int) -> Read[tuple[str, Json]]:
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
    if len(text) > _NUMBER_LENGTH_MOST or not _NUMERIC.fullmatch(text):
        return None
    number = int(text) if _INTEGER.fullmatch(text) else float(text)
    return number if math.isfinite(number) else None


def paths_in(value: Json) -> Iterator[Path]:
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


def names_read(value: Json, member: str | None = None) -> list[str]:
    """Return the names that the templates in ``value`` read, or read ``member`` of."""
    paths = [path[1:] if path[0] == "results" and len(path) > 1 else path for path in paths_in(value)]
    return [str(path[0]) for path in paths if member is None or path[1:2] == (member,)]
