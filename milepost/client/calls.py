"""A call of the API as a value, and the descriptors that make methods of both clients from it."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import update_wrapper, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast, overload
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from pydantic import BaseModel

from milepost.client.encoding import write_json, write_query

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """What to send, and how to read the answer."""

    method: str
    path: str
    read: Callable[[bytes], T]
    query: str = ""
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool
    """Whether sending it twice has the effect of sending it once."""
    wait_seconds: float = 0
    """How long the service may take on purpose."""
    answers: frozenset[int] = frozenset()
    """Statuses from 400 on that carry an answer and not a refusal."""

    def after(self, cursor: str) -> Self:
        """Return the call for the page that begins at ``cursor``."""
        query = [(name, value) for name, value in parse_qsl(self.query) if name != "cursor"]
        return replace(self, query=urlencode([*query, ("cursor", cursor)]))

    def behind(self, position: int) -> Self:
        """Return the call for the changes that follow ``position``."""
        query = [(name, value) for name, value in parse_qsl(self.query) if name != "after"]
        return replace(self, query=urlencode([*query, ("after", position)]))


class Sender(Protocol):
    """What sends calls and waits for their answers."""

    def send(self, call: Call[T]) -> T:
        """Return the answer. Raises MilepostError."""


class AsyncSender(Protocol):
    """What sends calls and gives their answers to await."""

    def send(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Return the answer. Raises MilepostError."""


class Operation(Generic[P, T_co]):
    """One operation of the API: a method of the client that waits, and a coroutine of the one that does not."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T_co]]) -> None:
        self.describe = describe
        update_wrapper(cast("Any", self), describe)

    @overload
    def __get__(self, sender: None, owner: type) -> Self: ...
    @overload
    def __get__(self, sender: Sender, owner: type) -> Callable[P, T_co]: ...
    @overload
    def __get__(self, sender: AsyncSender, owner: type) -> Callable[P, Coroutine[Any, Any, T_co]]: ...
    def __get__(self, sender: Any, owner: type) -> Any:
        if sender is None:
            return self

        @wraps(self.describe.__get__(sender, owner))
        def send(*args: P.args, **kwargs: P.kwargs) -> Any:
            return sender.send(self.describe(sender, *args, **kwargs))

        return send


class Page(Protocol[T_co]):
    """A part of a list."""

    @property
    def items(self) -> Sequence[T_co]:
        """What is on it."""

    @property
    def next_cursor(self) -> str | None:
        """Where the next part begins; None at the end."""


class Paging(Generic[P, T_co]):
    """A walk over a whole list, page by page."""

    def __init__(self, listing: Operation[P, Page[T_co]]) -> None:
        self.listing = listing
        update_wrapper(cast("Any", self), listing.describe)
        self.__doc__ = f"Iterate over all pages. {listing.__doc__}"

    @overload
    def __get__(self, sender: None, owner: type) -> Self: ...
    @overload
    def __get__(self, sender: Sender, owner: type) -> Callable[P, Iterator[T_co]]: ...
    @overload
    def __get__(self, sender: AsyncSender, owner: type) -> Callable[P, AsyncIterator[T_co]]: ...
    def __get__(self, sender: Any, owner: type) -> Any:
        if sender is None:
            return self
        walk = _walk_async if owner.asynchronous else _walk  # type: ignore[attr-defined]

        @wraps(self.listing.describe.__get__(sender, owner))
        def each(*args: P.args, **kwargs: P.kwargs) -> Any:
            return walk(sender, self.listing.describe(sender, *args, **kwargs))

        return each


def _walk(sender: Sender, call: Call[Page[T]]) -> Iterator[T]:
    while True:
        page = sender.send(call)
        yield from page.items
        if page.next_cursor is None:
            return
        call = call.after(page.next_cursor)


async def _walk_async(sender: AsyncSender, call: Call[Page[T]]) -> AsyncIterator[T]:
    while True:
        page = await sender.send(call)
        for item in page.items:
            yield item
        if page.next_cursor is None:
            return
        call = call.after(page.next_cursor)


def read_nothing(content: bytes) -> None:
    """Read an answer without a body."""
    del content


def get(path: str, answer: type[Model], *, wait_seconds: float = 0, **query: Any) -> Call[Model]:
    """Return a call that reads."""
    return Call(
        method="GET",
        path=path,
        read=answer.model_validate_json,
        query=write_query(query),
        repeatable=True,
        wait_seconds=wait_seconds,
    )


def post(
    path: str, answer: type[Model], content: bytes | None = None, *, repeatable: bool, wait_seconds: float = 0
) -> Call[Model]:
    """Return a call of a verb; ``repeatable`` when saying it again changes nothing more."""
    return Call(
        method="POST",
        path=path,
        read=answer.model_validate_json,
        content=content,
        repeatable=repeatable,
        wait_seconds=wait_seconds,
    )


def create(
    path: str, answer: type[Model], content: bytes, idempotency_key: str | None, *, wait_seconds: float = 0
) -> Call[Model]:
    """Return a call that has its effect once; its idempotency key, made here unless given, makes it repeatable."""
    return Call(
        method="POST",
        path=path,
        read=answer.model_validate_json,
        content=content,
        headers={"Idempotency-Key": idempotency_key or str(uuid4())},
        repeatable=True,
        wait_seconds=wait_seconds,
    )


def change(method: str, path: str, answer: type[Model], body: Any, if_match: int | str | None = None) -> Call[Model]:
    """Return a call that sets fields; with ``if_match`` it holds for one revision, so it is sent only once."""
    return Call(
        method=method,
        path=path,
        read=answer.model_validate_json,
        content=write_json(body),
        headers=write_if_match(if_match),
        repeatable=if_match is None,
    )


def delete(path: str, if_match: int | str | None = None, *, repeatable: bool = False) -> Call[None]:
    """Return a call that deletes; ``repeatable`` when what is gone already is no refusal."""
    return Call(method="DELETE", path=path, read=read_nothing, headers=write_if_match(if_match), repeatable=repeatable)


def write_if_match(revision: int | str | None) -> dict[str, str]:
    """Return the header that makes a change conditional on a revision."""
    return {} if revision is None else {"If-Match": f'"{revision}"' if isinstance(revision, int) else revision}
