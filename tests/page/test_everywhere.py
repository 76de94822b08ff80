"""What holds on every screen: keyboard, phone, dark, keys, and a service that is away for a while."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from milepost.client import Client
from tests.e2e.processes import Service
from tests.page import stories
from tests.page.conftest import FAST, OpenTab, Scheme
from tests.page.tab import Tab
from tests.processes import run_milepost
from tests.waiting import wait_until

SCREENS = {
    "overview": "/",
    "run": "/runs/{run}",
    "task": "/tasks/{task}",
    "task-params": "/tasks/{task}?tab=data",
    "queues": "/queues",
    "queue": "/queues/shop?status=failed",
    "workflows": "/workflows",
    "workflow": "/workflows/nightly",
    "workflow-versions": "/workflows/nightly?tab=versions",
    "workflow-simulate": "/workflows/nightly?tab=simulate&fails=extract",
    "workflow-source": "/workflows/nightly?tab=source",
    "run-graph": "/runs/{run}?tab=graph",
    "schedules": "/schedules",
    "schedule": "/schedules/{schedule}",
}


@pytest.fixture(scope="module")
def seeded(service: Service) -> dict[str, Any]:
    """Return the ids of what the screens show."""
    http = service.http
    stories.register(http, stories.etl())
    stories.register(http, stories.etl(version="1.1.0", tags=["twice"]))
    with Client(str(http.base_url)) as client, stories.shop(client, "shop"):
        task = stories.spawn(http, "fail", queue="shop", max_attempts=2)
        stories.wait_for(http, task, "failed")
        with stories.steps_worker(client, "default", broken=frozenset({"check_n"})):
            run = stories.start(http, "nightly")["workflow_run_id"]
            stories.wait_until_ended(http, run)
    schedule = http.post("/v1/schedules", json={"workflow_name": "nightly", "cron": "0 3 * * *"}).json()["schedule_id"]
    return {"task": task, "run": run, "schedule": schedule}


class TestEverywhere:
    @pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("desk", "dark"), ("small", "light")])
    def test_axe_finds_nothing_and_nothing_is_cut_off(
        self, open_tab: OpenTab, seeded: dict[str, Any], size: str, scheme: Scheme
    ) -> None:
        tab = open_tab("/queues", size=size, scheme=scheme)
        for name, path in SCREENS.items():
            tab.open(path.format(**seeded))
            expect(tab.page.get_by_role("status", name="Loading")).to_have_count(0)
            expect(tab.page.locator("main h1")).to_be_visible()
            tab.check_accessibility()
            tab.check_fits()
            tab.picture(f"{name}-{size}-{scheme}")

    def test_the_keyboard_leads_everywhere(self, open_tab: OpenTab, seeded: dict[str, Any]) -> None:
        tab = open_tab("/queues")
        for keys, address in (("gw", "/workflows"), ("gs", "/schedules"), ("gq", "/queues")):
            for key in keys:
                tab.page.keyboard.press(key)
            tab.page.wait_for_url(f"**{address}")
        tab.page.get_by_role("link", name="shop").focus()
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_url("**/queues/shop")
        tab.page.get_by_role("button", name="Pause", exact=True).focus()
        tab.page.keyboard.press("Enter")
        tab.sees("No task is handed out any more", inside="dialog")
        tab.page.keyboard.press("Escape")
        expect(tab.page.locator("dialog")).to_have_count(0)

    def test_a_graph_is_walked_by_keyboard(self, open_tab: OpenTab, seeded: dict[str, Any]) -> None:
        tab = open_tab(f"/runs/{seeded['run']}?tab=graph")
        node = tab.page.get_by_role("button", name="check_n")
        node.focus()
        tab.page.keyboard.press("Enter")
        tab.sees("check_n found a file that it cannot read", inside=".graph-steps")
        expect(node).to_have_attribute("aria-pressed", "true")


class TestKeys:
    def test_a_key_is_asked_for_and_a_reader_is_told_what_it_may_not(
        self, open_tab: OpenTab, new_database: Any
    ) -> None:
        url = new_database()
        made = run_milepost("keys", "create", "reader", "--scope", "read", database_url=url)
        assert made.returncode == 0, made.stderr
        secret = made.stdout.strip().splitlines()[-1]
        with Service(database_url=url, api_key="the-key-of-the-operator") as service:
            operator = {"Authorization": "Bearer the-key-of-the-operator"}
            service.http.put("/v1/queues/shop", json={}, headers=operator)
            tab = open_tab("/queues", at=str(service.http.base_url).rstrip("/"), allowing={401, 403})
            tab.page.get_by_label("Key", exact=True).fill("no-such-key")
            tab.press("Open")
            tab.sees("does not know this key")
            tab.page.get_by_label("Key", exact=True).fill(secret)
            tab.press("Open")
            tab.sees("shop").click()
            tab.press("Pause")
            tab.press("Pause", inside="dialog")
            tab.sees("this needs the scope write; the key reader has read", inside="dialog")
            tab.press("Back", inside="dialog")
            tab.press("Limits")
            tab.sees("was refused before: this needs the scope write", inside="dialog")
            tab.check_accessibility()
            assert service.http.get("/v1/queues/shop", headers=operator).json()["paused"] is False
            tab.page.reload()
            expect(tab.page.locator("main h1")).to_have_text("shop")

    def test_a_key_is_kept_for_its_tab_until_it_is_forgotten(self, open_tab: OpenTab, new_database: Any) -> None:
        with Service(database_url=new_database(), api_key="the-key-of-the-operator") as service:
            tab = open_tab("/queues", at=str(service.http.base_url).rstrip("/"), allowing={401})
            tab.page.get_by_label("Key", exact=True).fill("the-key-of-the-operator")
            tab.press("Open")
            tab.sees("No queues yet")
            assert tab.page.evaluate("Object.values(localStorage)") == []
            assert tab.page.context.cookies() == []
            other = Tab(tab.page.context.new_page(), tab.address)
            other.open("/queues").sees("This service asks for a key")
            tab.page.reload()
            tab.sees("No queues yet")
            tab.press("Forget key", inside=".head")
            tab.sees("This service asks for a key")
            tab.page.reload()
            tab.sees("This service asks for a key")


class TestAway:
    def test_what_was_shown_stays_and_goes_on_when_the_service_is_back(
        self, open_tab: OpenTab, new_database: Any
    ) -> None:
        url = new_database()
        with Service(database_url=url) as service:
            address, port = str(service.http.base_url).rstrip("/"), service.port
            stories.spawn(service.http, "succeed", queue="shop")
            tab = open_tab("/queues/shop", at=address)
            tab.sees("succeed")
            tab.is_away_expected = True
            service.stop()
            tab.sees("Reconnecting", inside=".head")
            tab.sees("succeed")
        again = Service(database_url=url, port=port)
        again.http.base_url = address
        with again:
            stories.spawn(again.http, "recover", queue="shop")
            tab.sees("recover")
            tab.sees("Live", inside=".head")

    def test_what_was_forgotten_meanwhile_is_looked_at_anew(self, open_tab: OpenTab, new_database: Any) -> None:
        with Service(database_url=new_database(), changes_retention_seconds=1, **FAST) as service:
            task_id = stories.spawn(service.http, "succeed", queue="shop")
            tab = open_tab(f"/tasks/{task_id}", at=str(service.http.base_url).rstrip("/"), allowing={410})
            answers: list[tuple[str, int]] = []
            tab.page.on("response", lambda answer: answers.append((urlsplit(answer.url).path, answer.status)))
            tab.sees("Live", inside=".head")
            tab.is_away_expected = True
            tab.page.context.set_offline(True)
            tab.sees("Reconnecting", inside=".head")
            known = service.http.get("/v1/changes").json()["newest"]
            assert service.http.post(f"/v1/tasks/{task_id}/cancel", json={}).status_code == 200
            wait_until(lambda: service.http.get("/v1/changes", params={"after": known}).status_code == 410)
            tab.page.context.set_offline(False)
            tab.sees("cancelled", inside="header.screen-head .status")
            tab.sees("Live", inside=".head")
            assert ("/v1/stream", 410) in answers
            assert service.http.post(f"/v1/tasks/{task_id}/retry", json={}).status_code == 200
            tab.sees("pending", inside="header.screen-head .status")
