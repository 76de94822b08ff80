"""The page `/docs`: Swagger UI as it comes, from this package, so that it works without the internet."""

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from app.api.door import Door, needs
from app.api.html import answer_html

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


class KeptFiles(StaticFiles):
    """Files whose address changes when they do."""

    def file_response(self, full_path: str | os.PathLike[str], *arguments: Any, **options: Any) -> Response:
        """Return a file that may be kept for a year."""
        response = super().file_response(full_path, *arguments, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@router.get("/docs")
@needs(None)
async def show_docs() -> Response:
    """Show every operation, and try it out."""
    return answer_html(_PAGE, _MAY_LOAD)


router.routes.append(Mount(f"/docs/{SWAGGER_UI}", KeptFiles(directory=FOLDER), name="swagger_ui"))
