"""What endpoints ask for: the caller, a transaction, headers of concurrency and idempotency."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, Header, Query
from starlette.requests import ClientDisconnect, Request

from app.access.callers import Caller, Visit
from app.access.idempotency import IdempotencyKey, make_key
from app.api.bodies import DocumentRequest
from app.api.heads import asks_for_head
from app.api.kernel import Kernel, kernel_of
from app.db.engine import Tx
from app.domain.preconditions import ENTITY_TAGS, Precondition, read_if_match
from app.execution.examination import SentDocument
from milepost.schemas.wire import VISIBLE_ASCII

T = TypeVar("T")


async def _kernel(request: Request) -> Kernel:
    return kernel_of(request)


async def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["caller"]
    return caller


@dataclass(frozen=True, slots=True)
class _Visit:
    """The request that waits."""

    request: Request

    async def is_gone(self) -> bool:
        """Return whether the client has closed its connection."""
        return await self.request.is_disconnected()

    async def check_key(self) -> None:
        """Ask at the door again."""
        await self.request.scope["admit"]()


async def _visit(request: Request) -> Visit:
    return _Visit(request)


async def _transaction(request: Request) -> AsyncIterator[Tx]:
    async with kernel_of(request).database.transaction(is_promise=True) as tx:
        yield tx


async def _reading(request: Request) -> AsyncIterator[Tx]:
    async with kernel_of(request).database.reading() as tx:
        yield tx


class CreatingCall(NamedTuple):
    """Who calls to create something, and what repeats and traces of it are known by."""

    kernel: Kernel
    caller: Caller
    key: IdempotencyKey | None
    traceparent: str | None


_KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=VISIBLE_ASCII,
        description="Makes repeats safe: the same key with the same body has its effect once and gives the same "
        "answer, for at least 24 hours.",
        examples=["nightly-etl-2026-01-31"],
    ),
]


async def _once_key(request: Request, idempotency_key: _KeyHeader = None) -> IdempotencyKey | None:
    if idempotency_key is None:
        return None
    caller: Caller = request.scope["caller"]
    return make_key(idempotency_key, request.method, request.scope["path"], caller, await request.json())


async def _creating_call(
    request: Request,
    idempotency_key: _KeyHeader = None,
    traceparent: Annotated[
        str | None,
        Header(
            max_length=255,
            pattern=VISIBLE_ASCII,
            description="W3C trace context; kept on the tasks that are spawned, and given to who claims them.",
            examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        ),
    ] = None,
) -> CreatingCall:
    """Return all of it at once: each dependency of its own costs as much as the rest of such a call."""
    key = await _once_key(request, idempotency_key)
    return CreatingCall(kernel_of(request), request.scope["caller"], key, traceparent)


async def _document(request: Request) -> SentDocument:
    assert isinstance(request, DocumentRequest)  # noqa: S101 - what the door makes of it
    return request.document


async def _patience(
    request: Request,
    timeout_seconds: Annotated[float, Query(ge=0, le=60, description="How long to wait, in seconds.")] = 30,
) -> float:
    return 0 if asks_for_head(request.scope) else timeout_seconds


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


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` returns; it is cancelled as soon as its caller has gone. Raises ClientDisconnect."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leave(request))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        for task in (doing, leaving):
            task.cancel()


async def _leave(request: Request) -> None:
    """Return when the caller has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


InKernel = Annotated[Kernel, Depends(_kernel)]
CurrentVisit = Annotated[Visit, Depends(_visit)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
WriteTx = Annotated[Tx, Depends(_transaction, scope="function")]
ReadTx = Annotated[Tx, Depends(_reading, scope="function")]
OnceKey = Annotated[IdempotencyKey | None, Depends(_once_key)]
Creating = Annotated[CreatingCall, Depends(_creating_call)]
Document = Annotated[SentDocument, Depends(_document)]
Patience = Annotated[float, Depends(_patience)]
IfMatch = Annotated[Precondition | None, Depends(_precondition)]
