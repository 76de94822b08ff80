"""Pages for people: what each problem means."""

import inspect
from base64 import b64encode
from hashlib import sha256
from html import escape

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.api.door import Door, needs
from app.api.html import answer_html
from app.errors import PROBLEMS, NotFound, Refusal

router = APIRouter(route_class=Door, include_in_schema=False)

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}code{background:#8882}"
)
_MAY_LOAD = f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"


@router.get("/problems")
@needs(None)
async def list_problems(request: Request) -> Response:
    """List every problem type."""
    lines = [f"/problems/{code}  {problem.status}  {problem.title}" for code, problem in sorted(PROBLEMS.items())]
    return _page(request, "Problems", "\n\n".join(lines))


@router.get("/problems/{code}")
@needs(None)
async def show_problem(request: Request, code: str) -> Response:
    """Explain one problem type."""
    if code not in PROBLEMS:
        raise NotFound("there is no such problem; /problems lists them")
    problem: type[Refusal] = PROBLEMS[code]
    return _page(request, f"{problem.status} {problem.title} ({code})", inspect.getdoc(problem) or "")


def _page(request: Request, title: str, text: str) -> Response:
    """Return a page as HTML to browsers and as text to everybody else."""
    headers = {"Vary": "Accept"}
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(f"{title}\n\n{text}\n", headers=headers)
    paragraphs = "".join(f"<p>{_with_code(part)}</p>" for part in escape(text).split("\n\n"))
    return answer_html(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{paragraphs}</html>",
        _MAY_LOAD,
        headers,
    )


def _with_code(text: str) -> str:
    """Return ``text`` with what stands in backquotes as code."""
    parts = text.split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
