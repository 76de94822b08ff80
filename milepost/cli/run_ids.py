"""Ids of workflow runs as people type them: whole, or the end of one."""

import re
from uuid import UUID

from milepost.cli.calls import call
from milepost.cli.exits import ExitCode, leave

_ENDING = re.compile(r"[0-9a-f-]{4,35}")
_PAGE = 200
_PAGES_MOST = 10


def find_run(url: str, text: str) -> UUID:
    """Return the id that ``text`` is, or is the end of among the newest runs; leave where there is not just one."""
    try:
        return UUID(text)
    except ValueError:
        ending = text.lower().lstrip(".…")
    if not _ENDING.fullmatch(ending):
        leave(ExitCode.USAGE, f"{text} is no id of a workflow run, nor the end of one (4 hexadecimal digits or more)")
    found = _find(url, ending)
    if not found:
        leave(ExitCode.REFUSED, f"none of the newest {_PAGE * _PAGES_MOST} runs ends in {text}; give the whole id")
    if len(found) > 1:
        leave(ExitCode.USAGE, f"{text} is the end of several runs: {', '.join(found[:5])}")
    return UUID(found[0])


def _find(url: str, ending: str) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(_PAGES_MOST):
        params = [("limit", _PAGE), *([("cursor", cursor)] if cursor else [])]
        page = call("GET", url, "/v1/workflow-runs", params=params).json()
        found += [run["workflow_run_id"] for run in page["items"] if run["workflow_run_id"].endswith(ending)]
        cursor = page["next_cursor"]
        if found or cursor is None:
            break
    return found
