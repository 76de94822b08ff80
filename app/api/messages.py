"""What is said of a value that pydantic does not take: in the words of JSON and HTTP, never with the value itself."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from milepost.schemas.wire import NAME_PATTERNS

_OTHERWISE = "cannot be accepted"
Context = Mapping[str, Any]


def _bound(words: str, key: str) -> Callable[[Context], str]:
    """Return a message that ends with a bound, which is written without a fraction that it does not have."""

    def write(context: Context) -> str:
        bound = context[key]
        return f"{words} {int(bound) if float(bound).is_integer() else bound}"

    return write


def _least(unit: str) -> Callable[[Context], str]:
    def write(context: Context) -> str:
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} {unit}"

    return write


def _pattern(context: Context) -> str:
    pattern = context["pattern"]
    return f"must be {NAME_PATTERNS[pattern]}" if pattern in NAME_PATTERNS else f"must match the pattern {pattern}"


def _choice(context: Context) -> str:
    choices = re.findall(r"'([^']*)'", context["expected"])
    return f"must be {choices[0]}" if len(choices) == 1 else f"must be one of {', '.join(choices)}"


_MESSAGES: Mapping[str, str | Callable[[Context], str]] = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "too_short": _least("items"),
    "too_long": _bound("must not have more items than", "max_length"),
    "string_type": "must be a text",
    "string_unicode": "must be a text in UTF-8",
    "string_too_short": _least("characters"),
    "string_too_long": lambda context: f"must be at most {context['max_length']} characters long",
    "string_pattern_mismatch": _pattern,
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is an integer with too many digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": _bound("must be more than", "gt"),
    "greater_than_equal": _bound("must be at least", "ge"),
    "less_than": _bound("must be less than", "lt"),
    "less_than_equal": _bound("must be at most", "le"),
    "enum": _choice,
    "literal_error": _choice,
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "value_error": lambda context: str(context["error"]),
}
"""What is wrong, by the type of pydantic's error."""


def explain(kind: str, context: Context | None) -> str:
    """Return what is wrong with a value, by pydantic's type and context of the error."""
    message = _MESSAGES.get(kind, _OTHERWISE)
    return message if isinstance(message, str) else message(context or {})
