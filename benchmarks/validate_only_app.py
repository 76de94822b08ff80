"""The service with one more route: the ceiling of a create, all of its HTTP and none of its database."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app import main
from app.api.door import Door, needs
from app.domain.progress import make_progress
from benchmarks.sampling import SAMPLES_FILE, sampling
from milepost.schemas.operations import Scope
from milepost.schemas.workflow_runs import RunStatus, WorkflowRun, WorkflowRunCreate

ADDRESS = "/v1/validate-only"
router = APIRouter(prefix=ADDRESS, tags=["benchmark"], route_class=Door)


@router.post("", status_code=201, response_model=WorkflowRun, responses={})
@needs(Scope.write)
async def validate_only(body: WorkflowRunCreate) -> Response:
    """Answer as if the run had been recorded."""
    now = datetime.now(UTC)
    run = WorkflowRun.model_construct(
        **body.__dict__,
        workflow_run_id=uuid7(),
        display_name=f"{body.workflow_name}__{body.workflow_version}",
        status=RunStatus.pending,
        reason=None,
        result=None,
        error=None,
        attempt=1,
        revision=1,
        cancel_requested_at=None,
        deadline_at=None,
        heartbeat_expires_at=None,
        created_at=now,
        started_at=None,
        completed_at=None,
        updated_at=now,
        progress=make_progress(body.task_count, {}),
    )
    headers = {"Location": f"{ADDRESS}/{run.workflow_run_id}", "ETag": '"1"'}
    return Response(run.model_dump_json(by_alias=True), 201, headers, "application/json")


def create_app() -> FastAPI:
    """Return the application; the additional route stands next to the one it is compared with."""
    app = main.create_app()
    names = [getattr(route, "name", "") for route in app.router.routes]
    app.router.routes[names.index("create_workflow_run") + 1 : 0] = router.routes
    if SAMPLES_FILE in os.environ:
        _sample_while_running(app, Path(os.environ[SAMPLES_FILE]))
    return app


def _sample_while_running(app: FastAPI, file: Path) -> None:
    run = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with run(app):
            with sampling(file):
                yield

    app.router.lifespan_context = lifespan
