"""What an operation is called with: worked out once at the start, and not for each request."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from starlette.requests import Request
from starlette.responses import Response

from app.api.problems import explain_invalid
from app.errors import ValidationFailed

Errors = list[dict[str, Any]]
"""What pydantic found, each with its place."""


class Parameters:
    """The parameters of one function that stand in an address or in headers."""

    __slots__ = ("_headers", "_names", "_query", "_request_name")

    def __init__(self, dependant: Dependant) -> None:
        assert not dependant.cookie_params, "nobody reads cookies"  # noqa: S101 - seen at the start
        self._names = [(field, field.alias) for field in dependant.path_params]
        self._query = dependant.query_params
        self._headers = [(field, _header_of(field)) for field in dependant.header_params]
        self._request_name = dependant.request_param_name

    def read(self, request: Request, values: dict[str, Any]) -> Errors:
        """Put what ``request`` brings into ``values``, by the names of the function; return what is wrong with it."""
        errors: Errors = []
        for field, name in self._names:
            values[field.name], wrong = field.validate(request.path_params[name], loc=("path", name))
            errors += wrong
        if self._query:
            found, wrong = request_params_to_args(self._query, request.query_params)
            values |= found
            errors += wrong
        for field, header in self._headers:
            given = _find_header(request, header)
            if given is None:
                values[field.name] = field.get_default()
            else:
                values[field.name], wrong = field.validate(given, loc=("header", header.decode()))
                errors += wrong
        if self._request_name:
            values[self._request_name] = request
        return errors


def _header_of(field: ModelField) -> bytes:
    assert not field.field_info.is_required(), "no header is required"  # noqa: S101 - seen at the start
    return field.alias.replace("_", "-").lower().encode()


def _find_header(request: Request, header: bytes) -> str | None:
    for name, value in request.scope["headers"]:
        if name == header:
            text: str = value.decode("latin-1")
            return text
    return None


class Ingredient:
    """What an endpoint asks for by `Depends`: the caller, a transaction and the like."""

    __slots__ = ("_make", "is_block", "name", "parameters")

    def __init__(self, dependant: Dependant) -> None:
        make: Any = dependant.call
        assert dependant.name, "a dependency gives something"  # noqa: S101 - seen at the start
        assert not dependant.dependencies, "a dependency has none of its own"  # noqa: S101 - seen at the start
        self.name = dependant.name
        self.parameters = Parameters(dependant)
        self.is_block = inspect.isasyncgenfunction(make)
        """Whether it is open until the endpoint returns, as a transaction is."""
        self._make: Callable[..., Any] = asynccontextmanager(make) if self.is_block else make

    async def make(self, stack: AsyncExitStack | None, values: Mapping[str, Any]) -> Any:
        """Return it, made of its parameters; one that has to be closed is closed with ``stack``."""
        if self.is_block and stack is not None:
            return await stack.enter_async_context(self._make(**values))
        return await self._make(**values)


class CallPlan:
    """How one operation is called: everything that it needs is read and checked first, then made, in order."""

    __slots__ = ("_body", "_endpoint", "_has_blocks", "_ingredients", "_parameters")

    def __init__(self, dependant: Dependant, body: ModelField | None) -> None:
        endpoint = dependant.call
        assert endpoint, "an operation is a function"  # noqa: S101 - seen at the start
        self._endpoint: Callable[..., Awaitable[Response | None]] = endpoint
        self._parameters = Parameters(dependant)
        self._ingredients = [Ingredient(needed) for needed in dependant.dependencies]
        self._has_blocks = any(ingredient.is_block for ingredient in self._ingredients)
        self._body = body

    async def call(self, request: Request, body: Any) -> Response:
        """Return what the operation answers; what it has written is committed. Raises Refusal.

        ``body`` is the parsed JSON; None where there was none.
        """
        values, needed = self._read(request, body)
        if not self._has_blocks:
            return await self._cook(values, needed, None)
        async with AsyncExitStack() as stack:
            return await self._cook(values, needed, stack)

    def _read(self, request: Request, body: Any) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
        """Return what the endpoint is called with, and what each of its ingredients is made of."""
        values: dict[str, Any] = {}
        needed: list[dict[str, Any]] = [{} for _ in self._ingredients]
        errors: Errors = []
        for ingredient, parts in zip(self._ingredients, needed, strict=True):
            errors += ingredient.parameters.read(request, parts)
        errors += self._parameters.read(request, values)
        if self._body is not None:
            errors += _read_body(self._body, body, values)
        if errors:
            raise ValidationFailed(explain_invalid(errors, self._body, body))
        return values, needed

    async def _cook(
        self, values: dict[str, Any], needed: Sequence[Mapping[str, Any]], stack: AsyncExitStack | None
    ) -> Response:
        for ingredient, parts in zip(self._ingredients, needed, strict=True):
            values[ingredient.name] = await ingredient.make(stack, parts)
        return await self._endpoint(**values) or Response(status_code=204)


def _read_body(field: ModelField, body: Any, values: dict[str, Any]) -> Errors:
    if body is None:
        values[field.name] = field.get_default()
        required: Errors = [{"type": "missing", "loc": ("body",)}]
        return required if field.field_info.is_required() else []
    values[field.name], errors = field.validate(body, loc=("body",))
    return errors
