"""What endpoints ask for: the caller, a transaction, headers of concurrency and idempotency."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from starlette.requests import Request

from app.api.bodies import DocumentRequest
from app.api.kernel import Kernel, kernel_of
from app.db.engine import Tx
from app.domain.preconditions import ENTITY_TAGS, Precondition, read_if_match
from app.services.callers import Caller
from app.services.idempotency import IdempotencyKey, make_key
from app.services.workflows import SentDocument


async def _kernel(request: Request) -> Kernel:
    return kernel_of(request)


async def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["caller"]
    return caller


async def _transaction(request: Request) -> AsyncIterator[Tx]:
    async with kernel_of(request).database.transaction() as tx:
        yield tx


async def _reading(request: Request) -> AsyncIterator[Tx]:
    async with kernel_of(request).database.reading() as tx:
        yield tx


@dataclass(frozen=True, slots=True)
class CreatingCall:
    """Who calls to create something, and what repeats and traces of it are known by."""

    kernel: Kernel
    caller: Caller
    key: IdempotencyKey | None
    traceparent: str | None


async def _creating_call(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Makes repeats safe: the same key with the same body has its effect once and gives the same "
            "answer, for at least 24 hours.",
            examples=["nightly-etl-2026-01-31"],
        ),
    ] = None,
    traceparent: Annotated[
        str | None,
        Header(
            max_length=255,
            description="W3C trace context; kept on the tasks that are spawned, and given to who claims them.",
            examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        ),
    ] = None,
) -> CreatingCall:
    """Return all of it at once: each dependency of its own costs as much as the rest of such a call."""
    caller: Caller = request.scope["caller"]
    key = None
    if idempotency_key is not None:
        key = make_key(idempotency_key, request.method, request.scope["path"], caller, await request.json())
    return CreatingCall(kernel_of(request), caller, key, traceparent)


async def _document(request: Request) -> SentDocument:
    assert isinstance(request, DocumentRequest)  # noqa: S101 - what the door makes of it
    return request.document


async def _precondition(
    if_match: Annotated[
        str | None,
        Header(
            description="Do it only if the revision is still this one.",
            examples=['"1"'],
            json_schema_extra={"minLength": 1, "pattern": ENTITY_TAGS},
        ),
    ] = None,
) -> Precondition | None:
    return read_if_match(if_match)


InKernel = Annotated[Kernel, Depends(_kernel)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
WriteTx = Annotated[Tx, Depends(_transaction, scope="function")]
ReadTx = Annotated[Tx, Depends(_reading, scope="function")]
Creating = Annotated[CreatingCall, Depends(_creating_call)]
Document = Annotated[SentDocument, Depends(_document)]
IfMatch = Annotated[Precondition | None, Depends(_precondition)]
