"""Migrations: one line of them, there and back again, safe beside a running service and beside each other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql

from alembic import command
from app.db.migrations import head_revision, make_config, upgrade
from app.models import Base
from tests.conftest import connect
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
REVISIONS = [script.revision for script in ScriptDirectory.from_config(make_config()).walk_revisions()][::-1]
LOCK = 0x6D696C65706F7374

TABLES = """
    SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
"""
COLUMNS = """
    SELECT attrelid::regclass::text, attname, col_description(attrelid, attnum) FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    AND attnum > 0 AND NOT attisdropped
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, contype FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')
    AND conrelid::regclass::text <> 'alembic_version'
"""
NOTE_LIMITS = """
    CREATE SCHEMA audit;
    CREATE TABLE audit.seen (command text, lock_timeout text, statement_timeout text);
    CREATE FUNCTION audit.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO audit.seen
        VALUES (tg_tag, current_setting('lock_timeout'), current_setting('statement_timeout'));
    END $$;
    CREATE EVENT TRIGGER note ON ddl_command_start EXECUTE FUNCTION audit.note();
"""
SCHEMA = """
    SELECT 'column', table_name, column_name, data_type || ' ' || is_nullable || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3
"""


@pytest.fixture
def url(new_database: Any) -> str:
    """Return the address of a database that was never migrated."""
    made: str = new_database("template0")
    return made


@pytest.fixture(scope="module")
def migrated(new_database: Any) -> Iterator[psycopg.Connection[Any]]:
    with connect(new_database()) as connection:
        yield connection


def read(url: str, query: str) -> list[Any]:
    with connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def revision_of(url: str) -> str:
    return str(read(url, "SELECT version_num FROM alembic_version")[0][0])


class TestRevisions:
    def test_there_is_one_head(self) -> None:
        assert ScriptDirectory.from_config(make_config()).get_heads() == [head_revision()]

    def test_each_revision_goes_up_and_down_and_up_again(self, url: str) -> None:
        for place, revision in enumerate(REVISIONS):
            command.upgrade(make_config(url), revision)
            made = read(url, SCHEMA)
            command.downgrade(make_config(url), REVISIONS[place - 1] if place else "base")
            command.upgrade(make_config(url), revision)
            assert read(url, SCHEMA) == made

    def test_downgrade_to_nothing_leaves_nothing(self, url: str) -> None:
        upgrade(url)
        command.downgrade(make_config(url), "base")
        assert read(url, TABLES) == []

    def test_models_need_no_further_migration(self, url: str) -> None:
        upgrade(url)
        command.check(make_config(url))

    def test_check_sees_a_constraint_that_only_the_database_has(self, url: str) -> None:
        upgrade(url)
        with connect(url) as connection:
            connection.execute("ALTER TABLE workflow_runs ADD CONSTRAINT ck_workflow_runs_odd CHECK (attempt > 0)")
        with pytest.raises(Exception, match="ck_workflow_runs_odd"):
            command.check(make_config(url))


class TestAlembicItself:
    def test_its_command_line_migrates_and_checks(self, url: str) -> None:
        for verb in ("upgrade head", "check", "current --check-heads"):
            subprocess.run(
                [sys.executable, "-m", "alembic", *verb.split()],
                cwd=ROOT,
                env={**os.environ, "MILEPOST_DATABASE_URL": url},
                timeout=PATIENCE_SECONDS,
                check=True,
            )
        assert revision_of(url) == head_revision()


class TestUpgrade:
    def test_every_change_runs_under_time_limits(self, url: str) -> None:
        with connect(url) as connection:
            connection.execute(NOTE_LIMITS)
        upgrade(url)
        command.downgrade(make_config(url), "base")
        assert read(url, "SELECT DISTINCT lock_timeout, statement_timeout FROM audit.seen") == [("300ms", "10min")]
        assert len(read(url, "SELECT FROM audit.seen WHERE command = 'DROP TABLE'")) >= len(REVISIONS)

    def test_migration_that_meets_a_lock_gives_up_and_leaves_nothing(self, url: str) -> None:
        upgrade(url)
        with connect(url) as blocker, blocker.transaction():
            blocker.execute("LOCK TABLE workflow_runs IN ACCESS SHARE MODE")
            with pytest.raises(TimeoutError, match="other transactions held a lock"):
                command.downgrade(make_config(url, patience_seconds=0.5), "base")
        assert revision_of(url) in REVISIONS

    def test_writers_go_on_while_a_migration_waits_for_a_lock(self, url: str) -> None:
        """One who has written to a table and does not end keeps it waiting, and nobody else."""
        command.upgrade(make_config(url), REVISIONS[0])
        delays = []
        with connect(url) as blocker, connect(url) as writer, ThreadPoolExecutor() as pool:
            with blocker.transaction():
                blocker.execute("LOCK TABLE workflow_runs IN ROW EXCLUSIVE MODE")
                upgrading = pool.submit(upgrade, url)
                waited = 0
                while waited < 3:
                    began = time.monotonic()
                    with writer.transaction():
                        writer.execute("LOCK TABLE workflow_runs IN ROW EXCLUSIVE MODE")
                    delays.append(time.monotonic() - began)
                    waited += delays[-1] > 0.1
                    assert not upgrading.done()
                    time.sleep(0.02)
            upgrading.result(timeout=PATIENCE_SECONDS)
        assert max(delays) < 2, "on a machine that is busy; else 0.3"
        assert revision_of(url) == head_revision()

    def test_upgrade_waits_for_another_one_under_way(self, url: str) -> None:
        with connect(url) as other, ThreadPoolExecutor() as pool:
            with other.transaction():
                other.execute(sql.SQL("SELECT pg_advisory_xact_lock({})").format(sql.Literal(LOCK)))
                upgrading = pool.submit(upgrade, url)
                query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while other.execute(query).fetchone() == (0,):
                    assert not upgrading.done()
                assert other.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,)
            upgrading.result(timeout=PATIENCE_SECONDS)
        assert revision_of(url) == head_revision()

    def test_upgrades_at_the_same_time_all_succeed(self, url: str) -> None:
        command_line = [sys.executable, "-m", "app", "migrate"]
        environment = {**os.environ, "MILEPOST_DATABASE_URL": url}
        upgrading = [
            subprocess.Popen(command_line, cwd=ROOT, env=environment, stdout=-1, stderr=-1, text=True) for _ in range(3)
        ]
        answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in upgrading]
        assert [process.returncode for process in upgrading] == [0, 0, 0], answers
        assert revision_of(url) == head_revision()

    def test_upgrade_of_a_current_database_changes_nothing(self, url: str) -> None:
        upgrade(url)
        made = read(url, SCHEMA)
        upgrade(url)
        assert read(url, SCHEMA) == made


class TestSchema:
    def test_every_table_and_column_has_a_comment(self, migrated: psycopg.Connection[Any]) -> None:
        rows = [*migrated.execute(TABLES), *migrated.execute(COLUMNS)]
        assert len(rows) > len(Base.metadata.tables)
        assert [row for row in rows if not row[-1]] == []

    def test_every_constraint_is_named_by_the_convention(self, migrated: psycopg.Connection[Any]) -> None:
        kinds = {"p": "pk", "u": "uq", "f": "fk", "c": "ck"}
        odd = [
            name
            for table, name, kind in migrated.execute(CONSTRAINTS)
            if not name.startswith(f"{kinds[kind]}_{table}" + ("" if kind == "p" else "_"))
        ]
        assert odd == []

    def test_every_index_is_named_for_its_table(self, migrated: psycopg.Connection[Any]) -> None:
        query = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public'"
        odd = [
            index
            for table, index in migrated.execute(query)
            if table != "alembic_version" and not index.startswith(("pk_", "uq_", "ix_"))
        ]
        assert odd == []

    def test_every_foreign_key_has_an_index_for_deletes(self, migrated: psycopg.Connection[Any]) -> None:
        query = """
            SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1])
        """
        assert [row[0] for row in migrated.execute(query)] == []


class TestPreviousCode:
    """A migration must run under the code before it: that code neither fills new columns nor reads old ones less."""

    @pytest.mark.parametrize("place", range(1, len(REVISIONS)))
    def test_new_schema_takes_what_the_previous_code_writes(self, url: str, place: int) -> None:
        command.upgrade(make_config(url), REVISIONS[place - 1])
        before = columns_of(url)
        command.upgrade(make_config(url), REVISIONS[place])
        after = columns_of(url)
        assert before.keys() <= after.keys(), "a column or table that the previous code reads is gone"
        assert {name for name in before if before[name][0] != after[name][0]} == set()
        known = {table for table, _ in before}
        demanded = {name for name in after.keys() - before.keys() if name[0] in known and after[name][1]}
        assert demanded == set(), "the previous code does not fill these"


class TestLimitsBehindTheCalendar:
    def test_they_become_its_last_moment_which_can_be_read(self, url: str) -> None:
        command.upgrade(make_config(url), "0003")
        with connect(url) as connection:
            connection.execute("""
                INSERT INTO tasks (task_id, queue, task_name, headers, priority, max_attempts, status, run_id, limit_at)
                VALUES (gen_random_uuid(), 'default', 'late', '{}', 0, 1, 'pending', gen_random_uuid(),
                    '9999-12-31 00:00:00+00'::timestamptz + interval '10 years')
            """)
        upgrade(url)
        with connect(url) as connection:
            assert connection.execute("SELECT limit_at FROM tasks").fetchone() == (datetime.max.replace(tzinfo=UTC),)


def columns_of(url: str) -> dict[tuple[str, str], tuple[str, bool]]:
    """Return the type of each column, and whether an INSERT has to name it."""
    query = """
        SELECT table_name, column_name, data_type,
            is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AND is_generated = 'NEVER'
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    """
    return {(table, column): (kind, demanded) for table, column, kind, demanded in read(url, query)}
