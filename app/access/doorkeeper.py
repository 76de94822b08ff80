"""Who may come in: API keys, looked up by hash and remembered for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from app.access.api_keys import KnownKey, hash_secret, read_key
from app.db.engine import Database, Tx
from app.db.failures import DATABASE_FAILURES
from app.errors import Forbidden, Unauthenticated
from app.store import api_keys as store
from milepost.schemas.operations import Scope

REMEMBER_SECONDS = 5.0
"""How long a looked-up key is believed when no word of its change arrives; usually that takes milliseconds."""
BELIEVE_SECONDS = 3600.0
"""How long it is believed for what needs no database, while the database is away."""
BELIEVED_AFTER_SECONDS = 1.0
"""How long such a call waits for a database that may be away."""
REMEMBER_MOST = 10_000
HEADER_MOST = 256
ANONYMOUS = "anonymous"

Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class _Seen(Generic[Known]):
    """What the database said, and when it was asked."""

    known: Known
    at: float


class Doorkeeper:
    """Lets callers in by their keys; while no key was ever made, lets everybody in if ``open_without_keys``."""

    def __init__(self, database: Database, *, open_without_keys: bool) -> None:
        self._database = database
        self._open_without_keys = open_without_keys
        self._keys: dict[bytes, _Seen[KnownKey | None]] = {}
        self._has_keys: _Seen[bool] | None = None
        self._recent: dict[tuple[str | None, Scope], _Seen[str]] = {}
        self._changed_at = 0.0

    def forget(self) -> None:
        """Look everything up again: keys were made or revoked."""
        self._changed_at = monotonic()

    def recall(self, authorization: str | None, scope: Scope) -> str | None:
        """Return the name of a caller who was let in with the same header a moment ago; None: it has to be asked."""
        seen = self._recent.get((authorization, scope))
        if seen and seen.at > self._changed_at and monotonic() - seen.at < REMEMBER_SECONDS:
            return seen.known
        return None

    async def admit(self, authorization: str | None, scope: Scope, *, believes: bool = False) -> str:
        """Return the name of the caller. Raises Unauthenticated, Forbidden.

        Who ``believes`` what was known of keys before needs no database.
        """
        if self._open_without_keys and not await self.has_keys(believes=believes):
            return self._let_in(authorization, scope, ANONYMOUS, self._has_keys.at if self._has_keys else 0.0)
        seen = await self._find_key(authorization, believes=believes)
        if seen is None or (key := seen.known) is None or key.revoked_at is not None:
            raise Unauthenticated(
                "send Authorization: Bearer KEY with a valid key", headers={"WWW-Authenticate": "Bearer"}
            )
        if not key.may(scope):
            raise Forbidden(f"this needs the scope {scope}; the key {key.name} has {', '.join(sorted(key.scopes))}")
        return self._let_in(authorization, scope, key.name, seen.at)

    def _let_in(self, authorization: str | None, scope: Scope, name: str, at: float) -> str:
        """Remember who has come in, for as long as what was seen ``at`` a time holds; long headers are not kept."""
        if len(self._recent) >= REMEMBER_MOST:
            self._recent.clear()
        if len(authorization or "") <= HEADER_MOST:
            self._recent[authorization, scope] = _Seen(name, at)
        return name

    async def has_keys(self, *, believes: bool = False) -> bool:
        """Return whether a key was ever made."""
        self._has_keys = await self._see(self._has_keys, store.has_keys, believes=believes)
        return self._has_keys.known

    async def _find_key(self, authorization: str | None, *, believes: bool) -> _Seen[KnownKey | None] | None:
        kind, _, secret = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            return None
        secret_hash = hash_secret(secret.strip())

        async def look(tx: Tx) -> KnownKey | None:
            row = await store.get_key(tx, secret_hash)
            return None if row is None else read_key(row)

        seen = await self._see(self._keys.get(secret_hash), look, believes=believes)
        if len(self._keys) >= REMEMBER_MOST:
            self._keys.clear()
        self._keys[secret_hash] = seen
        return seen

    async def _see(
        self, before: _Seen[Known] | None, look: Callable[[Tx], Awaitable[Known]], *, believes: bool
    ) -> _Seen[Known]:
        """Return what was seen ``before`` if nothing has changed since, else what ``look`` sees.

        It counts as seen when it was asked for: what changes while we look is looked up again.
        """
        now = monotonic()
        if before and before.at > self._changed_at and now - before.at < REMEMBER_SECONDS:
            return before
        believed = before if believes and before and now - before.at < BELIEVE_SECONDS else None
        try:
            async with asyncio.timeout(BELIEVED_AFTER_SECONDS if believed else None), self._database.reading() as tx:
                return _Seen(await look(tx), now)
        except DATABASE_FAILURES:
            if believed is None:
                raise
            return believed
