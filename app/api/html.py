"""Pages for browsers: each says what it may load, and that nobody may put it into a frame."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse


def answer_html(text: str, may_load: str, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return a page that loads only what ``may_load`` says, as directives of a Content-Security-Policy."""
    policy = f"default-src 'none'; {may_load}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return HTMLResponse(
        text, headers={**(headers or {}), "Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    )
