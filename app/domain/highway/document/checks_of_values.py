"""What checks of a document are built from: a check takes a value and its place, and says what is wrong with it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from math import inf

from pydantic import TypeAdapter, ValidationError

from app.domain.highway.document.findings import Finding
from app.domain.json_texts import Json
from app.domain.json_values import escape_pointer
from milepost.schemas.tasks import TEN_YEARS_SECONDS
from milepost.schemas.wire import WorkflowName, WorkflowVersion

Check = Callable[[Json, str], Iterable[Finding]]
"""Takes a value that is not null and its JSON pointer."""

COUNT_MOST = 2_147_483_647
_SHOWN_MOST = 100
_SHOWN_BITS_MOST = 300
_COMPARED_MOST = 60
"""Names longer than this are no misspelling of a known one."""
_STEP_ID_MOST = 200
_PATH_MARKS = ".[]#"
"""What separates the parts of a step's path."""

_NAME_WANTED = "lower-case letters, digits and single underscores, beginning with a letter, at most 200"
_NAME = TypeAdapter[str](WorkflowName)
_VERSION = TypeAdapter[str](WorkflowVersion)


def show(value: Json) -> str:
    """Return a value as it may stand in a message: at most about 100 characters, containers by their kind."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return json.dumps(cut(value), ensure_ascii=False)
        case int() if value.bit_length() > _SHOWN_BITS_MOST:
            return "a very large number"
        case _:
            return json.dumps(value)


def cut(text: str, length: int = _SHOWN_MOST) -> str:
    """Return the beginning of a text that is too long to be repeated."""
    return text if len(text) <= length else text[:length] + "..."


def must_be(wanted: str, test: Callable[[Json], bool], code: str = "bad_value") -> Check:
    """Return a check that a value passes ``test``; ``wanted`` says in words what would be right."""

    def check(value: Json, pointer: str) -> Iterable[Finding]:
        return () if test(value) else (Finding(code, pointer, f"must be {wanted}, not {show(value)}"),)

    return check


def one_of(*allowed: str) -> Check:
    """Return a check that a value is one of these texts."""
    return must_be(f"one of {', '.join(allowed)}", lambda value: isinstance(value, str) and value in allowed)


def whole_number(least: int, most: int = COUNT_MOST) -> Check:
    """Return a check for an integer in a range, both ends included."""
    return must_be(
        f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most
    )


def number_above(least: float, most: float) -> Check:
    """Return a check for a finite number greater than ``least`` and at most ``most``."""
    return must_be(
        f"a number above {least} and at most {most}", lambda value: is_number(value) and least < value <= most
    )


def list_of(check: Check, wanted: str) -> Check:
    """Return a check for a list whose items all pass ``check``."""

    def check_list(value: Json, pointer: str) -> Iterator[Finding]:
        if not isinstance(value, list):
            yield Finding("bad_value", pointer, f"must be a list of {wanted}, not {show(value)}")
            return
        for index, item in enumerate(value):
            yield from check(item, f"{pointer}/{index}")

    return check_list


def object_of(check: Check, wanted: str, check_name: Check | None = None) -> Check:
    """Return a check for an object of any names, whose names pass ``check_name`` and whose values pass ``check``."""

    def check_object(value: Json, pointer: str) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield Finding("bad_value", pointer, f"must be an object of {wanted}, not {show(value)}")
            return
        for name, member in value.items():
            place = f"{pointer}/{escape_pointer(name)}"
            if check_name:
                yield from check_name(name, place)
            yield from check(member, place)

    return check_object


def object_with(fields: Mapping[str, Check], required: Mapping[str, str] | None = None) -> Check:
    """Return a check for an object of these members; ``required`` names the code for each that may not be absent."""

    def check_object(value: Json, pointer: str) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield Finding("bad_value", pointer, f"must be an object, not {show(value)}")
            return
        yield from check_members(value, pointer, fields, required or {})

    return check_object


def check_members(
    value: Mapping[str, Json], pointer: str, fields: Mapping[str, Check], required: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what is wrong with the members of an object; null is the same as absent, as in the hash."""
    for name, code in required.items():
        if value.get(name) is None:
            yield Finding(code, f"{pointer}/{name}", f"{name} is missing")
    for name, member in value.items():
        if member is None:
            continue
        if check := fields.get(name):
            yield from check(member, f"{pointer}/{name}")
        else:
            detail = _explain_unknown(str(name)[: _COMPARED_MOST + 1], tuple(fields))
            yield Finding("bad_value", f"{pointer}/{escape_pointer(name)}", detail)


@lru_cache(maxsize=1000)
def _explain_unknown(name: str, known: tuple[str, ...]) -> str:
    if len(name) <= _COMPARED_MOST and (near := get_close_matches(name, known, n=1)):
        return f"is not known here; {near[0]} is the nearest known name"
    return "is not known here"


def is_number(value: Json) -> bool:
    """Return whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -inf < value < inf


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_filled(value: Json) -> bool:
    return isinstance(value, str) and not (not value or value.isspace())


def _is_step_id(value: Json) -> bool:
    return _is_filled(value) and len(value) <= _STEP_ID_MOST and not any(mark in value for mark in _PATH_MARKS)


def _is_valid(adapter: TypeAdapter[str], value: Json) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def check_anything(_value: Json, _pointer: str) -> Iterable[Finding]:
    """Find nothing: any value is right, or it is looked at elsewhere."""
    return ()


check_text = must_be("a text", _is_text)
check_filled_text = must_be("a text that is not blank", _is_filled)
check_flag = must_be("true or false", lambda value: isinstance(value, bool))
check_object = must_be("an object", lambda value: isinstance(value, dict))
check_seconds = whole_number(1, TEN_YEARS_SECONDS)
check_texts = list_of(check_text, "texts")
check_step_id = must_be(
    f"a text of 1 to {_STEP_ID_MOST} characters, not blank, without any of {' '.join(_PATH_MARKS)}",
    _is_step_id,
    "bad_name",
)
check_workflow_name = must_be(_NAME_WANTED, lambda value: _is_valid(_NAME, value), "bad_name")
check_other_workflow = must_be(f"the name of a workflow: {_NAME_WANTED}", lambda value: _is_valid(_NAME, value))
_check_version_text = must_be(
    "letters, digits, dots, dashes and single underscores, at most 100",
    lambda value: _is_valid(_VERSION, value),
    "bad_name",
)


def check_workflow_version(value: Json, pointer: str) -> Iterable[Finding]:
    """Find a version that is no valid text, in particular one without quotes, which YAML reads as a number."""
    if is_number(value):
        return (Finding("bad_name", pointer, f'must be a text, not the number {show(value)}; quote it, as in "2.0.0"'),)
    return _check_version_text(value, pointer)
