"""The key that the environment gives."""

from hashlib import sha256
from typing import Any

import pytest
from pydantic import ValidationError

from app.access import api_keys
from app.access.api_keys import KnownKey, keep_key_of_environment
from app.db.engine import Tx
from app.settings import Settings
from app.store import api_keys as store
from milepost.schemas.operations import Scope

OLD = "an-old-key-of-the-environment"
NEW = "a-new-key-of-the-environment"


async def key_of(tx: Tx, secret: str) -> KnownKey | None:
    """Return the key with this secret, revoked or not."""
    row = await store.get_key(tx, sha256(secret.encode()).digest())
    return None if row is None else api_keys.read_key(row)


async def opens(tx: Tx, secret: str) -> bool:
    key = await key_of(tx, secret)
    return key is not None and key.revoked_at is None


@pytest.fixture
async def empty(tx: Tx, clean_database: None) -> Tx:
    return tx


class TestKeepKeyOfEnvironment:
    async def test_another_value_takes_the_place_of_the_old_one(self, empty: Tx) -> None:
        await keep_key_of_environment(empty, OLD)
        assert await opens(empty, OLD)
        await keep_key_of_environment(empty, NEW)
        assert (await opens(empty, OLD), await opens(empty, NEW)) == (False, True)
        assert empty.topics == {api_keys.TOPIC}

    async def test_old_value_can_come_back(self, empty: Tx) -> None:
        for secret in (OLD, NEW, OLD):
            await keep_key_of_environment(empty, secret)
        assert (await opens(empty, OLD), await opens(empty, NEW)) == (True, False)

    async def test_name_stays_and_tells_nothing_of_the_key(self, empty: Tx) -> None:
        for secret in (OLD, NEW):
            await keep_key_of_environment(empty, secret)
            assert [key.name for key in await api_keys.list_keys(empty)] == ["environment"]

    async def test_same_value_changes_nothing(self, empty: Tx) -> None:
        await keep_key_of_environment(empty, OLD)
        empty.topics.clear()
        await keep_key_of_environment(empty, OLD)
        assert not empty.topics
        assert len(await api_keys.list_keys(empty)) == 1

    async def test_one_that_was_revoked_by_hand_stays_so(self, empty: Tx) -> None:
        await keep_key_of_environment(empty, OLD)
        await api_keys.revoke_key(empty, "environment")
        await keep_key_of_environment(empty, OLD)
        assert not await opens(empty, OLD)
        await keep_key_of_environment(empty, NEW)
        assert (await opens(empty, OLD), await opens(empty, NEW)) == (False, True)

    async def test_keys_of_others_stay(self, empty: Tx) -> None:
        made = await api_keys.create_key(empty, "environment", [Scope.read])
        assert made
        for secret in (OLD, NEW):
            await keep_key_of_environment(empty, secret)
        assert await opens(empty, made)
        assert (await opens(empty, OLD), await opens(empty, NEW)) == (False, True)
        assert [key.name for key in await api_keys.list_keys(empty)] == ["environment", "environment-2"]

    async def test_key_that_an_older_version_made_is_revoked_too(self, empty: Tx) -> None:
        name = f"environment-{sha256(OLD.encode()).hexdigest()[:8]}"
        await api_keys.create_key(empty, name, [Scope.admin], OLD)
        await api_keys.create_key(empty, "environment-00000000", [Scope.admin], "another")
        await keep_key_of_environment(empty, NEW)
        assert (await opens(empty, OLD), await opens(empty, NEW), await opens(empty, "another")) == (False, True, True)


class TestSetting:
    @pytest.mark.parametrize("key", [f"  {OLD}\n", f"\t{OLD}\r\n", OLD])
    def test_blanks_around_the_key_are_left_out(self, key: Any) -> None:
        found = Settings(api_key=key).api_key
        assert found
        assert found.get_secret_value() == OLD

    @pytest.mark.parametrize("key", ["   ", "hunter2", f"{'hunter2':<40}", "hunter2 hunter2 hunter2", "hünter2" * 9])
    def test_one_that_can_be_guessed_or_not_be_sent_is_refused_and_not_shown(self, key: Any) -> None:
        with pytest.raises(ValidationError) as refused:
            Settings(api_key=key)
        assert "nter2" not in str(refused.value)
        assert "must " in str(refused.value)
