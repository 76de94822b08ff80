"""Creating requests that carry an idempotency key have their effect once."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from app.access.callers import Caller
from app.db.engine import Tx
from app.domain.json_texts import JsonValue
from app.domain.json_values import fingerprint
from app.domain.records import IdempotencyKeyRow
from app.errors import IdempotencyKeyReused, Refusal
from app.store import idempotency_keys as store
from milepost.schemas.problems import FieldError

_ONE = re.compile(r'\{"(?:task_id|workflow_run_id|schedule_id|bulk_operation_id)":"([0-9a-f-]{36})"')
"""How the answer begins that is one resource: with its id."""


class IdempotencyKey(NamedTuple):
    """One key of one caller on one address, and what it was sent with; both as SHA-256."""

    scope: bytes
    body: bytes


class Reply(NamedTuple):
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


def make_key(key: str, method: str, path: str, caller: Caller, body: JsonValue) -> IdempotencyKey:
    """Return what identifies a request that was sent with ``key``."""
    scope = sha256(f"{method}\0{path}\0{caller.name}\0{key}".encode()).digest()
    return IdempotencyKey(scope, fingerprint(body))


def has_distinct_keys(tx: Tx, requests: Sequence[Request]) -> bool:
    """Return whether no request can be a repeat, as far as nobody has looked: no two of them have the same key."""
    scopes = [request.key.scope for request in requests if request.key]
    return not scopes or (not tx.is_wary and len(set(scopes)) == len(scopes))


async def answer_once(tx: Tx, requests: Sequence[R], perform: Perform[R]) -> Sequence[Reply | Refusal]:
    """Perform each request whose key is new, and give the others the reply that the first of their key got.

    A refused request does not use its key up. Nearly all keys are new, so nobody looks first: a key that is stored, or
    is just being stored by another transaction, makes this one fail as a whole, and tried again it looks. Who is
    refused has inserted nothing that could fail, so for those it looks at once: theirs may be repeats.
    """
    if not any(request.key for request in requests):
        return await perform(tx, requests)
    scopes = {request.key.scope for request in requests if request.key}
    stored = await store.get_keys(tx, list(scopes)) if tx.is_wary else {}
    outcomes: dict[int, Reply | Refusal] = {}
    new: dict[bytes, IdempotencyKeyRow] = {}
    left = list(range(len(requests)))
    while left:
        chosen = _first_of_each(requests, left, stored)
        replies = await perform(tx, [requests[i] for i in chosen])
        outcomes |= dict(zip(chosen, replies, strict=True))
        if not tx.is_wary:
            outcomes |= await _replay_refused(tx, requests, {i: outcomes[i] for i in chosen})
        answered = {key.scope: key for key in answered_keys([requests[i] for i in chosen], replies)}
        stored |= answered
        new |= answered
        left = [i for i in left if i not in outcomes]
        outcomes |= {i: replay for i in left if (replay := _replay(requests[i].key, stored)) is not None}
        left = [i for i in left if i not in outcomes]
    if new:
        await store.insert_keys(tx, list(new.values()))
    return [outcomes[i] for i in range(len(requests))]


async def answer_alone(tx: Tx, key: IdempotencyKey | None, perform: Callable[[], Awaitable[Reply]]) -> Reply:
    """Perform a request if its key is new, else return the reply that its first got; those of one key take turns.

    A refused request does not use its key up. Raises IdempotencyKeyReused, and what ``perform`` raises.
    """
    if key is None:
        return await perform()
    await store.lock_keys(tx, [key.scope])
    stored = (await store.get_keys(tx, [key.scope])).get(key.scope)
    if stored is None:
        reply = await perform()
        await store.insert_keys(tx, [IdempotencyKeyRow(key.scope, key.body, reply.body.decode())])
        return reply
    known = _stored_reply(key, stored)
    if isinstance(known, Refusal):
        raise known
    return known


async def _replay_refused(
    tx: Tx, requests: Sequence[Request], outcomes: Mapping[int, Reply | Refusal]
) -> dict[int, Reply | Refusal]:
    """Return the replies that refused requests got when they were sent before: things may stand otherwise since."""
    refused = {i: key for i, outcome in outcomes.items() if isinstance(outcome, Refusal) and (key := requests[i].key)}
    stored = await store.get_keys(tx, [key.scope for key in refused.values()]) if refused else {}
    return {i: _stored_reply(key, stored[key.scope]) for i, key in refused.items() if key.scope in stored}


def _first_of_each(
    requests: Sequence[Request], places: Sequence[int], stored: Mapping[bytes, IdempotencyKeyRow]
) -> list[int]:
    """Return the places of requests without a key, and of the first with each key that is not stored."""
    seen = set(stored)
    chosen = []
    for place in places:
        key = requests[place].key
        if key is None or key.scope not in seen:
            chosen.append(place)
        if key is not None:
            seen.add(key.scope)
    return chosen


def answered_keys(requests: Sequence[Request], replies: Sequence[Reply | Refusal]) -> list[IdempotencyKeyRow]:
    """Return what is stored of the requests that were not refused."""
    return [
        IdempotencyKeyRow(request.key.scope, request.key.body, reply.body.decode())
        for request, reply in zip(requests, replies, strict=True)
        if request.key and isinstance(reply, Reply)
    ]


def _replay(key: IdempotencyKey | None, stored: Mapping[bytes, IdempotencyKeyRow]) -> Reply | Refusal | None:
    """Return the reply that the first with this key got; None if there is none, for that one was refused."""
    return _stored_reply(key, stored[key.scope]) if key and key.scope in stored else None


def _stored_reply(key: IdempotencyKey, row: IdempotencyKeyRow) -> Reply | Refusal:
    if row.body != key.body:
        return key_reused()
    is_one = _ONE.match(row.answer)
    reply = Reply(row.answer.encode(), UUID(is_one[1]) if is_one else None)
    return reply._replace(replayed=True)


def key_reused() -> IdempotencyKeyReused:
    """Return the refusal of a key that was sent with another body before."""
    detail = "was used before with another body; make a new one"
    return IdempotencyKeyReused([FieldError(pointer="Idempotency-Key", detail=detail)])


async def forget_old_keys(tx: Tx, age: timedelta, most: int) -> int:
    """Forget up to ``most`` keys older than ``age``; how many they were."""
    return await store.delete_old_keys(tx, age, most)
