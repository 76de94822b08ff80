"""A bulk operation under way when its processes are killed: each item has one outcome, and its verb is done once."""

from typing import Any

from tests.conftest import connect
from tests.e2e.processes import Service
from tests.factories import RUNS
from tests.waiting import wait_until

BULK = "/v1/bulk-operations"
MANY = 5000
BATCH = 1000


def record_failed_runs(service: Service) -> list[str]:
    """Return the ids of many runs that have failed."""
    run = {"workflow_name": "many", "workflow_version": "1", "status": "failed"}
    ids: list[str] = []
    for _ in range(MANY // BATCH):
        response = service.http.post(f"{RUNS}/batch", json={"workflow_runs": [run] * BATCH})
        assert response.status_code == 201, response.text
        ids += [item["workflow_run_id"] for item in response.json()["items"]]
    return ids


def begin(service: Service) -> str:
    """Return the path of a bulk operation that has begun to retry them."""
    body = {"resource": "workflow_runs", "verb": "retry", "filter": {"workflow_name": "many"}, "reason": "again"}
    found = service.http.post(BULK, json=body).json()
    assert found["count"] == MANY
    response = service.http.post(BULK, json={**body, "dry_run": False, "token": found["token"]})
    assert response.status_code == 202, response.text
    return f"{BULK}/{response.json()['bulk_operation_id']}"


def outcomes_of(service: Service, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    where: str | None = f"{path}/outcomes?limit=200"
    while where:
        page = service.http.get(where)
        found += page.json()["items"]
        where = page.links["next"]["url"] if "next" in page.links else None
    return found


class TestKill:
    def test_each_of_many_runs_is_retried_once_by_two_replicas(self, url: str) -> None:
        settings = {"database_url": url, "housekeeping_seconds": 0.05}
        first, second = Service(**settings), Service(**settings)
        third: Service | None = None
        try:
            ids = record_failed_runs(first.wait_ready())
            second.wait_ready()
            path = begin(first)

            def done_at_least(service: Service, count: int) -> bool:
                found: int = service.http.get(path).json()["done"]
                return found >= count

            wait_until(lambda: done_at_least(first, 100))
            first.kill()
            wait_until(lambda: done_at_least(second, 1000))
            second.kill()
            third = Service(**settings).wait_ready()
            before = third.http.get(path).json()
            assert before["status"] == "running"
            wait_until(lambda: third.http.get(path).json()["status"] == "completed")
            over = third.http.get(path).json()
            assert (over["total"], over["done"], over["refused"]) == (MANY, MANY, 0)
            outcomes = outcomes_of(third, path)
        finally:
            for service in (first, second, third):
                if service is not None:
                    service.__exit__(None, None, None)
        assert sorted(item["id"] for item in outcomes) == sorted(ids)
        assert {(item["status"], item["code"]) for item in outcomes} == {(200, None)}
        with connect(url) as database:
            retries = database.execute(
                "SELECT workflow_run_id, count(*), min(reason) FROM workflow_run_history"
                " WHERE verb = 'retry' GROUP BY workflow_run_id"
            ).fetchall()
            attempts = database.execute("SELECT DISTINCT status, attempt FROM workflow_runs").fetchall()
        assert sorted(str(row[0]) for row in retries) == sorted(ids)
        assert {row[1:] for row in retries} == {(1, "again")}
        assert len(attempts) == 1
        assert attempts[0][1] == 2
