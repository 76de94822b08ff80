"""What is said of failures of the database."""

import traceback
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database
from app.db.outages import Outage, describe_failure
from app.store import api_keys

SECRET = "hunter2"
INSERT = """
    INSERT INTO api_keys (api_key_id, name, secret_hash, scopes) VALUES (gen_random_uuid(), :value, '', '{read}')
"""


async def failure_of(database: Database, statement: str, **values: Any) -> DBAPIError:
    """Return what a statement fails with."""
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction() as tx:
            await tx.execute(text(statement), values)
    return caught.value


class TestMessages:
    @pytest.mark.parametrize(
        ("statement", "name"),
        [
            ("SELECT CAST(:value AS timestamptz)", "InvalidDatetimeFormat 22007"),
            ("SELECT CAST(:value AS integer)", "InvalidTextRepresentation 22P02"),
            (INSERT.replace("read", "nothing"), "CheckViolation 23514 ck_api_keys_scopes"),
            ("DO $$ BEGIN RAISE 'hunter2'; END $$", "RaiseException P0001"),
        ],
    )
    async def test_values_stand_in_none(self, database: Database, statement: str, name: str) -> None:
        failure = await failure_of(database, statement, **({"value": SECRET} if ":value" in statement else {}))
        assert describe_failure(failure) == name
        said = "".join(traceback.format_exception(failure)).replace(statement, "")
        assert SECRET not in said.partition("[SQL:")[0]
        assert name in said
        assert SECRET not in str(failure).replace(statement, "").replace(repr(statement), "")

    async def test_row_of_a_broken_constraint_is_not_shown(self, database: Database, clean_database: None) -> None:
        async with database.transaction() as tx:
            await tx.execute(text(INSERT), {"value": SECRET})
        failure = await failure_of(database, INSERT, value=SECRET)
        said = "".join(traceback.format_exception(failure))
        assert SECRET not in said
        assert "UniqueViolation 23505" in said

    async def test_what_is_wrong_with_the_schema_is_told(self, database: Database) -> None:
        failure = await failure_of(database, "SELECT * FROM nowhere")
        assert describe_failure(failure) == 'UndefinedTable 42P01 relation "nowhere" does not exist'


class TestOutage:
    async def test_failure_of_a_statement_is_no_outage(self, database: Database) -> None:
        outage = Outage()
        outage.note_failure(await failure_of(database, "SELECT 1 / 0"))
        outage.note_failure(TimeoutError())
        assert not outage.is_under_way
        assert not database.outage.is_under_way

    async def test_lost_connection_is_one_until_something_works(self, database: Database) -> None:
        await failure_of(database, "SELECT pg_terminate_backend(pg_backend_pid())")
        assert database.outage.is_under_way
        async with database.reading() as tx:
            assert await api_keys.list_keys(tx) is not None
        assert not database.outage.is_under_way

    async def test_it_is_not_over_by_what_was_done_before_or_by_nothing(self, database: Database) -> None:
        async with database.reading() as early:
            assert await api_keys.list_keys(early) is not None
            await failure_of(database, "SELECT pg_terminate_backend(pg_backend_pid())")
        assert database.outage.is_under_way
        async with database.transaction():
            pass
        assert database.outage.is_under_way
