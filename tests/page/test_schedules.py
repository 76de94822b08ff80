"""The screens of schedules: firings by day, why one is held, and their verbs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.processes import Service
from tests.page import stories
from tests.page.conftest import OpenTab
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def workflow_name(service: Service) -> str:
    stories.register(service.http, stories.etl("nightly"))
    return "nightly"


def schedule(http: httpx.Client, workflow_name: str, **body: Any) -> dict[str, Any]:
    long_ago = (datetime.now(UTC) - timedelta(days=6)).isoformat()
    wanted = {"workflow_name": workflow_name, "cron": "0 3 * * *", "catchup": False, "start_at": long_ago, **body}
    response = http.post("/v1/schedules", json=wanted)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


class TestSchedules:
    def test_pause_and_resume(self, open_tab: OpenTab, service: Service, workflow_name: str) -> None:
        made = schedule(service.http, workflow_name)
        tab = open_tab("/schedules")
        tab.page.get_by_role("link", name=workflow_name).first.click()
        tab.open(f"/schedules/{made['schedule_id']}")
        tab.press("Pause")
        tab.sees("No run begins by it any more", inside="dialog")
        tab.press("Pause", inside="dialog")
        tab.sees("paused", inside="header.screen-head")
        tab.press("Resume")
        tab.press("Resume", inside="dialog")
        tab.sees("active", inside="header.screen-head")
        assert service.http.get(f"/v1/schedules/{made['schedule_id']}").json()["paused"] is False

    def test_backfill_says_first_how_many_runs_it_starts(
        self, open_tab: OpenTab, service: Service, workflow_name: str
    ) -> None:
        made = schedule(service.http, workflow_name, max_active_runs=10)
        tab = open_tab(f"/schedules/{made['schedule_id']}")
        tab.press("Backfill")
        today = datetime.now(UTC).date()
        tab.page.get_by_label("From").fill(f"{today - timedelta(days=4)}T00:00")
        tab.page.get_by_label("Until before").fill(f"{today - timedelta(days=2)}T00:00")
        tab.sees("2 runs", inside="dialog")
        tab.press("Start these runs", inside="dialog")
        expect(tab.page.locator(".firing.fired")).to_have_count(2)
        tab.press("Backfill")
        tab.page.get_by_label("From").fill(f"{today - timedelta(days=5)}T00:00")
        tab.page.get_by_label("Until before").fill(f"{today - timedelta(days=2)}T00:00")
        tab.sees("2 firings already had one", inside="dialog")

    def test_one_that_has_its_runs_open_is_held(self, open_tab: OpenTab, service: Service, workflow_name: str) -> None:
        made = schedule(service.http, workflow_name, cron="* * * * *", catchup=True, max_active_runs=1)
        address = f"/v1/schedules/{made['schedule_id']}"
        wait_until(lambda: service.http.get(address).json()["active_runs"] == 1)
        tab = open_tab(f"/schedules/{made['schedule_id']}")
        tab.sees("held", inside="header.screen-head")
        tab.sees("Why")
        service.http.post(f"{address}/pause")
