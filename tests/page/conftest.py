"""The page in a real browser, against a real service as a process and real workers."""

import shutil
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from milepost.client import Client
from tests.e2e.processes import Service
from tests.page.tab import PAGE_SECONDS, Tab

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"desk": (1440, 900), "docs": (1200, 720), "phone": (375, 720), "small": (320, 640)}
FAST = {"housekeeping_seconds": 0.2}

expect.set_options(timeout=PAGE_SECONDS * 1000)

OpenTab = Callable[..., Tab]
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a browser to the tests of a module: beyond it, its event loop would be in the way of others."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service(browser: Browser, new_database: Any) -> Iterator[Service]:
    """Give a running service with a database of its own; only where there is a browser for it."""
    with Service(database_url=new_database(), **FAST) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """Give a client of the service."""
    with Client(str(service.http.base_url)) as client:
        yield client


@pytest.fixture
def open_tab(browser: Browser, service: Service) -> Iterator[OpenTab]:
    """Give a function that opens a tab; the test fails when the page did in it what it must not do."""
    tabs: list[Tab] = []
    with ExitStack() as stack:

        def open_(
            path: str = "/",
            *,
            size: str = "desk",
            scheme: Scheme = "light",
            at: str | None = None,
            allowing: AbstractSet[int] = frozenset(),
        ) -> Tab:
            width, height = SIZES[size]
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
                locale="en-GB",
                timezone_id="Europe/Berlin",
            )
            stack.callback(context.close)
            tab = Tab(context.new_page(), at or str(service.http.base_url).rstrip("/"))
            tab.refusals_expected.update(allowing)
            tabs.append(tab)
            return tab.open(path)

        yield open_
        wrongs = [wrong for tab in tabs for wrong in tab.wrongs]
    assert not wrongs, "\n".join(wrongs)
