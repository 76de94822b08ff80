"""A primary and its standby: what was acknowledged outlives either."""

from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Database
from app.db.failures import explain_failure
from tests.conftest import connect, make_settings
from tests.db.test_engine import Silent
from tests.e2e.processes import Service
from tests.factories import RUNS, run_body
from tests.pairs import kill, pair, states_of_standbys
from tests.waiting import eventually, wait_until


class TestStandbyAway:
    def test_repeat_of_what_only_the_primary_has_is_not_acknowledged(self, home: Path) -> None:
        """Neither by its key, nor by that of a task, nor by a lease that is spent."""
        with (
            pair(home, is_synchronous=True) as servers,
            Service(database_url=servers.primary.url, database_timeout_seconds=1) as service,
        ):
            spec = {"task_name": "t", "idempotency_key": "k"}
            claimed = self._claim_one(service)
            report = {"lease_token": claimed["lease_token"], "result": 1}
            calls: tuple[tuple[str, str, dict[str, Any], dict[str, str]], ...] = (
                ("POST", RUNS, run_body(), {"Idempotency-Key": "k"}),
                ("POST", "/v1/tasks", spec, {}),
                ("POST", f"/v1/tasks/{claimed['task_id']}/complete", report, {}),
                ("POST", "/v1/queues/default/events/e", {"payload": 1}, {}),
            )
            servers.kill_standby()
            for _ in range(2):
                for method, path, body, headers in calls:
                    response = service.http.request(method, path, json=body, headers=headers)
                    assert response.status_code == 503, (path, response.text)
            health = service.http.get("/readyz?verbose")
            assert health.status_code == 503
            assert health.json()["checks"]["write"].startswith("no write got through since 20")
            servers.standby.close()
            servers.standby = servers.start_standby()
            wait_until(lambda: "sync" in states_of_standbys(servers.primary.url))
            for method, path, body, headers in calls:
                response = service.http.request(method, path, json=body, headers=headers)
                assert response.status_code == 200, (path, response.text)
            assert service.http.get("/readyz?verbose").json()["checks"]["write"] == "ok"
            runs = {run["workflow_run_id"] for run in service.http.get(RUNS).json()["items"]}
            promoted = servers.promote()
            with connect(promoted.url) as connection:
                rows = connection.execute("SELECT workflow_run_id FROM workflow_runs").fetchall()
                assert {str(row[0]) for row in rows} == runs
                assert connection.execute("SELECT DISTINCT status FROM tasks").fetchall() != []

    def _claim_one(self, service: Service) -> dict[str, str]:
        service.http.post("/v1/tasks", json={"task_name": "t"}).raise_for_status()
        claim = service.http.post("/v1/queues/default/claim", json={"worker_id": "w"})
        task: dict[str, str] = claim.json()["tasks"][0]
        return task


class TestOldPrimary:
    async def test_primary_that_was_replaced_is_refused(self, home: Path) -> None:
        """It still runs and takes writes; who has seen its successor does not go back to it."""
        with pair(home, is_synchronous=False) as servers:
            hosts = ",".join(str(server.data_dir.parent) for server in (servers.standby, servers.primary))
            url = f"postgresql://milepost@/milepost?host={hosts}&port=5432,5432&target_session_attrs=read-write"
            pool = Database(make_settings(url), url, Silent())
            assert await place_of(pool) == servers.primary.data_dir
            with connect(servers.standby.url) as connection:
                connection.execute("SELECT pg_promote()")
            async with pool.reading():
                assert await place_of(pool) == servers.standby.data_dir
            assert [await place_of(pool) for _ in range(3)] == [servers.standby.data_dir] * 3
            kill(servers.standby)
            assert "was replaced" in await eventually(lambda: refusal_of(pool))
            with connect(servers.primary.url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            await pool.close()


async def place_of(pool: Database) -> Path:
    """Return the data directory of the server that answers."""
    async with pool.reading() as tx:
        return Path(str((await tx.execute(text("SHOW data_directory"))).scalar_one()))


async def refusal_of(pool: Database) -> str:
    """Return what a caller is told, if it is of an old primary."""
    try:
        await place_of(pool)
    except SQLAlchemyError as failure:
        refusal = explain_failure(failure)
        if refusal and "replaced" in refusal.detail:
            return refusal.detail
    return ""
