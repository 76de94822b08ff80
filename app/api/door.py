"""The door of every operation: who may come in, with which parameters, and with which body."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

from fastapi._compat import ModelField
from fastapi.routing import APIRoute
from fastapi.utils import create_model_field
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope as ConnectionScope

from app.access.callers import Caller
from app.access.doorkeeper import ANONYMOUS
from app.api.bodies import read_document, read_json
from app.api.kernel import kernel_of
from app.api.parameters import KnownParameters, check_path
from app.api.problems import header_name, problems
from app.errors import (
    CrossSite,
    Forbidden,
    HeaderRepeated,
    NotJson,
    PayloadTooLarge,
    Refusal,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from milepost.schemas.operations import Scope

_DOOR_REFUSALS = (HeaderRepeated, ValidationFailed, Unavailable)
_KEY_REFUSALS = (Unauthenticated, Forbidden, CrossSite)
_BODY_REFUSALS = (NotJson, PayloadTooLarge, UnsupportedMediaType)
_STAND_ONCE = frozenset({b"authorization", b"host", b"idempotency-key"})
"""Headers of which a second one could mean another caller, another site or another request."""


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


def needs_no_database(endpoint: Endpoint) -> Endpoint:
    """Declare that an operation answers while the database is away; what was known of keys is believed then."""
    endpoint.__milepost_needs_no_database__ = True  # type: ignore[attr-defined]
    return endpoint


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
        responses = problems(*_DOOR_REFUSALS, *_KEY_REFUSALS, *_BODY_REFUSALS) | options["responses"]
        options["responses"] = {status: response | {"model": None} for status, response in responses.items()}
        options["operation_id"] = endpoint.__name__
        super().__init__(path, endpoint, **options)
        self.response_fields = {
            status: _field_of(response["model"]) for status, response in responses.items() if response.get("model")
        }
        if not self.param_convertors and not hasattr(endpoint, "__milepost_leaves_other_methods__"):
            _FIXED_ADDRESSES.add(self.path)
        self._forget_problems([] if self.scope else _KEY_REFUSALS)
        self._forget_problems([] if self.read_body else _BODY_REFUSALS)

    def _forget_problems(self, refusals: Sequence[type[Refusal]]) -> None:
        """Take refusals out of the documentation that cannot happen here."""
        for status in {refusal.status for refusal in refusals}:
            if others := [refusal for refusal in _DOOR_REFUSALS if refusal.status == status]:
                self.responses[status] = problems(*others)[status]
            else:
                del self.responses[status], self.response_fields[status]

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
        scope, believes = self.scope, hasattr(self.endpoint, "__milepost_needs_no_database__")
        read_body = self.read_body
        parameters = KnownParameters(self.dependant)

        async def enter(request: Request) -> Response:
            kernel = kernel_of(request)
            _check_headers(request)
            if scope is not None:
                admit = partial(kernel.doorkeeper.admit, request.headers.get("authorization"), scope, believes=believes)
                name, request.scope["admit"] = await admit(), admit
                if name == ANONYMOUS:
                    kernel.own_site.check(request.scope["headers"])
                request.scope["caller"] = Caller(name, request.scope["request_id"])
            check_path(request)
            if request.scope["query_string"]:
                parameters.check(request)
            if read_body is not None:
                request = await read_body(request, kernel.settings.max_body_bytes)
            return await handle(request)

        return enter


@lru_cache
def _field_of(body: type[BaseModel]) -> ModelField:
    """Return how FastAPI describes a body that many routes answer with: one for all, for each takes a while to make."""
    return create_model_field(name=body.__name__, type_=body, mode="serialization")


def _check_headers(request: Request) -> None:
    seen = [name for name, _ in request.scope["headers"] if name in _STAND_ONCE]
    for name in _STAND_ONCE.intersection(seen):
        if seen.count(name) > 1:
            raise HeaderRepeated(f"{header_name(name.decode())} stands more than once in this request")
