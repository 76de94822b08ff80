"""One seeded database for all plans."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from tests.conftest import connect
from tests.plans.probe import Probe


@pytest.fixture(scope="session")
def seeded_url(new_database: Any) -> str:
    url: str = new_database()
    with connect(url) as connection:  # by all rows: what a sample says now and then makes another plan
        statistics = sql.SQL("ALTER DATABASE {} SET default_statistics_target = 1000")
        connection.execute(statistics.format(sql.Identifier(connection.info.dbname)))
    with connect(url) as connection:
        connection.execute(Path(__file__).with_name("seed.sql").read_bytes())
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("ALTER TABLE workflow_runs SET (autovacuum_enabled = off)")
    return url


@pytest.fixture(scope="session")
def probe(seeded_url: str) -> Iterator[Probe]:
    probe = Probe(seeded_url)
    yield probe
    probe.close()
