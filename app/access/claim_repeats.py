"""Claims that carry an idempotency key: who lost the answer gets the same tasks again, as long as their leases last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic_core import from_json, to_json

from app.access.idempotency import IdempotencyKey, key_reused
from app.db.engine import Parameters, Tx
from app.domain.records import IdempotencyKeyRow
from app.errors import IdempotencyKeyReused
from app.store import claim_repeats as repeats_store
from app.store import idempotency_keys as keys_store
from app.store.claims import HandedTask
from app.store.sizes import BYTES_MOST


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is known of claims by their keys; each claim is named by its place."""

    refused: Mapping[int, IdempotencyKeyReused]
    """Those whose key was used with another body."""
    followers: Mapping[int, int]
    """Those that get what another of this moment gets, for it has the same key."""
    held: Sequence[HandedTask]
    """What others got before and still hold, as it is claimed."""
    bytes: int = 0
    """How much that is of JSON."""
    put_off: frozenset[int] = frozenset()
    """Those for which that leaves no room: they are to be made once more."""


NOTHING = Recalled({}, {}, ())


async def recall_claims(tx: Tx, keys: Mapping[int, IdempotencyKey]) -> Recalled:
    """Return what is known of the claims with these ``keys``, and let the next ones of each key wait for this one.

    Comes first, as `store/locks.py` says. Tasks that have been reported or lost since are left out; a claim of which
    nothing is left is one that nobody has made yet.
    """
    if not keys:
        return NOTHING
    scopes = {key.scope for key in keys.values()}
    await keys_store.lock_keys(tx, scopes)
    stored = await keys_store.get_keys(tx, list(scopes))
    bodies = {scope: row.body for scope, row in stored.items()}
    firsts: dict[bytes, int] = {}
    refused, followers = {}, {}
    for place, key in keys.items():
        if bodies.setdefault(key.scope, key.body) != key.body:
            refused[place] = key_reused()
        elif firsts.setdefault(key.scope, place) != place:
            followers[place] = firsts[key.scope]
    leases = {place: from_json(stored[scope].answer) for scope, place in firsts.items() if scope in stored}
    if not leases:
        return Recalled(refused, followers, ())
    sizes, put_off, total = await repeats_store.measure_claimed(tx, _as_leases(leases)), set(), 0
    for place, size in sizes.items():
        if total >= BYTES_MOST:
            put_off.add(place)
        else:
            total += size
    wanted = {place: pairs for place, pairs in leases.items() if place not in put_off}
    return Recalled(
        refused, followers, await repeats_store.get_claimed(tx, _as_leases(wanted)), total, frozenset(put_off)
    )


def _as_leases(leases: Mapping[int, Sequence[tuple[str, str]]]) -> list[Parameters]:
    return [
        {"claimer": claimer, "place": place, "task_id": task_id, "lease_token": token}
        for claimer, pairs in leases.items()
        for place, (task_id, token) in enumerate(pairs)
    ]


async def remember_claims(
    tx: Tx, keys: Mapping[int, IdempotencyKey], handed: Mapping[int, Sequence[HandedTask]]
) -> None:
    """Remember which leases were handed out to the claims with ``keys``; those that got nothing may be made again."""
    rows = [
        IdempotencyKeyRow(keys[place].scope, keys[place].body, to_json(_leases_of(tasks)).decode())
        for place, tasks in handed.items()
        if place in keys and tasks
    ]
    if rows:
        await keys_store.put_keys(tx, sorted(rows))


def _leases_of(tasks: Sequence[HandedTask]) -> list[tuple[UUID, UUID]]:
    return [(task.task_id, task.lease_token) for task in tasks]
