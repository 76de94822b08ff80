"""The screen of a run: the root cause first, its timeline, and its verbs."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from milepost.client import Client
from tests.e2e.processes import Service
from tests.page import stories
from tests.page.conftest import OpenTab
from tests.page.test_runs import RUNS, create, fail
from tests.waiting import wait_until

QUEUE = "run_shop"
CHOSEN = re.compile(r"\?span=\d+-\d+$")


def get(service: Service, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = service.http.get(f"{RUNS}/{run_id}").json()
    return run


@pytest.fixture
def shop(client: Client) -> Iterator[None]:
    with stories.shop(client, QUEUE, worker_id="worker-3@db1"):
        yield


class TestRun:
    def test_root_cause_stands_first_with_the_task_that_failed(
        self, open_tab: OpenTab, service: Service, shop: None
    ) -> None:
        run_id = create(
            service.http,
            "night",
            tasks=[{"task_name": "fail", "queue": QUEUE}, {"task_name": "succeed", "queue": QUEUE}],
        )
        wait_until(lambda: service.http.get(f"{RUNS}/{run_id}").json()["progress"]["failed"] == 1)
        fail(service.http, run_id, "orders.parquet is not there")
        tab = open_tab(f"/runs/{run_id}")
        tab.sees("orders.parquet is not there", inside=".cause")
        tab.sees("failed: ConnectionError: the warehouse does not answer, attempt 1", inside=".cause")
        tab.sees("succeed", inside=".timeline")
        tab.check_accessibility()

    def test_the_cause_of_a_step_is_said_once_with_the_way_to_it(
        self, open_tab: OpenTab, service: Service, client: Client
    ) -> None:
        stories.register(service.http, stories.etl("once"))
        with stories.steps_worker(client, "once", broken=frozenset({"extract"})):
            run_id = stories.start(service.http, "once", queue="once")["workflow_run_id"]
            stories.wait_until_ended(service.http, run_id)
        tab = open_tab(f"/runs/{run_id}")
        cause = tab.page.locator(".cause")
        expect(cause).to_contain_text("in step extract")
        expect(cause).to_contain_text("attempt 1")
        assert cause.inner_text().count("extract found a file that it cannot read") == 1
        cause.get_by_role("link", name="its task").click()
        tab.page.wait_for_url("**/tasks/*")

    def test_the_part_of_the_timeline_that_was_chosen_is_in_the_address(
        self, open_tab: OpenTab, service: Service, shop: None
    ) -> None:
        began = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        tasks = [{"task_name": "succeed", "queue": QUEUE}]
        run_id = create(service.http, "zoomed", status="running", started_at=began, tasks=tasks)
        wait_until(lambda: service.http.get(f"{RUNS}/{run_id}").json()["progress"]["completed"] == 1)
        assert service.http.patch(f"{RUNS}/{run_id}", json={"status": "completed"}).status_code == 200
        tab = open_tab(f"/runs/{run_id}")
        tab.sees("succeed", inside=".timeline")
        foot = tab.page.locator(".timeline-foot")
        whole = foot.inner_text()
        tab.press("Closer")
        expect(tab.page).to_have_url(CHOSEN)
        closer = foot.inner_text()
        address = tab.page.url
        tab.page.keyboard.press("ArrowRight")
        expect(tab.page).not_to_have_url(address)
        expect(tab.page).to_have_url(CHOSEN)
        later = foot.inner_text()
        assert len({whole, closer, later}) == 3
        tab.page.reload()
        expect(foot).to_have_text(later)
        tab.press("Fit")
        expect(tab.page).to_have_url(re.compile(f"{run_id}$"))
        expect(foot).to_have_text(whole)

    def test_verbs_say_what_will_happen_and_the_run_follows(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "verbs", tasks=[{"task_name": "nobody_takes_it", "queue": "empty"}])
        tab = open_tab(f"/runs/{run_id}")
        tab.press("Cancel")
        tab.sees("1 task", inside="dialog")
        tab.page.get_by_label("Reason, kept in its history").fill("the wrong day")
        tab.press("Cancel the run", inside="dialog")
        tab.sees("cancelled", inside="h1")
        tab.press("Retry")
        tab.sees("It goes on as attempt", inside="dialog")
        tab.press("Retry the run", inside="dialog")
        tab.sees("attempt 2", inside="h1")
        tab.page.get_by_role("link", name="History").click()
        tab.sees("the wrong day")
        tab.page.get_by_role("link", name="Changes").click()
        tab.sees("workflow run retried")
        assert service.http.post(f"{RUNS}/{run_id}/cancel", json={}).status_code == 200
        tab.sees("cancelled", inside="h1")
        tab.press("Delete")
        tab.press("Delete it for good", inside="dialog")
        expect(tab.page.get_by_role("heading", name="Runs")).to_be_visible()
        assert service.http.get(f"{RUNS}/{run_id}").status_code == 404

    def test_pause_and_resume_say_what_they_hold_and_let_go(
        self, open_tab: OpenTab, service: Service, client: Client
    ) -> None:
        stories.register(service.http, stories.etl("paused"))
        run_id = stories.start(service.http, "paused", queue="paused")["workflow_run_id"]
        tab = open_tab(f"/runs/{run_id}")
        tab.press("Pause")
        tab.sees("It hands out no more work until it is resumed", inside="dialog")
        assert get(service, run_id)["paused_at"] is None
        tab.press("Pause the run", inside="dialog")
        tab.sees("paused", inside="h1 .status")
        assert get(service, run_id)["paused_at"] is not None
        with stories.steps_worker(client, "paused"):
            stories.wait_for(service.http, stories.spawn(service.http, "jobs.report", queue="paused"), "completed")
            assert get(service, run_id)["progress"]["completed"] == 0
            tab.press("Resume")
            tab.sees("Its steps are handed out again", inside="dialog")
            assert get(service, run_id)["paused_at"] is not None
            tab.press("Resume the run", inside="dialog")
            tab.sees("completed", inside="h1 .status")

    def test_rerun_keeps_what_was_before_the_step_and_leaves_this_run(
        self, open_tab: OpenTab, service: Service, client: Client
    ) -> None:
        stories.register(service.http, stories.etl("again"))
        with stories.steps_worker(client, "again", broken=frozenset({"report"})):
            run_id = stories.start(service.http, "again", queue="again")["workflow_run_id"]
            stories.wait_until_ended(service.http, run_id)
        tab = open_tab(f"/runs/{run_id}")
        tab.press("Rerun from…")
        tab.sees("Steps before this one keep their results", inside="dialog")
        expect(tab.page.get_by_label("From step")).to_have_value("report")
        assert len(service.http.get(RUNS, params={"workflow_name": "again"}).json()["items"]) == 1
        tab.press("Start a new run", inside="dialog")
        expect(tab.page).not_to_have_url(re.compile(run_id))
        again = tab.page.url.rpartition("/")[2]
        with stories.steps_worker(client, "again"):
            tab.sees("completed", inside="h1 .status")
        tab.page.get_by_role("link", name=run_id[-12:]).click()
        tab.sees("failed", inside="h1 .status")
        assert get(service, again)["rerun_of_workflow_run_id"] == run_id
        tasks = service.http.get(f"{RUNS}/{again}/tasks").json()["items"]
        assert [task["task_name"] for task in tasks] == ["jobs.report"]

    def test_why_says_that_nobody_works(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "stuck", tasks=[{"task_name": "any", "queue": "deserted"}])
        assert service.http.patch(f"{RUNS}/{run_id}", json={"status": "running"}).status_code == 200
        open_tab(f"/runs/{run_id}").sees("nobody claims from the queue deserted", inside=".why")

    def test_log_is_live_and_filtered_by_the_address(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "says")
        lines = [{"text": "Loading 3 files"}, {"text": "<b>row 17</b> is bad", "level": "error"}]
        tab = open_tab(f"/runs/{run_id}?tab=logs")
        tab.sees("No lines yet")
        assert service.http.post(f"{RUNS}/{run_id}/logs", json={"lines": lines}).status_code == 201
        tab.sees("<b>row 17</b> is bad")
        tab.page.get_by_label("Level").select_option("error")
        expect(tab.page.locator(".log-line")).to_have_count(1)
        assert "level=error" in tab.page.url

    def test_it_can_be_used_on_a_phone(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(
            service.http, "pocket", tags={"team": "finance"}, tasks=[{"task_name": "load", "queue": "deserted"}]
        )
        for tab_name in ("timeline", "work", "logs", "data", "history", "changes"):
            tab = open_tab(f"/runs/{run_id}?tab={tab_name}", size="small", scheme="dark")
            expect(tab.page.get_by_role("heading", name="pocket")).to_be_visible()
            tab.check_fits()
            tab.check_accessibility()
