"""Health, version and metrics of the service over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from app.api.answers import answer
from app.api.calls import InKernel
from app.api.door import Door, needs, needs_no_database
from app.services import operations as service
from milepost.schemas.operations import Health, Scope, Version

router = APIRouter(tags=["operations"], route_class=Door)

_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "Something does not work; `checks` says what."}
}
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The Prometheus text format.",
        "content": {
            "text/plain": {"example": 'milepost_http_requests_total{operation="get_workflow_run",status="200"} 3.0\n'}
        },
    }
}

Verbose = Annotated[
    str | None,
    Query(pattern="^(true|false)?$", description="Whether to try a write as well.", examples=["true"]),
]


@router.get("/livez", response_model=Health)
@needs(None)
async def check_liveness() -> Response:
    """Answer 200 as long as the process can answer at all."""
    return answer(service.check_liveness())


@router.get("/readyz", response_model=Health, responses=_UNAVAILABLE)
@needs(None)
async def check_readiness(kernel: InKernel, verbose: Verbose = None) -> Response:
    """Answer 200 when requests can be served: the database answers, its schema fits, the housekeeping runs.

    503 otherwise, also while the process is about to stop; `checks` says what is wrong. With `?verbose` it tries a
    write as well, which is looked at like the rest: a synchronous standby may be away, or the disk full.
    """
    health = await service.check_readiness(
        kernel.database,
        kernel.housekeeping.overdue(10),
        draining=kernel.wakeups.draining,
        verbose=verbose in {"", "true"},
    )
    return answer(health, status=200 if health.status == service.OK else 503)


@router.get("/v1/version", response_model=Version)
@needs(None)
async def get_version(kernel: InKernel) -> Response:
    """Return the versions of the service, of Python, of Postgres and of the schema."""
    return answer(await service.get_version(kernel.database))


@router.get("/metrics", response_class=PlainTextResponse, responses=_METRICS)
@needs(Scope.read)
@needs_no_database
async def get_metrics() -> Response:
    """Return the metrics of this process for Prometheus."""
    return Response(service.write_metrics(), media_type=CONTENT_TYPE_LATEST)
