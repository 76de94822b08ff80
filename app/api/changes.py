"""The change feed over HTTP: every committed change in its place, in parts or as a stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from app.api.answers import answer_plain
from app.api.calls import CurrentVisit, InKernel
from app.api.door import Door, needs
from app.api.heads import asks_for_head
from app.api.problems import problems
from app.errors import ChangesForgotten
from app.services import changes as service
from milepost.schemas.changes import POSITION_MOST, ChangePage, ChangeQuery, ChangeStreamQuery
from milepost.schemas.operations import Scope

router = APIRouter(prefix="/v1", tags=["changes"], route_class=Door)

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `hello`, then changes as they come, and `bye` when the service stops.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 48212\nevent: hello\ndata: {"position":48212}\n\n',
            }
        },
    }
}
LastEventId = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=POSITION_MOST,
        description="Go on after this position; wins over `after`. Browsers send it when they come back.",
    ),
]


@router.get("/changes", response_model=ChangePage, responses=problems(ChangesForgotten))
@needs(Scope.read)
async def list_changes(
    request: Request, query: Annotated[ChangeQuery, Query()], kernel: InKernel, visit: CurrentVisit
) -> Response:
    """Return changes in the order of their positions, oldest first.

    Go on with `after` = `next_after`. Without a filter no position is ever skipped or repeated. With `wait_seconds` the
    answer comes as soon as there is something. A filter that wants little may get an empty part before the newest
    position: go on from its `next_after`.
    """
    wait_seconds = 0 if asks_for_head(request.scope) else query.wait_seconds
    return answer_plain(await service.list_changes(kernel, query, wait_seconds, visit))


@router.get("/stream", responses=problems(ChangesForgotten) | _STREAM, response_class=Response)
@needs(Scope.read)
async def stream_changes(
    request: Request,
    query: Annotated[ChangeStreamQuery, Query()],
    kernel: InKernel,
    visit: CurrentVisit,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream changes as server-sent events: `id` is the position, `event` is `kind.verb`, `data` the change.

    A reader that comes back with `Last-Event-ID` goes on without a gap, on any replica and after a restart. `hello`
    comes first, with the position after which it begins; a comment at least every 15 s; `bye` at the end.
    """
    events = await service.stream_changes(kernel, query, last_event_id, visit)
    return EventStream(events, only_head=asks_for_head(request.scope))


class EventStream(Response):
    """An answer that goes on until its reader leaves, or the process stops."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], *, only_head: bool) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._only_head = only_head

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send events until there are no more, or their reader has gone."""
        del scope
        tasks = [asyncio.ensure_future(work) for work in (self._send(send), _leave(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if not self._only_head:
            async with aclosing(self._events) as events:  # type: ignore[type-var]
                async for event in events:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _leave(receive: Receive) -> None:
    """Return when the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
