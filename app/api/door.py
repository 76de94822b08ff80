"""The door of every operation: who may come in, with which parameters, and with which body."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, TypeVar

from fastapi._compat import ModelField
from fastapi.routing import APIRoute
from fastapi.utils import create_model_field
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from app.access.callers import Caller
from app.access.doorkeeper import ANONYMOUS, Doorkeeper
from app.api.bodies import JsonRequest, read_document, read_json
from app.api.kernel import Kernel
from app.api.parameters import KnownParameters, check_path
from app.api.plans import CallPlan
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

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def needs(scope: Scope | None, *others: Scope) -> Callable[[Endpoint], Endpoint]:
    """Declare the scope that a caller's key needs for an operation, or which ``others`` will do as well.

    None: it is open to everybody.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__milepost_scope__ = scope  # type: ignore[attr-defined]
        endpoint.__milepost_other_scopes__ = others  # type: ignore[attr-defined]
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


def leaves_parameters(endpoint: Endpoint) -> Endpoint:
    """Declare that whatever stands behind the question mark is none of an operation's business: a page reads it."""
    endpoint.__milepost_leaves_parameters__ = True  # type: ignore[attr-defined]
    return endpoint


class Door(APIRoute):
    """Declares an operation, and documents what its door may refuse; `Entry` is what lets requests in."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        responses = problems(*_DOOR_REFUSALS, *_KEY_REFUSALS, *_BODY_REFUSALS) | options["responses"]
        options["responses"] = {status: response | {"model": None} for status, response in responses.items()}
        options["operation_id"] = endpoint.__name__
        super().__init__(path, endpoint, **options)
        self.response_fields = {
            status: _field_of(response["model"]) for status, response in responses.items() if response.get("model")
        }
        self._forget_problems([] if self.scope else _KEY_REFUSALS)
        self._forget_problems([] if self.read_body else _BODY_REFUSALS)

    def _forget_problems(self, refusals: Sequence[type[Refusal]]) -> None:
        """Take refusals out of the documentation that cannot happen here."""
        for status in {refusal.status for refusal in refusals}:
            if others := [refusal for refusal in _DOOR_REFUSALS if refusal.status == status]:
                self.responses[status] = problems(*others)[status]
            else:
                del self.responses[status], self.response_fields[status]

    @property
    def leaves_other_methods(self) -> bool:
        """Whether the address may be a name, too, for methods that are not its own."""
        return hasattr(self.endpoint, "__milepost_leaves_other_methods__")

    @property
    def scope(self) -> Scope | None:
        """What a caller needs. Raises AttributeError where an endpoint does not declare it."""
        declared: Scope | None = self.endpoint.__milepost_scope__  # type: ignore[attr-defined]
        return declared

    @property
    def other_scopes(self) -> Sequence[Scope]:
        """Scopes that will do as well."""
        others: Sequence[Scope] = self.endpoint.__milepost_other_scopes__  # type: ignore[attr-defined]
        return others

    @property
    def read_body(self) -> Callable[[Request, int], Awaitable[JsonRequest]] | None:
        """What reads the body; None where there is none."""
        if hasattr(self.endpoint, "__milepost_takes_document__"):
            return read_document
        return read_json if self.body_field else None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers where the framework is asked by itself: nobody comes in who did not pass the door."""

        async def refuse(request: Request) -> Response:
            raise RuntimeError(f"{request.method} {self.path} was called past its door")

        return refuse


class Entry:
    """The way through the door of one operation."""

    __slots__ = ("_believes", "_other_scopes", "_parameters", "_plan", "_read_body", "_scope", "door")

    def __init__(self, door: Door) -> None:
        self.door = door
        self._scope = door.scope
        self._other_scopes = door.other_scopes
        self._believes = hasattr(door.endpoint, "__milepost_needs_no_database__")
        leaves = hasattr(door.endpoint, "__milepost_leaves_parameters__")
        self._parameters = None if leaves else KnownParameters(door.dependant)
        self._read_body = door.read_body
        self._plan = CallPlan(door.dependant, door.body_field)

    async def answer(self, request: Request, kernel: Kernel) -> Response:
        """Check the caller, then the parameters' names, then the body, and let the operation answer. Raises Refusal."""
        authorization = _check_headers(request.scope["headers"])
        if self._scope is not None:
            await self._admit(request, kernel, self._scope, authorization)
        check_path(request)
        if self._parameters and request.scope["query_string"]:
            self._parameters.check(request)
        if self._read_body is None:
            return await self._plan.call(request, None)
        read = await self._read_body(request, kernel.settings.max_body_bytes)
        return await self._plan.call(read, read.value)

    async def _admit(self, request: Request, kernel: Kernel, scope: Scope, authorization: str | None) -> None:
        doorkeeper = kernel.doorkeeper
        admit = request.scope["admit"] = partial(doorkeeper.admit, authorization, scope, believes=self._believes)
        name = doorkeeper.recall(authorization, scope) or await self._ask(admit, authorization, doorkeeper)
        if name == ANONYMOUS:
            kernel.own_site.check(request.scope["headers"])
        request.scope["caller"] = Caller(name, request.scope["request_id"])

    async def _ask(self, admit: Callable[[], Awaitable[str]], authorization: str | None, doorkeeper: Doorkeeper) -> str:
        """Return the name of the caller, whose key may have any of the scopes. Raises Unauthenticated, Forbidden."""
        try:
            return await admit()
        except Forbidden:
            for other in self._other_scopes:
                with suppress(Forbidden):
                    return doorkeeper.recall(authorization, other) or await doorkeeper.admit(authorization, other)
            raise


@lru_cache
def _field_of(body: type[BaseModel]) -> ModelField:
    """Return how FastAPI describes a body that many routes answer with: one for all, for each takes a while to make."""
    return create_model_field(name=body.__name__, type_=body, mode="serialization")


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return what `Authorization` says. Raises HeaderRepeated."""
    seen = {}
    for name, value in headers:
        if name in _STAND_ONCE:
            if name in seen:
                raise HeaderRepeated(f"{header_name(name.decode())} stands more than once in this request")
            seen[name] = value
    authorization = seen.get(b"authorization")
    return None if authorization is None else authorization.decode("latin-1")
