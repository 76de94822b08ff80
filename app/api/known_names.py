"""The names that are known at a place: what is said to somebody who sent another one."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from typing_extensions import TypeAliasType

_NAME_MAX_LENGTH = 100
"""Of a name that is compared with those that are known; a longer one is close to none of them."""


def describe_known(name: str, known: Sequence[str]) -> str:
    """Return which names are known, and which of them ``name`` may have been meant to be."""
    if not known:
        return "none is known"
    near = get_close_matches(name, known, n=1) if len(name) <= _NAME_MAX_LENGTH else []
    suggestion = f"did you mean {near[0]}? known are: " if near else "known are: "
    return suggestion + ", ".join(known)


def known_members(annotation: Any, body: Any, path: Sequence[str | int]) -> list[str] | None:
    """Return the members of the object at ``path`` in a body of this type; None where any may stand."""
    kinds = list(_plain(annotation))
    for part in path:
        kinds = [inner for kind in kinds for inner in _below(kind, body, part)]
        body = _member(body, part)
    models = [kind for kind in kinds if _is_model(kind) and _may_be(kind, body)]
    return list(dict.fromkeys(name for model in models for name in model.model_fields)) if models else None


def _plain(annotation: Any) -> Iterator[Any]:
    """Yield what a type may stand for: the types of a union, without what is written around them."""
    if isinstance(annotation, TypeAliasType):
        yield from _plain(annotation.__value__)
    elif get_origin(annotation) is Annotated:
        yield from _plain(get_args(annotation)[0])
    elif get_origin(annotation) in (list, dict) or not get_args(annotation):
        yield annotation
    else:
        for choice in get_args(annotation):
            yield from _plain(choice)


def _below(kind: Any, value: Any, part: str | int) -> Iterator[Any]:
    """Yield the types that stand below a type at one part of a path."""
    if get_origin(kind) in (list, dict):
        yield from _plain(get_args(kind)[-1])
    elif _is_model(kind) and _may_be(kind, value) and part in kind.model_fields:
        yield from _plain(kind.model_fields[part].annotation)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _may_be(model: type[BaseModel], value: Any) -> bool:
    """Return whether the members that have one value in ``model`` have it in ``value`` too."""
    fixed: Mapping[str, Any] = {
        name: get_args(field.annotation)[0]
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    return all(_member(value, name) == said for name, said in fixed.items())


def _member(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None
