"""What is around every screen: the overview, the search, the keys, the stream, and who may see it."""

import re

from playwright.sync_api import expect

from tests.e2e.processes import Service
from tests.page.conftest import OpenTab
from tests.page.test_runs import RUNS, create, fail


class TestOverview:
    def test_what_needs_somebody_stands_first_and_appears_by_itself(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "broken_load", tasks=[{"task_name": "any", "queue": "left_alone"}])
        tab = open_tab("/")
        fail(service.http, run_id, "the disk is full")
        tab.sees("LoadError: the disk is full", inside=".needs")
        tab.page.get_by_role("link", name="broken_load").click()
        tab.sees("the disk is full", inside=".cause")
        tab.page.go_back()
        tab.press("Last hour")
        expect(tab.page).to_have_url(re.compile(r"\?period=hour$"))
        tab.check_accessibility()

    def test_it_fits_everywhere(self, open_tab: OpenTab, service: Service) -> None:
        fail(service.http, create(service.http, "narrow"), "a" * 300)
        for size in ("phone", "small"):
            tab = open_tab("/", size=size, scheme="dark")
            tab.sees("narrow")
            tab.check_fits()
            tab.check_accessibility()


class TestFrame:
    def test_search_finds_by_id_name_and_tag(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "sought_after")
        tab = open_tab("/")
        for text, address in (
            (run_id, f"/runs/{run_id}"),
            ("sought", "/runs?workflow_name=sought_after"),
            ("a:b", "/runs?tag=a%3Ab"),
        ):
            tab.page.keyboard.press("/")
            tab.page.keyboard.type(text)
            expect(tab.page.get_by_role("option").first).to_be_visible()
            tab.page.keyboard.press("Enter")
            expect(tab.page).to_have_url(re.compile(re.escape(address) + "$"))

    def test_question_mark_tells_the_keys(self, open_tab: OpenTab) -> None:
        tab = open_tab("/runs")
        expect(tab.page.get_by_role("heading", name="Runs")).to_be_visible()
        tab.page.keyboard.press("?")
        tab.sees("Only failed", inside="dialog")
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_role("dialog")).to_have_count(0)

    def test_nothing_changes_while_it_is_paused(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "held")
        tab = open_tab(f"/runs/{run_id}")
        tab.sees("Live", inside="header")
        tab.sees("pending", inside="h1")
        tab.page.keyboard.press(".")
        tab.sees("Paused", inside="header")
        assert service.http.patch(f"{RUNS}/{run_id}", json={"status": "running"}).status_code == 200
        tab.sees("pending", inside="h1")
        tab.page.keyboard.press(".")
        tab.sees("running", inside="h1")

    def test_unknown_run_and_address_say_so(self, open_tab: OpenTab) -> None:
        tab = open_tab("/runs/0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f", allowing=[404])
        tab.sees("There is no such run")
        open_tab("/runs/a/b/c").sees("There is nothing here")

    def test_lost_connection_comes_back_where_it_was(self, open_tab: OpenTab, service: Service) -> None:
        run_id = create(service.http, "away")
        tab = open_tab(f"/runs/{run_id}")
        tab.sees("Live", inside="header")
        tab.is_away_expected = True
        tab.page.context.set_offline(True)
        tab.sees("Reconnecting", inside="header")
        assert service.http.patch(f"{RUNS}/{run_id}", json={"status": "running"}).status_code == 200
        tab.page.context.set_offline(False)
        tab.sees("running", inside="h1")
        tab.sees("Live", inside="header")
