"""Texts of definitions: read safely as YAML or JSON, written as YAML, and brought into the one form that is hashed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any, Protocol

import yaml

from app.domain.json_texts import Json, JsonValue
from app.domain.json_values import DEPTH_MOST, find_unstorable

VERSION = "2.0.0"
"""Of a document that has none, as highway_dsl says."""
_COPIES_MOST = 100_000
_CHARACTERS_A_COPY = 10
"""All aliases of one document may stand for so many parts, a text counting as one for every ten characters.

Otherwise a few lines could become gigabytes.
"""
_SHOWN_MOST = 100

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_DUMPER: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_TAG = "tag:yaml.org,2002:"


class Mark(Protocol):
    """Where something stands in a text: as either of the two parsers, in C and in Python, says it."""

    @property
    def line(self) -> int:
        """Return its line, from 0."""

    @property
    def column(self) -> int:
        """Return its column, from 0."""


class DocumentUnreadable(ValueError):
    """A text is not one YAML or JSON document that can be kept; says why, with line and column where they are known."""


def read_yaml(text: str) -> Json:
    """Return the JSON value that a YAML text means, as highway-dsl's own reader would, but safely.

    Times stay the texts that they are written as, scalar keys become texts as in JSON, aliases become copies.
    Refused are tags, merge keys, keys that stand twice, NaN and infinities, NUL, more than one document, and what is
    nested deeper than 64 levels or grows too large by its aliases. Raises DocumentUnreadable. Source: YAML 1.1.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except UnicodeEncodeError:
        raise DocumentUnreadable("the text holds half of a surrogate pair, which is not a character") from None
    except yaml.reader.ReaderError as error:
        raise DocumentUnreadable(f"the text holds a character that YAML does not allow: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        raise _refuse(error.problem or "this is not YAML", error.problem_mark) from None
    if not builder.has_root:
        raise DocumentUnreadable("the text holds no document")
    return builder.root


def read_json(text: str) -> Json:
    """Return the JSON value of a text; names that stand twice in an object are refused. Raises DocumentUnreadable."""
    try:
        value = json.loads(text, object_pairs_hook=_read_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DocumentUnreadable(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise DocumentUnreadable(f"the document is nested deeper than {DEPTH_MOST} levels") from None
    except DocumentUnreadable:
        raise
    except ValueError:
        raise DocumentUnreadable("the document holds a number with too many digits to be kept") from None
    if found := find_unstorable(value):
        pointer, reason = found
        raise DocumentUnreadable(f"what stands at {_show(pointer)} {reason}")
    return value


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Writes equal parts in full, each time."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that no part is written as an alias of another."""
        del data
        return True


def write_yaml(document: Mapping[str, Json]) -> str:
    """Return a YAML text that is read as ``document`` again, its members in their order."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def canonical_json(document: Json) -> bytes:
    """Return one JSON text for all exports of a workflow.

    Keys are sorted, those whose value is null are left out, there are no blanks, and the text is UTF-8.
    """
    text = json.dumps(
        _without_nulls(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def definition_hash(document: Json) -> str:
    """Return the SHA-256 of the canonical JSON as 64 hexadecimal digits."""
    return sha256(canonical_json(document)).hexdigest()


def _without_nulls(value: Json) -> Json:
    match value:
        case dict():
            return {key: _without_nulls(member) for key, member in value.items() if member is not None}
        case list():
            return [_without_nulls(item) for item in value]
        case _:
            return value


def _read_object(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for key, member in pairs:
        if key in members:
            raise DocumentUnreadable(f"the name {_show(key)} stands twice in one object")
        members[key] = member
    return members


def _refuse_constant(name: str) -> Json:
    raise DocumentUnreadable(f"{name} is not JSON")


def _refuse(reason: str, mark: Mark | None) -> DocumentUnreadable:
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return DocumentUnreadable(place + reason)


def _show(text: str) -> str:
    return json.dumps(text if len(text) <= _SHOWN_MOST else text[:_SHOWN_MOST] + "...")


@dataclass(slots=True)
class _Open:
    """A list or an object whose end was not yet read."""

    members: Json
    anchor: str | None
    key: str | None = None
    """The key whose value comes next."""


class _Builder:
    """Makes a value from the events of a YAML parser, without recursion and without the parser's own types."""

    def __init__(self) -> None:
        self.root: Json = None
        self.has_root = False
        self._has_begun = False
        self._open: list[_Open] = []
        self._anchors: dict[str, Json] = {}
        self._copies = 0

    def take(self, event: yaml.Event) -> None:
        """Add what one event brings. Raises DocumentUnreadable."""
        match event:
            case yaml.ScalarEvent():
                self._take_scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open_members(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self._open.pop()
                self._add(closed.members, closed.anchor)
            case yaml.AliasEvent():
                self._take_alias(event)
            case yaml.DocumentStartEvent() if self._has_begun:
                raise _refuse("a second document begins here; one is expected", event.start_mark)
            case yaml.DocumentStartEvent():
                self._has_begun = True
            case _:
                pass

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        _refuse_tag(event)
        is_plain = event.implicit[0]
        if not self._open and is_plain and not event.value:
            return
        value = _read_plain(event) if is_plain else _check_text(event)
        if not self._expects_key():
            self._add(value, event.anchor)
            return
        if is_plain and event.value in {"", "<<"}:
            reason = "merge keys are not taken; write the members out" if event.value else "a key is missing"
            raise _refuse(reason, event.start_mark)
        self._set_key(value, event)
        if event.anchor:
            self._anchors[event.anchor] = value

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        anchor = event.anchor or ""
        if anchor not in self._anchors:
            reason = f"the alias {_show(anchor)} has no anchor before it that is complete"
            raise _refuse(reason, event.start_mark)
        value = self._copy(self._anchors[anchor], event.start_mark, len(self._open))
        if self._expects_key():
            self._set_key(value, event)
        else:
            self._add(value, None)

    def _open_members(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        _refuse_tag(event)
        if self._expects_key():
            raise _refuse("a key must be a text", event.start_mark)
        if len(self._open) >= DEPTH_MOST:
            raise _refuse(f"the document is nested deeper than {DEPTH_MOST} levels", event.start_mark)
        members: Json = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(members, event.anchor))

    def _expects_key(self) -> bool:
        return bool(self._open) and self._open[-1].key is None and isinstance(self._open[-1].members, dict)

    def _set_key(self, value: JsonValue, event: yaml.Event) -> None:
        if isinstance(value, dict | list):
            raise _refuse("a key must be a text", event.start_mark)
        key = value if isinstance(value, str) else json.dumps(value)
        if key in self._open[-1].members:
            raise _refuse(f"the key {_show(key)} stands twice in one object", event.start_mark)
        self._open[-1].key = key

    def _add(self, value: Json, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = value
        if not self._open:
            self.root = value
            self.has_root = True
            return
        parent = self._open[-1]
        if parent.key is None:
            parent.members.append(value)
        else:
            parent.members[parent.key] = value
            parent.key = None

    def _copy(self, value: JsonValue, mark: Mark | None, depth: int) -> JsonValue:
        self._count_copy(value, mark)
        if not isinstance(value, dict | list):
            return value
        if depth >= DEPTH_MOST:
            raise _refuse(f"the document is nested deeper than {DEPTH_MOST} levels", mark)
        if isinstance(value, list):
            return [self._copy(item, mark, depth + 1) for item in value]
        members = {}
        for key, member in value.items():
            self._count_copy(key, mark)
            members[key] = self._copy(member, mark, depth + 1)
        return members

    def _count_copy(self, value: JsonValue, mark: Mark | None) -> None:
        self._copies += 1 + (len(value) // _CHARACTERS_A_COPY if isinstance(value, str) else 0)
        if self._copies > _COPIES_MOST:
            raise _refuse(f"the aliases stand for more than {_COPIES_MOST} parts", mark)


def _refuse_tag(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
    if event.tag is not None:
        raise _refuse(f"the tag {_show(event.tag)} is not taken; write the value without it", event.start_mark)


def _check_text(event: yaml.ScalarEvent) -> str:
    text: str = event.value
    if "\0" in text:
        raise _refuse("the text contains the character NUL, which cannot be kept", event.start_mark)
    try:
        text.encode()
    except UnicodeEncodeError:
        reason = "the text contains half of a surrogate pair, which is not a character"
        raise _refuse(reason, event.start_mark) from None
    return text


def _read_plain(event: yaml.ScalarEvent) -> bool | float | str | None:
    """Return what a text without quotes means: null, true, false, a number, or the text."""
    text = _check_text(event)
    match _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return _CONSTRUCTOR.bool_values[text.lower()]
        case "int" | "float" as kind if ":" not in text:
            # 10:30 would be 630 by YAML 1.1, which nobody means by it.
            return _read_number(text, kind, event)
        case _:
            return text


def _read_number(text: str, kind: str, event: yaml.ScalarEvent) -> float:
    node = yaml.ScalarNode(_TAG + kind, text)
    try:
        number: int | float = getattr(_CONSTRUCTOR, f"construct_yaml_{kind}")(node)
        str(number)
    except (ValueError, OverflowError):
        raise _refuse(f"{_show(text)} is not a number that can be kept; quote it", event.start_mark) from None
    if isinstance(number, float) and not isfinite(number):
        raise _refuse(f"{_show(text)} is not a number that JSON has", event.start_mark)
    return number
