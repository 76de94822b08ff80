"""A tab of the browser that remembers what a page must not do, and looks at what it shows."""

import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
KEEP_PICTURES = "PAGE_PICTURES"
"""A directory where every picture of a test is kept, for those who change how the page looks; or ``docs``."""
FOR_DOCS = "docs"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGE_SECONDS = 30.0
"""How long a test waits for what the page is to show."""
_REFUSED = re.compile(r"status of (\d{3})")


class Tab:
    """One page of the service under test. Whatever goes wrong in it is in ``wrongs``."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.wrongs: list[str] = []
        self.refusals_expected: set[int] = set()
        self.is_away_expected = False
        page.set_default_timeout(PAGE_SECONDS * 1000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.wrongs.append(f"thrown: {error}"))
        page.on("request", self._watch)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        refused = _REFUSED.search(message.text)
        if refused and int(refused[1]) in self.refusals_expected:
            return
        if self.is_away_expected and ("net::ERR_" in message.text or "status of 50" in message.text):
            return
        self.wrongs.append(f"{message.type} on the console: {message.text} ({message.location.get('url', '')})")

    def _watch(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != self.address:
            self.wrongs.append(f"asked for {request.url}")

    def open(self, path: str) -> "Tab":
        """Go to an address of the page and return when its screen is there."""
        self.page.goto(f"{self.address}{path}")
        expect(self.page.locator("main")).to_be_visible()
        return self

    def sees(self, text: str | re.Pattern[str], *, inside: str = "main") -> Locator:
        """Wait until the text is shown, and return where."""
        found = self.page.locator(inside).get_by_text(text).filter(visible=True).first
        expect(found).to_be_visible(timeout=PAGE_SECONDS * 1000)
        return found

    def press(self, name: str, *, inside: str = "main") -> None:
        """Click the button of this name once it may be clicked."""
        self.page.locator(inside).get_by_role("button", name=name, exact=True).filter(visible=True).first.click()

    def check_accessibility(self) -> None:
        """Raise AssertionError unless axe finds nothing."""
        found: dict[str, Any] = Axe().run(self.page).response
        shown = [
            f"{violation['id']}: {violation['help']}: {[node['html'][:160] for node in violation['nodes'][:4]]}"
            for violation in found["violations"]
        ]
        assert not shown, "\n".join(shown)

    def check_fits(self) -> None:
        """Raise AssertionError when the document is wider than the window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{wide} pixels too wide at {self.page.url}"

    def picture(self, name: str) -> None:
        """Keep a picture of what is seen, where someone asked for pictures."""
        kept = os.environ.get(KEEP_PICTURES)
        if kept and kept != FOR_DOCS:
            self._take(Path(kept) / f"{name}.png")

    def picture_for_docs(self, name: str, *, of: str | None = None) -> None:
        """Write the pictures that the documentation shows, light and dark, where someone asked for those."""
        if os.environ.get(KEEP_PICTURES) != FOR_DOCS:
            return
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            self._take(PICTURES / f"{name}-{scheme}.png", of)

    def _take(self, path: Path, of: str | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = self.page.locator(of).first if of else self.page
        path.write_bytes(taken.screenshot(animations="disabled"))
