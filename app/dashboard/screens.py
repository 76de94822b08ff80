"""The addresses of the page: browsers get the page at each of them, and the page shows the screen that it means."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.api.door import Door, leaves_parameters, needs
from app.api.problems import nothing_here
from app.dashboard.assets import read_assets, read_document
from app.services.operations import service_version

SCREENS = ("runs", "tasks", "queues", "workflows", "schedules", "monitors", "webhooks", "keys", "retention", "bulk")
"""What addresses of the page begin with; `web/src/routes.ts` says what each shows."""
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}

router = APIRouter(route_class=Door, include_in_schema=False)


@router.get("/")
@needs(None)
@leaves_parameters
async def show_index(request: Request) -> Response:
    """Show browsers the page; say to everybody else in five lines what this is and where to go."""
    if _is_browser(request):
        return _answer_page(request)
    return PlainTextResponse(
        f"Milepost {service_version()}: workflow runs and their tasks over plain HTTP\n"
        '  create   curl --json \'{"workflow_name": "etl", "workflow_version": "1"}\' /v1/workflow-runs\n'
        "  list     curl -H 'Accept: text/plain' /v1/workflow-runs\n"
        "  API      /docs, /openapi.json, /problems\n"
        "  health   /livez, /readyz, /metrics, /v1/version\n",
        headers={"Vary": "Accept"},
    )


@router.get("/assets/{file:text}")
@needs(None)
async def show_asset(request: Request, file: str) -> Response:
    """Return a file of the page, to be kept for a year: its address changes when it does."""
    asset = read_assets().get(file)
    if asset is None:
        raise nothing_here(())
    coding, body = asset.body_for(request.headers.get("accept-encoding", ""))
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if coding != "identity":
        headers["Content-Encoding"] = coding
    return Response(body, headers=headers, media_type=asset.media_type)


@leaves_parameters
async def show_screens(request: Request) -> Response:
    """Show browsers the page at the address of a screen that lists."""
    return _show_screen(request)


@leaves_parameters
async def show_screen(request: Request, rest: str) -> Response:  # noqa: ARG001 - the page reads the address itself
    """Show browsers the page at the address of a screen about one thing."""
    return _show_screen(request)


for _screen in SCREENS:
    router.get(f"/{_screen}")(needs(None)(show_screens))
    router.get(f"/{_screen}/{{rest:text}}")(needs(None)(show_screen))


def _show_screen(request: Request) -> Response:
    if not _is_browser(request):
        raise nothing_here(())
    return _answer_page(request)


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _answer_page(request: Request) -> Response:
    document = read_document()
    headers = _HEADERS | {"ETag": document.etag}
    if document.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(document.text, headers=headers, media_type="text/html")
