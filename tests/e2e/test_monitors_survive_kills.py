"""Replicas that are killed while they decide what monitors are: each change is told once all the same."""

import time
from contextlib import ExitStack
from typing import Any

import httpx

from tests.conftest import connect
from tests.e2e.processes import Service
from tests.waiting import wait_until

MONITORS = 200
KILLS = 3
OVERDUE = """
    UPDATE monitors SET since_at = since_at - interval '2 hours', look_at = now(),
        next_expected_at = next_expected_at - interval '2 hours', seen_from = seen_from - interval '2 hours'
"""


def told(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        query: dict[str, Any] = {"after": after, "kind": "monitor", "verb": ["late", "recovered"], "limit": 1000}
        page = service.http.get("/v1/changes", params=query).json()
        found += page["items"]
        if page["next_after"] == page["newest"]:
            return found
        after = page["next_after"]


def put_all(http: httpx.Client) -> list[str]:
    names = [f"m{number}" for number in range(MONITORS)]
    for name in names:
        body = {"workflow_name": name, "every_seconds": 3600, "grace_seconds": 0}
        assert http.put(f"/v1/monitors/{name}", json=body).status_code == 201
    return names


class TestKills:
    def test_each_lateness_is_told_once(self, url: str) -> None:
        settings: dict[str, Any] = {"database_url": url, "housekeeping_seconds": 0.05}
        with ExitStack() as stack, Service(**settings) as survivor:
            names = put_all(survivor.http)
            for _ in range(KILLS):
                doomed = stack.enter_context(Service(**settings))
                with connect(url) as connection:
                    connection.execute(OVERDUE)
                time.sleep(0.05)  # somewhere in the middle of it
                doomed.kill()
                wait_until(lambda: len({change["id"] for change in told(survivor)}) == len(names))
                for name in names:
                    assert survivor.http.post(f"/v1/monitors/{name}/ping").status_code == 200
                wait_until(lambda: survivor.http.get("/v1/monitors?state=late").json()["items"] == [])
            wait_until(lambda: len(told(survivor)) >= 2 * KILLS * len(names))
            changes = told(survivor)
        for name in names:
            assert [change["verb"] for change in changes if change["id"] == name] == ["late", "recovered"] * KILLS
