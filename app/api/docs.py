"""The page `/docs`: Swagger UI as it comes, from this package, so that it works without the internet."""

from pathlib import Path
from weakref import WeakKeyDictionary

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.api.answers import answer_json
from app.api.door import Door, needs
from app.api.html import answer_html
from app.api.problems import nothing_here
from app.domain.json_texts import write_json
from app.execution.threads import DRAWING

SWAGGER_UI = "5.35.0"
"""Its version; part of the addresses of its files, so that browsers may keep them."""
FOLDER = Path(__file__).with_name("swagger_ui")
_MAY_LOAD = "script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
_PAGE = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Milepost: API</title>
<link rel="stylesheet" href="docs/{SWAGGER_UI}/swagger-ui.css">
<link rel="icon" href="docs/{SWAGGER_UI}/favicon-32x32.png">
<noscript>This page needs JavaScript. The document that it shows is <a href="openapi.json">/openapi.json</a>.</noscript>
<div id="swagger-ui"></div>
<script src="docs/{SWAGGER_UI}/swagger-ui-bundle.js"></script>
<script src="docs/{SWAGGER_UI}/milepost.js"></script>
</html>
"""

router = APIRouter(route_class=Door, include_in_schema=False)


_FILES = StaticFiles(directory=FOLDER)
_TEXTS: WeakKeyDictionary[FastAPI, bytes] = WeakKeyDictionary()
"""The OpenAPI document of each application of this process."""


@router.get("/openapi.json")
@needs(None)
async def show_openapi(request: Request) -> Response:
    """Describe every operation for programs."""
    app: FastAPI = request.app
    text = _TEXTS.get(app)
    if text is None:
        text = await DRAWING.run(_write_document, app)
    return answer_json(text)


def _write_document(app: FastAPI) -> bytes:
    """Return the document as JSON, written once: making it takes half a second, which nobody else shall wait for."""
    if app not in _TEXTS:
        _TEXTS[app] = write_json(app.openapi())
    return _TEXTS[app]


@router.get("/docs")
@needs(None)
async def show_docs() -> Response:
    """Show every operation, and try it out."""
    return answer_html(_PAGE, _MAY_LOAD)


@router.get(f"/docs/{SWAGGER_UI}/{{file:text}}")
@needs(None)
async def show_file(request: Request, file: str) -> Response:
    """Return a file of the page, to be kept for a year: its address changes when it does."""
    try:
        response = await _FILES.get_response(file, request.scope)
    except HTTPException:
        raise nothing_here(()) from None
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
