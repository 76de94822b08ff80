"""Creating requests that carry an idempotency key have their effect once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic_core import from_json

from app.db.engine import Tx
from app.domain.json_values import fingerprint
from app.errors import IdempotencyKeyReused, Refusal
from app.schemas.problems import FieldError
from app.services.callers import Caller
from app.store import idempotency_keys as store


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One key of one caller on one address, and what it was sent with; both as SHA-256."""

    scope: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered to a creating request: its JSON, and whether it was answered before."""

    body: bytes
    resource_id: UUID | None = None
    replayed: bool = False
    """The request carried a key that had been used for the same request before."""
    known: bool = False
    """What was asked for existed before, by a key of its own."""


class Request(Protocol):
    """A creating request."""

    @property
    def key(self) -> IdempotencyKey | None:
        """Its idempotency key, if it has one."""


R = TypeVar("R", bound=Request)
Perform = Callable[[Tx, Sequence[R]], Awaitable[Sequence[Reply | Refusal]]]


def make_key(key: str, method: str, path: str, caller: Caller, body: Any) -> IdempotencyKey:
    """Return what identifies a request that was sent with ``key``."""
    scope = sha256(f"{method}\0{path}\0{caller.name}\0{key}".encode()).digest()
    return IdempotencyKey(scope, fingerprint(body))


async def answer_once(tx: Tx, requests: Sequence[R], perform: Perform[R]) -> Sequence[Reply | Refusal]:
    """Perform each request whose key is new, and give the others the reply that the first of their key got.

    A request under way in another transaction is waited for. A refused request does not use its key up.
    """
    keys = {request.key.scope: request.key for request in reversed(requests) if request.key}
    if not keys:
        return await perform(tx, requests)
    fresh = await store.insert_keys(tx, list(keys), [key.body for key in keys.values()])
    chosen = _first_of_each(requests, fresh)
    replies = await perform(tx, [requests[i] for i in chosen])
    await _remember(tx, [requests[i] for i in chosen], replies)
    outcomes = dict(zip(chosen, replies, strict=True))
    others = [i for i in range(len(requests)) if i not in outcomes]
    outcomes |= dict(zip(others, await _replay(tx, [requests[i] for i in others], perform), strict=True))
    return [outcomes[i] for i in range(len(requests))]


def _first_of_each(requests: Sequence[Request], fresh: set[bytes]) -> list[int]:
    """Return the places of requests without a key, and of the first with each key in ``fresh``."""
    seen: set[bytes] = set()
    chosen = []
    for place, request in enumerate(requests):
        if request.key is None:
            chosen.append(place)
        elif request.key.scope in fresh and request.key.scope not in seen:
            seen.add(request.key.scope)
            chosen.append(place)
    return chosen


async def _remember(tx: Tx, requests: Sequence[Request], replies: Sequence[Reply | Refusal]) -> None:
    answered = {r.key.scope: reply.body.decode() for r, reply in _keyed(requests, replies) if isinstance(reply, Reply)}
    refused = [request.key.scope for request, reply in _keyed(requests, replies) if isinstance(reply, Refusal)]
    if answered:
        await store.update_answers(tx, list(answered), list(answered.values()))
    if refused:
        await store.delete_keys(tx, refused)


def _keyed(requests: Sequence[Any], replies: Sequence[Reply | Refusal]) -> list[tuple[Any, Reply | Refusal]]:
    return [(request, reply) for request, reply in zip(requests, replies, strict=True) if request.key]


async def _replay(tx: Tx, requests: Sequence[R], perform: Perform[R]) -> Sequence[Reply | Refusal]:
    """Return the stored replies; a request whose first was refused just now is performed after all."""
    if not requests:
        return []
    stored = await store.get_keys(tx, [request.key.scope for request in requests if request.key])
    known = [request.key is not None and request.key.scope in stored for request in requests]
    late = iter(
        await answer_once(tx, [r for r, is_known in zip(requests, known, strict=True) if not is_known], perform)
        if not all(known)
        else []
    )
    return [
        _stored_reply(request.key, stored[request.key.scope]) if is_known and request.key else next(late)
        for request, is_known in zip(requests, known, strict=True)
    ]


def _stored_reply(key: IdempotencyKey, row: Any) -> Reply | Refusal:
    if row.body != key.body:
        return IdempotencyKeyReused(
            [FieldError(pointer="Idempotency-Key", detail="was used before with another body; make a new one")]
        )
    answer = from_json(row.answer)
    resource_id = answer.get("task_id") or answer.get("workflow_run_id")
    reply = Reply(row.answer.encode(), UUID(resource_id) if resource_id else None)
    return replace(reply, replayed=True)


async def forget_old_keys(tx: Tx, age: timedelta, most: int) -> int:
    """Forget up to ``most`` keys older than ``age``; how many they were."""
    return await store.delete_old_keys(tx, age, most)
