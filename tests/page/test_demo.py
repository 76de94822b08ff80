"""What the page shows of `milepost demo`, which is what the README promises and has pictures of."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.processes import Service
from tests.page.conftest import OpenTab
from tests.processes import ROOT, environment
from tests.waiting import PATIENCE_SECONDS, wait_until

RUNS = "/v1/workflow-runs"
DEMO = (sys.executable, "-m", "app", "demo", "--every", "0.7")


@pytest.fixture(scope="module")
def shop(service: Service) -> Iterator[Service]:
    """Give a service with a shop that is open, and where something has gone wrong."""
    url = str(service.http.base_url).rstrip("/")
    with subprocess.Popen(
        DEMO, env=environment({"url": url}), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as demo:
        for query in ({"late": "true"}, {"reason": "lost"}, {"status": "failed", "workflow_name": "demo_orders"}):
            wait_until(partial(find, service, **query))
        yield service
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_SECONDS) == 0


def find(service: Service, **query: Any) -> list[dict[str, Any]]:
    """Return runs, the oldest first."""
    found: list[dict[str, Any]] = service.http.get(RUNS, params={**query, "order": "created_at"}).json()["items"]
    return found


def find_at_its_approval(service: Service) -> str | None:
    """Return the id of an order that waits for an approval which does not come."""
    for run in find(service, workflow_name="demo_orders", status="running"):
        if run["inputs"]["order"] % 4:
            continue
        steps = service.http.get(f"{RUNS}/{run['workflow_run_id']}/steps").json()["items"]
        if {"path": "approval", "status": "running"} in [
            {name: step[name] for name in ("path", "status")} for step in steps
        ]:
            run_id: str = run["workflow_run_id"]
            return run_id
    return None


class TestDemo:
    def test_the_overview_begins_with_what_went_wrong(self, open_tab: OpenTab, shop: Service) -> None:
        tab = open_tab("/", size="docs")
        for text in ("Queue demo-nobody", "demo_report", "demo_orders"):
            tab.sees(text, inside=".needs")
        tab.sees("demo-1", inside=".table")
        assert str(ROOT) not in tab.page.locator("body").inner_text()
        tab.picture_for_docs("overview")

    def test_an_order_that_failed_begins_with_the_cause(self, open_tab: OpenTab, shop: Service) -> None:
        failed = find(shop, workflow_name="demo_orders", status="failed")[0]
        tab = open_tab(f"/runs/{failed['workflow_run_id']}", size="docs")
        tab.sees("charge", inside=".timeline")
        tab.sees("the bank declined the card", inside=".cause-log")
        assert str(ROOT) not in tab.page.locator("body").inner_text()
        tab.picture_for_docs("run")

    def test_an_order_that_waits_is_drawn_as_far_as_it_is(self, open_tab: OpenTab, shop: Service) -> None:
        tab = open_tab(f"/runs/{wait_until(lambda: find_at_its_approval(shop))}?tab=graph", size="docs")
        for step, status in (
            ("receive", "completed"),
            ("label", "3 of 3"),
            ("approval", "running"),
            ("ship", "waiting"),
        ):
            expect(tab.page.locator(".graph-node", has_text=step)).to_contain_text(status)
        tab.picture_for_docs("graph", of=".panel:has(.tabs)")
