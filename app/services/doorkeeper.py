"""Who may come in: API keys, looked up by hash and remembered for a moment."""

import asyncio

from app.db.engine import Database
from app.errors import Forbidden, Unauthenticated
from app.schemas.operations import Scope
from app.services.api_keys import KnownKey, hash_secret, read_key
from app.store import api_keys as store

REMEMBER_SECONDS = 5.0
"""How long a looked-up key is believed when no word of its change arrives; usually that takes milliseconds."""
REMEMBER_MOST = 10_000
ANONYMOUS = "anonymous"


class Doorkeeper:
    """Lets callers in by their keys; while no key was ever made, lets everybody in if ``open_without_keys``."""

    def __init__(self, database: Database, *, open_without_keys: bool) -> None:
        self._database = database
        self._open_without_keys = open_without_keys
        self._keys: dict[bytes, tuple[KnownKey | None, float]] = {}
        self._has_keys: tuple[bool, float] = (False, 0.0)
        self._forgotten = 0

    def forget(self) -> None:
        """Look everything up again: keys were made or revoked."""
        self._keys.clear()
        self._has_keys = (False, 0.0)
        self._forgotten += 1

    async def admit(self, authorization: str | None, scope: Scope) -> str:
        """Return the name of the caller. Raises Unauthenticated, Forbidden."""
        if self._open_without_keys and not await self.has_keys():
            return ANONYMOUS
        key = await self._find_key(authorization)
        if key is None or key.revoked_at is not None:
            raise Unauthenticated(
                "send Authorization: Bearer KEY with a valid key", headers={"WWW-Authenticate": "Bearer"}
            )
        if not key.may(scope):
            raise Forbidden(f"this needs the scope {scope}; the key {key.name} has {', '.join(sorted(key.scopes))}")
        return key.name

    async def has_keys(self) -> bool:
        """Return whether a key was ever made."""
        needed, until = self._has_keys
        now = asyncio.get_running_loop().time()
        if until <= now:
            forgotten = self._forgotten
            async with self._database.reading() as tx:
                needed = await store.has_keys(tx)
            if forgotten == self._forgotten:  # else a key was made while we looked
                self._has_keys = (needed, now + REMEMBER_SECONDS)
        return needed

    async def _find_key(self, authorization: str | None) -> KnownKey | None:
        kind, _, secret = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            return None
        secret_hash = hash_secret(secret.strip())
        now = asyncio.get_running_loop().time()
        key, until = self._keys.get(secret_hash, (None, 0.0))
        if until <= now:
            forgotten = self._forgotten
            async with self._database.reading() as tx:
                row = await store.get_key(tx, secret_hash)
            key = None if row is None else read_key(row)
            if forgotten == self._forgotten:  # else the key may have been revoked while we looked
                self._remember(secret_hash, key, now + REMEMBER_SECONDS)
        return key

    def _remember(self, secret_hash: bytes, key: KnownKey | None, until: float) -> None:
        if len(self._keys) >= REMEMBER_MOST:
            self._keys.clear()
        self._keys[secret_hash] = (key, until)
