"""Calls about the change feed."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import update_wrapper, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypedDict, Unpack, cast, overload

from milepost.client.calls import AsyncSender, Call, Operation, Sender
from milepost.client.encoding import write_query
from milepost.client.fields import Id, Texts
from milepost.schemas.changes import Change, ChangeKind, ChangePage, ChangeVerb

CHANGES = "/v1/changes"
FOLLOW_SECONDS = 30.0
"""How long the service may keep one call that follows changes."""
FOLLOW_LIMIT = 1000

P = ParamSpec("P")


class ChangeFields(TypedDict, total=False):
    """Which changes; several values of one name are alternatives."""

    kind: ChangeKind | Texts | None
    verb: ChangeVerb | Texts | None
    status: Texts | None
    workflow_run_id: Id | Sequence[Id] | None
    workflow_name: Texts | None
    queue: Texts | None


class Following(Generic[P]):
    """A walk over changes as they come, without an end: it goes on by position, over lost connections and restarts."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[ChangePage]]) -> None:
        self.describe = describe
        update_wrapper(cast("Any", self), describe)

    @overload
    def __get__(self, sender: None, owner: type) -> Self: ...
    @overload
    def __get__(self, sender: Sender, owner: type) -> Callable[P, Iterator[Change]]: ...
    @overload
    def __get__(self, sender: AsyncSender, owner: type) -> Callable[P, AsyncIterator[Change]]: ...
    def __get__(self, sender: Any, owner: type) -> Any:
        if sender is None:
            return self
        follow = _follow_async if owner.asynchronous else _follow  # type: ignore[attr-defined]

        @wraps(self.describe.__get__(sender, owner))
        def each(*args: P.args, **kwargs: P.kwargs) -> Any:
            return follow(sender, self.describe(sender, *args, **kwargs))

        return each


def _follow(sender: Sender, call: Call[ChangePage]) -> Iterator[Change]:
    while True:
        page = sender.send(call)
        yield from page.items
        call = call.behind(page.next_after)


async def _follow_async(sender: AsyncSender, call: Call[ChangePage]) -> AsyncIterator[Change]:
    while True:
        page = await sender.send(call)
        for change in page.items:
            yield change
        call = call.behind(page.next_after)


def _list(wait_seconds: float, wanted: ChangeFields, after: int | None, limit: int | None) -> Call[ChangePage]:
    query = {**wanted, "after": after, "limit": limit, "wait_seconds": wait_seconds or None}
    return Call(
        method="GET",
        path=CHANGES,
        read=ChangePage.model_validate_json,
        query=write_query(query),
        repeatable=True,
        wait_seconds=wait_seconds,
    )


class ChangeCalls:
    """Every operation on the change feed."""

    @Operation
    def list_changes(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        wait_seconds: float = 0,
        **wanted: Unpack[ChangeFields],
    ) -> Call[ChangePage]:
        """List changes behind the position ``after``, oldest first; without it nothing older than now."""
        return _list(wait_seconds, wanted, after, limit)

    @Following
    def stream_changes(self, *, after: int | None = None, **wanted: Unpack[ChangeFields]) -> Call[ChangePage]:
        """Iterate over changes as they come, without an end; ``after`` is the position to go on after.

        Raises ChangesForgotten when the reader has fallen behind what is kept.
        """
        return _list(FOLLOW_SECONDS, wanted, after, FOLLOW_LIMIT)
