"""The screen of a task: what is seen of it, and what may be done with it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from milepost.client import Client
from tests.e2e.processes import Service
from tests.page import stories
from tests.page.conftest import OpenTab

QUEUE = "shop"


@pytest.fixture
def shop(client: Client) -> Iterator[None]:
    with stories.shop(client, QUEUE, worker_id="worker-7@db1"):
        yield


class TestTask:
    def test_each_attempt_is_shown_with_its_error_and_retry_makes_the_next(
        self, open_tab: OpenTab, service: Service, shop: None
    ) -> None:
        task_id = stories.spawn(service.http, "fail", queue=QUEUE, max_attempts=2)
        stories.wait_for(service.http, task_id, "failed")
        tab = open_tab(f"/tasks/{task_id}")
        tab.sees("ConnectionError: the warehouse does not answer, attempt 1")
        tab.sees("ConnectionError: the warehouse does not answer, attempt 2")
        tab.sees("attempts exhausted")
        tab.press("Retry")
        tab.sees("As attempt 3 of this task", inside="dialog")
        tab.press("Retry", inside="dialog")
        tab.sees("Attempt 3")
        tab.sees("ConnectionError: the warehouse does not answer, attempt 3")

    def test_what_sleeps_is_cancelled_after_it_was_said_what_that_does(
        self, open_tab: OpenTab, service: Service, shop: None
    ) -> None:
        task_id = stories.spawn(service.http, "sleep", queue=QUEUE)
        stories.wait_for(service.http, task_id, "sleeping")
        tab = open_tab(f"/tasks/{task_id}")
        tab.press("Cancel")
        tab.sees("is not tried again", inside="dialog")
        tab.press("Back", inside="dialog")
        assert stories.status_of(service.http, task_id) == "sleeping"
        tab.press("Cancel")
        tab.press("Cancel the task", inside="dialog")
        stories.wait_for(service.http, task_id, "cancelled")
        tab.sees("cancelled", inside="header.screen-head .status")

    def test_why_offers_the_event_that_is_awaited(self, open_tab: OpenTab, service: Service, shop: None) -> None:
        task_id = stories.spawn(service.http, "wait", queue=QUEUE, params={"event": "approved"})
        stories.wait_for(service.http, task_id, "sleeping")
        tab = open_tab(f"/tasks/{task_id}")
        tab.sees("it waits for the event approved")
        tab.press("Emit the event")
        tab.sees(f"POST /v1/queues/{QUEUE}/events/approved", inside="dialog")
        tab.press("Emit the event", inside="dialog")
        tab.sees("completed", inside="header.screen-head")

    def test_what_happens_meanwhile_is_seen(self, open_tab: OpenTab, service: Service, client: Client) -> None:
        task_id = stories.spawn(service.http, "succeed", queue="later", params={"day": "2026-01-31"})
        tab = open_tab(f"/tasks/{task_id}?tab=data")
        tab.sees("pending", inside="header.screen-head")
        tab.sees("None yet")
        with stories.shop(client, "later"):
            tab.sees("completed", inside="header.screen-head")
            tab.sees('"given"')
        tab.page.reload()
        tab.sees('"given"')
        expect(tab.page.get_by_role("link", name="Params and result")).to_have_attribute("aria-current", "page")

    def test_checkpoints_and_logs(self, open_tab: OpenTab, service: Service, shop: None) -> None:
        task_id = stories.spawn(service.http, "succeed", queue=QUEUE)
        stories.wait_for(service.http, task_id, "completed")
        lines = [{"text": "opened the file"}, {"text": "<b>no</b> rows", "level": "error"}]
        service.http.post(f"/v1/tasks/{task_id}/logs", json={"lines": lines})
        tab = open_tab(f"/tasks/{task_id}?tab=checkpoints")
        tab.sees("first").click()
        tab.sees('"rows": 3')
        tab.page.get_by_role("link", name="Logs").click()
        tab.sees("opened the file")
        tab.sees("<b>no</b> rows")
        tab.page.get_by_label("Level").select_option("error")
        expect(tab.page.get_by_text("opened the file")).to_have_count(0)
        assert tab.page.url.endswith("?tab=logs&level=error")

    def test_an_id_that_is_unknown(self, open_tab: OpenTab) -> None:
        tab = open_tab("/queues")
        tab.refusals_expected.add(404)
        tab.open("/tasks/0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f")
        tab.sees("There is no task with this id")
        tab.sees("curl http://127.0.0.1")
