"""What tests create."""

from typing import Any
from uuid import UUID

import httpx

RUNS = "/v1/workflow-runs"
UNKNOWN_ID = UUID("01890000-0000-7000-8000-000000000000")


def run_body(**changes: Any) -> dict[str, Any]:
    """Return the body that creates a workflow run."""
    return {"workflow_name": "nightly_etl", "workflow_version": "1.0.0", **changes}


async def create_run(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Return a workflow run that was just created."""
    response = await client.post(RUNS, json=run_body(**changes))
    assert response.status_code == 201, response.text
    run: dict[str, Any] = response.json()
    return run


async def patch_run(client: httpx.AsyncClient, run: dict[str, Any], **change: Any) -> httpx.Response:
    """Return the answer to a PATCH of ``run``."""
    return await client.patch(f"{RUNS}/{run['workflow_run_id']}", json=change)


async def run_in(client: httpx.AsyncClient, status: str, **changes: Any) -> dict[str, Any]:
    """Return a workflow run in ``status``."""
    run = await create_run(client, **changes)
    if status == "pending":
        return run
    response = await patch_run(client, run, status=status)
    assert response.status_code == 200, response.text
    moved: dict[str, Any] = response.json()
    return moved


def pointers(response: httpx.Response) -> list[str]:
    """Return the places that a 422 names."""
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in response.json()["errors"]]


def code(response: httpx.Response) -> str:
    """Return the code of a refusal."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == f"/problems/{problem['code']}"
    text: str = problem["code"]
    return text
