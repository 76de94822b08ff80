"""What the options of `milepost exec` mean, and what is wrong with them."""

import json
import math
import re
from pathlib import PurePosixPath
from typing import Any

NAME = re.compile(r"[a-z](?:_?[a-z0-9])*_?", re.ASCII)
VERSION = re.compile(r"_?(?:[a-zA-Z0-9.-]_?)*", re.ASCII)
QUEUE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
MONITOR = re.compile(r"[a-z](?:_?[a-z0-9.-])*_?", re.ASCII)
NAME_MOST, VERSION_MOST, QUEUE_MOST, TAG_KEY_MOST = 200, 100, 100, 100
NUMBER_MOST = 1e300
DEPTH_MOST = 50
"""How deep an input may be nested and still be taken for JSON."""


def name_of(command: str) -> str:
    """Return the workflow name that a command stands for: that of its file, made to fit the rule."""
    plain = re.sub(r"[^a-z0-9]+", "_", PurePosixPath(command).name.lower()).strip("_")
    if not plain:
        return "job"
    return (plain if plain[0].isalpha() else f"job_{plain}")[:NAME_MOST]


def check_names(name: str, version: str, queue: str, monitor: str | None) -> None:
    """Raise ValueError for what the service would refuse."""
    for option, text, pattern, most in (
        ("name", name, NAME, NAME_MOST),
        ("version", version, VERSION, VERSION_MOST),
        ("queue", queue, QUEUE, QUEUE_MOST),
        ("monitor", monitor, MONITOR, NAME_MOST),
    ):
        if text is not None and not (0 < len(text) <= most and pattern.fullmatch(text)):
            raise ValueError(
                f"--{option}: {text!r} does not match {pattern.pattern}, or has more than {most} characters"
            )


def check_seconds(**given: float | None) -> None:
    """Raise ValueError for what is no number: it lies beyond no limit either."""
    for option, seconds in given.items():
        if seconds is not None and math.isnan(seconds):
            raise ValueError(f"--{option}: {seconds} is no number of seconds")


def read_tags(given: list[str]) -> dict[str, str]:
    """Return tags. Raises ValueError."""
    tags = dict(_split("tag", text) for text in given)
    for key in tags:
        if len(key) > TAG_KEY_MOST:
            raise ValueError(f"--tag: {key!r} has more than {TAG_KEY_MOST} characters")
    return tags


def read_inputs(given: list[str]) -> dict[str, Any]:
    """Return inputs: JSON where a value is that, else text. Raises ValueError."""
    return {key: _read_value(text) for key, text in (_split("input", text) for text in given)}


def _split(option: str, text: str) -> tuple[str, str]:
    key, sign, value = clean(text).partition("=")
    if not sign or not key:
        raise ValueError(f"--{option}: {text!r} is not KEY=VALUE")
    return key, value


def clean(text: str) -> str:
    """Return what came as an argument without bytes that are no text."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _read_value(text: str) -> Any:
    """Return the JSON that ``text`` is, or ``text`` where it is none that the service takes."""
    try:
        value = json.loads(text, parse_constant=_refuse)
        return value if _is_storable(value, DEPTH_MOST) else text
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_storable(value: Any, depth: int) -> bool:
    match value:
        case str():
            return "\0" not in value and not re.search(r"[\ud800-\udfff]", value)
        case int() | float():
            return abs(value) < NUMBER_MOST
        case list():
            return depth > 0 and all(_is_storable(each, depth - 1) for each in value)
        case dict():
            parts = (*value, *value.values())
            return depth > 0 and all(_is_storable(each, depth - 1) for each in parts)
    return True
