"""Making, listing and revoking API keys."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import count

import structlog
from uuid_utils.compat import uuid7

from app.db.engine import Tx
from app.domain.records import ApiKeyRow
from app.store import api_keys as store
from milepost.schemas.operations import Scope

ENVIRONMENT = "environment"
"""The name of the key of `MILEPOST_API_KEY`; it stays when the key changes."""
TOPIC = "api_keys"
"""On which changes of keys are told."""
SECRET_PREFIX = "mp_"  # noqa: S105 - the same for all

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key without its secret."""

    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None

    def may(self, scope: Scope) -> bool:
        """Return whether the key opens what needs ``scope``."""
        return self.revoked_at is None and (scope in self.scopes or Scope.admin in self.scopes)


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a key: it is random enough that a plain hash cannot be turned back."""
    return sha256(secret.encode()).digest()


def read_key(row: ApiKeyRow) -> KnownKey:
    """Return the key that ``row`` stores."""
    return KnownKey(row.name, frozenset(Scope(scope) for scope in row.scopes), row.created_at, row.revoked_at)


async def create_key(tx: Tx, name: str, scopes: Collection[Scope], secret: str | None = None) -> str | None:
    """Make a key and return its secret, which is not kept; None if the name (or the given secret) is taken."""
    secret = secret or SECRET_PREFIX + secrets.token_urlsafe(32)
    row = await store.insert_key(tx, uuid7(), name, hash_secret(secret), sorted(scopes))
    if row is None:
        return None
    tx.topics.add(TOPIC)
    return secret


async def keep_key_of_environment(tx: Tx, secret: str) -> None:
    """Let the key that the environment gives be the only one that it gave, with every scope.

    One that was revoked by hand stays so.
    """
    secret_hash = hash_secret(secret)
    known = await store.get_key(tx, secret_hash)
    if known is None:
        for name in _names_of_environment():
            if await store.put_key_from_environment(tx, uuid7(), name, secret_hash, [Scope.admin]):
                break
        log.info("key_of_environment_made", name=name)
    elif known.revoked_at is not None:
        log.warning("key_of_environment_is_revoked", name=known.name)
    if await store.revoke_others_from_environment(tx, secret_hash) or known is None:
        tx.topics.add(TOPIC)


def _names_of_environment() -> Iterator[str]:
    """Yield what the key of the environment may be called: somebody may have taken the first name for another."""
    yield ENVIRONMENT
    for number in count(2):
        yield f"{ENVIRONMENT}-{number}"


async def list_keys(tx: Tx) -> Sequence[KnownKey]:
    """Return all keys, revoked ones too, oldest first."""
    return [read_key(row) for row in await store.list_keys(tx)]


async def revoke_key(tx: Tx, name: str) -> KnownKey | None:
    """Refuse the key of this name from now on; None if there is none."""
    row = await store.revoke_key(tx, name)
    tx.topics.add(TOPIC)
    return None if row is None else read_key(row)
