"""The screen of all runs: filters in the address, live without jumping, verbs for what is selected."""

from typing import Any

import httpx
from playwright.sync_api import expect

from tests.e2e.processes import Service
from tests.page.conftest import OpenTab

RUNS = "/v1/workflow-runs"
ROWS = ".runs tbody tr"


def create(http: httpx.Client, name: str, **fields: Any) -> str:
    """Return the id of a run that was just recorded."""
    made = http.post(RUNS, json={"workflow_name": name, "workflow_version": "1", **fields})
    assert made.status_code == 201, made.text
    run_id: str = made.json()["workflow_run_id"]
    return run_id


def fail(http: httpx.Client, run_id: str, message: str) -> None:
    """End a run as failed."""
    body = {"status": "failed", "error": {"type": "LoadError", "message": message}}
    assert http.patch(f"{RUNS}/{run_id}", json=body).status_code == 200


class TestRuns:
    def test_filters_are_in_the_address_and_stay_after_a_reload(self, open_tab: OpenTab, service: Service) -> None:
        fail(service.http, create(service.http, "filter_me", tags={"team": "finance"}), "no disk")
        create(service.http, "filter_me")
        tab = open_tab("/runs?workflow_name=filter_me")
        expect(tab.page.locator(ROWS)).to_have_count(2)
        tab.page.keyboard.press("f")
        expect(tab.page.locator(ROWS)).to_have_count(1)
        assert "status=failed" in tab.page.url
        tab.page.reload()
        expect(tab.page.locator(ROWS)).to_have_count(1)
        tab.sees("LoadError: no disk")
        tab.press("Filter")
        tab.page.get_by_label("What is filtered").select_option("tag")
        tab.page.get_by_label("Its value").fill("team:other")
        tab.press("Add")
        tab.sees("No run is like that")
        tab.page.go_back()
        expect(tab.page.locator(ROWS)).to_have_count(1)

    def test_new_runs_wait_and_known_ones_change_where_they_stand(self, open_tab: OpenTab, service: Service) -> None:
        first = create(service.http, "steady")
        tab = open_tab("/runs?workflow_name=steady")
        expect(tab.page.locator(ROWS)).to_have_count(1)
        tab.sees("Live", inside="header")
        second = create(service.http, "steady")
        tab.sees("1 new")
        expect(tab.page.locator(ROWS)).to_have_count(1)
        assert service.http.patch(f"{RUNS}/{first}", json={"status": "running"}).status_code == 200
        expect(tab.page.locator(ROWS)).to_contain_text("running")
        tab.press("1 new")
        expect(tab.page.locator(ROWS)).to_have_count(2)
        expect(tab.page.locator(ROWS).first).to_contain_text(second[-12:])

    def test_verbs_are_done_to_all_that_are_selected(self, open_tab: OpenTab, service: Service) -> None:
        ids = [create(service.http, "choose") for _ in range(3)]
        tab = open_tab("/runs?workflow_name=choose")
        tab.page.get_by_label("Select all that are shown").check()
        tab.sees("3 runs selected")
        tab.press("Cancel", inside=".selection")
        tab.sees("Tasks that wait are cancelled now", inside="dialog")
        assert service.http.get(f"{RUNS}/{ids[0]}").json()["status"] == "pending"
        tab.press("Cancel 3 runs", inside="dialog")
        expect(tab.page.locator(ROWS).filter(has_text="cancelled")).to_have_count(3)
        assert {service.http.get(f"{RUNS}/{run_id}").json()["status"] for run_id in ids} == {"cancelled"}

    def test_keys_move_select_and_open(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "by_keys")
        tab = open_tab("/runs?workflow_name=by_keys")
        expect(tab.page.locator(ROWS)).to_have_count(1)
        for key in ("j", "x"):
            tab.page.keyboard.press(key)
        tab.sees("1 run selected")
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_role("heading", name="by_keys")).to_be_visible()
        assert tab.page.url.endswith(f"/runs/{run_id}")
        for key in ("g", "r"):
            tab.page.keyboard.press(key)
        expect(tab.page.get_by_role("heading", name="Runs")).to_be_visible()

    def test_it_can_be_used_with_a_screen_reader_and_on_a_phone(self, open_tab: OpenTab, service: Service) -> None:
        fail(service.http, create(service.http, "reach", tags={"team": "finance"}), "a" * 200)
        for size in ("desk", "phone", "small"):
            for scheme in ("light", "dark"):
                tab = open_tab("/runs?workflow_name=reach", size=size, scheme=scheme)
                expect(tab.page.locator(ROWS)).to_have_count(1)
                tab.check_fits()
                tab.check_accessibility()
