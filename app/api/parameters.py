"""The parameters in an address: which names an operation knows, and which bytes can be kept."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, get_origin
from urllib.parse import unquote_to_bytes

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.requests import Request

from app.api.known_names import describe_known
from app.errors import ERRORS_MOST, ValidationFailed
from milepost.schemas.problems import FieldError

_REPLACED = "\ufffd"
_NOT_UTF_8 = "is not UTF-8, percent-encoded"
_NUL = "contains the character NUL"


class KnownParameters:
    """The query parameters of an operation: those given once, and those that may be repeated."""

    def __init__(self, dependant: Dependant) -> None:
        known = dict(_query_parameters(dependant))
        self._known = sorted(known)
        self._repeatable = {name for name, annotation in known.items() if get_origin(annotation) is list}

    def check(self, request: Request) -> None:
        """Refuse what is not known, not repeatable or not UTF-8. Raises ValidationFailed."""
        query: bytes = request.scope["query_string"]
        errors = [
            FieldError(pointer=name, detail=_NOT_UTF_8) for name in islice(_undecodable_names(query), ERRORS_MOST)
        ]
        seen: set[str] = set()
        for name, value in () if errors else request.query_params.multi_items():
            if name not in self._known:
                detail = f"is not a parameter of this operation; {describe_known(name, self._known)}"
                errors.append(FieldError(pointer=name, detail=detail))
            elif name in seen and name not in self._repeatable:
                errors.append(FieldError(pointer=name, detail="may be given only once"))
            elif "\0" in value:
                errors.append(FieldError(pointer=name, detail=_NUL))
            seen.add(name)
            if len(errors) == ERRORS_MOST:
                break
        if errors:
            raise ValidationFailed(errors)


def _query_parameters(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Yield the name and type of each query parameter; those of a model are the model's fields."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from ((name, info.annotation) for name, info in annotation.model_fields.items())
        else:
            yield field.alias, annotation
    for dependency in dependant.dependencies:
        yield from _query_parameters(dependency)


def _undecodable_names(query: bytes) -> Iterator[str]:
    """Yield the name of each parameter that has other bytes than those of a text; without a percent sign none has."""
    if b"%" in query or not query.isascii():
        for part in query.split(b"&"):
            if not _is_text(part):
                yield unquote_to_bytes(part.partition(b"=")[0]).decode(errors="replace")


def _is_text(part: bytes) -> bool:
    """Return whether a part of an address is ASCII, and UTF-8 when it is decoded."""
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return part.isascii()


def check_path(request: Request) -> None:
    """Refuse parameters in the path that cannot be kept. Raises ValidationFailed."""
    given = request.path_params
    errors = [FieldError(pointer=name, detail=_NUL) for name, value in given.items() if "\0" in value]
    raw: bytes = request.scope.get("raw_path") or b""
    if given and (b"%" in raw or not raw.isascii()) and not _is_text(raw.partition(b"?")[0]):
        replaced = [name for name, value in given.items() if _REPLACED in value]
        errors += [FieldError(pointer=name, detail=_NOT_UTF_8) for name in replaced or given]
    if errors:
        raise ValidationFailed(errors)
