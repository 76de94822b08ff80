"""The door of every operation: who may come in, with which parameters, and with which body."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope as ConnectionScope

from app.api.bodies import read_document, read_json
from app.api.kernel import kernel_of
from app.api.problems import problems
from app.errors import (
    Forbidden,
    NotJson,
    PayloadTooLarge,
    Refusal,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.schemas.operations import Scope
from app.schemas.problems import FieldError
from app.services.callers import Caller

_DOOR_REFUSALS = (ValidationFailed, Unavailable)
_KEY_REFUSALS = (Unauthenticated, Forbidden)
_BODY_REFUSALS = (NotJson, PayloadTooLarge, UnsupportedMediaType)


class AnyText(Convertor[str]):
    """A last part of a path that may hold everything, slashes and line breaks too: `{name:text}`."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """Return the text as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return the text as it is."""
        return value


class VersionOfWorkflow(Convertor[str]):
    """A part of a path that names a version: all but what stands in its place in other addresses."""

    regex = r"(?!diff(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        """Return the version as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return the version as it is."""
        return value


register_url_convertor("text", AnyText())
register_url_convertor("version", VersionOfWorkflow())

_FIXED_ADDRESSES: set[str] = set()
"""The paths of all routes that have no parameters."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def needs(scope: Scope | None) -> Callable[[Endpoint], Endpoint]:
    """Declare the scope that a caller's key needs for an operation; None: it is open to everybody."""

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__milepost_scope__ = scope  # type: ignore[attr-defined]
        return endpoint

    return declare


def takes_document(endpoint: Endpoint) -> Endpoint:
    """Declare that the body of an operation is a workflow definition."""
    endpoint.__milepost_takes_document__ = True  # type: ignore[attr-defined]
    return endpoint


def leaves_other_methods(endpoint: Endpoint) -> Endpoint:
    """Declare that the address of an operation may be a name, too, for methods that it does not take itself."""
    endpoint.__milepost_leaves_other_methods__ = True  # type: ignore[attr-defined]
    return endpoint


class Door(APIRoute):
    """A route that checks the caller, then the parameters' names, then the body, before anything else is done."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["responses"] = problems(*_DOOR_REFUSALS, *_KEY_REFUSALS, *_BODY_REFUSALS) | options["responses"]
        options["operation_id"] = endpoint.__name__
        super().__init__(path, endpoint, **options)
        if not self.param_convertors and not hasattr(endpoint, "__milepost_leaves_other_methods__"):
            _FIXED_ADDRESSES.add(self.path)
        self._forget_problems([] if self.scope else _KEY_REFUSALS)
        self._forget_problems([] if self.read_body else _BODY_REFUSALS)

    def _forget_problems(self, refusals: Sequence[type[Refusal]]) -> None:
        """Take refusals out of the documentation that cannot happen here."""
        for refusal in refusals:
            del self.responses[refusal.status], self.response_fields[refusal.status]

    def matches(self, scope: ConnectionScope) -> tuple[Match, ConnectionScope]:
        """Return whether this route answers: an address that another route spells out is not an id of this one's."""
        match, child_scope = super().matches(scope)
        if self.param_convertors and match is not Match.NONE:
            address = scope["path"].removeprefix(scope.get("root_path", ""))
            if address in _FIXED_ADDRESSES:
                return Match.NONE, {}
        return match, child_scope

    @property
    def scope(self) -> Scope | None:
        """What a caller needs. Raises AttributeError where an endpoint does not declare it."""
        declared: Scope | None = self.endpoint.__milepost_scope__  # type: ignore[attr-defined]
        return declared

    @property
    def read_body(self) -> Callable[[Request, int], Awaitable[Request]] | None:
        """What reads the body; None where there is none."""
        if hasattr(self.endpoint, "__milepost_takes_document__"):
            return read_document
        return read_json if self.body_field else None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, behind the door."""
        handle = super().get_route_handler()
        scope = self.scope
        read_body = self.read_body
        single, repeatable = _query_names(self.dependant)

        async def enter(request: Request) -> Response:
            kernel = kernel_of(request)
            if scope is not None:
                name = await kernel.doorkeeper.admit(request.headers.get("authorization"), scope)
                request.scope["caller"] = Caller(name, request.scope["request_id"])
            _check_path(request)
            if request.scope["query_string"]:
                _check_query(request, single, repeatable)
            if read_body is not None:
                request = await read_body(request, kernel.settings.max_body_bytes)
            return await handle(request)

        return enter


def _query_names(dependant: Dependant) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the query parameters of an operation: those given once, and those that may be repeated."""
    single: set[str] = set()
    repeatable: set[str] = set()
    for name, annotation in _query_parameters(dependant):
        (repeatable if get_origin(annotation) is list else single).add(name)
    return frozenset(single), frozenset(repeatable)


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


def _check_path(request: Request) -> None:
    errors = [
        FieldError(pointer=name, detail="contains the character NUL")
        for name, value in request.path_params.items()
        if "\0" in value
    ]
    if errors:
        raise ValidationFailed(errors)


def _check_query(request: Request, single: frozenset[str], repeatable: frozenset[str]) -> None:
    errors = []
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in single and name not in repeatable:
            known = ", ".join(sorted(single | repeatable)) or "none"
            errors.append(FieldError(pointer=name, detail=f"is not a parameter of this operation; it has: {known}"))
        elif name in seen and name in single:
            errors.append(FieldError(pointer=name, detail="may be given only once"))
        elif "\0" in value:
            errors.append(FieldError(pointer=name, detail="contains the character NUL"))
        seen.add(name)
    if errors:
        raise ValidationFailed(errors)
