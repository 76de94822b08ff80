"""The screens of queues: how deep they are, who works there, and their verbs."""

from playwright.sync_api import expect

from milepost.client import Client
from tests.e2e.processes import Service
from tests.page import stories
from tests.page.conftest import OpenTab


class TestQueues:
    def test_without_any_it_is_said_how_one_comes(self, open_tab: OpenTab, service: Service) -> None:
        assert service.http.get("/v1/queues").json()["items"] == []
        tab = open_tab("/queues")
        tab.sees("No queues yet")
        tab.sees("/v1/tasks")

    def test_a_queue_that_nobody_works_is_told(self, open_tab: OpenTab, service: Service, client: Client) -> None:
        for _ in range(3):
            stories.spawn(service.http, "succeed", queue="lonely")
        tab = open_tab("/queues")
        row = tab.page.get_by_role("row", name="lonely")
        expect(row).to_contain_text("no worker")
        expect(row.get_by_role("cell").nth(3)).to_have_text("3")
        with stories.shop(client, "lonely"):
            expect(row.get_by_role("cell").nth(3)).to_have_text("0")

    def test_a_worker_is_seen_with_what_it_holds(self, open_tab: OpenTab, service: Service, client: Client) -> None:
        with stories.shop(client, "held", worker_id="worker-7@db1"):
            task_id = stories.spawn(service.http, "last", queue="held")
            stories.wait_for(service.http, task_id, "running")
            tab = open_tab("/queues/held")
            row = tab.page.get_by_role("row", name="worker-7@db1")
            row.get_by_role("link", name="last").click()
            tab.page.wait_for_url(f"**/tasks/{task_id}")
            tab.press("Cancel")
            tab.sees("worker-7@db1", inside="dialog")
            tab.press("Cancel the task", inside="dialog")
            tab.sees("cancelled", inside="header.screen-head")

    def test_pause_and_resume(self, open_tab: OpenTab, service: Service) -> None:
        stories.spawn(service.http, "succeed", queue="paused_one")
        tab = open_tab("/queues/paused_one")
        tab.press("Pause")
        tab.sees("No task is handed out any more", inside="dialog")
        tab.press("Pause", inside="dialog")
        tab.sees("paused", inside="header.screen-head .status")
        assert service.http.get("/v1/queues/paused_one").json()["paused"] is True
        tab.press("Resume")
        tab.press("Resume", inside="dialog")
        expect(tab.page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
        assert service.http.get("/v1/queues/paused_one").json()["paused"] is False

    def test_limits_are_changed_and_a_refusal_is_told(self, open_tab: OpenTab, service: Service) -> None:
        stories.spawn(service.http, "succeed", queue="limited")
        tab = open_tab("/queues/limited")
        tab.refusals_expected.add(422)
        tab.press("Limits")
        most = tab.page.get_by_label("Tasks that run at once")
        most.fill("-1")
        tab.press("Save", inside="dialog")
        tab.sees("/max_concurrency", inside="dialog")
        tab.sees("Request", inside="dialog")
        most.fill("4")
        tab.press("Save", inside="dialog")
        tab.sees("of at most 4")
        assert service.http.get("/v1/queues/limited").json()["max_concurrency"] == 4

    def test_the_address_holds_which_tasks_are_listed(self, open_tab: OpenTab, service: Service) -> None:
        task_id = stories.spawn(service.http, "succeed", queue="listed")
        service.http.post(f"/v1/tasks/{task_id}/cancel")
        tab = open_tab("/queues/listed")
        tab.sees("No pending tasks.")
        tab.page.get_by_role("link", name="cancelled", exact=True).click()
        tab.sees("succeed")
        tab.page.reload()
        tab.sees("succeed")
        tab.page.go_back()
        tab.sees("No pending tasks.")
