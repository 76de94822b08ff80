"""Links over HTTP: where a person finds more about a workflow run."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from app.api.answers import answer_put
from app.api.calls import CurrentCaller, IfMatch, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.errors import NotFound, PreconditionFailed, TooManyLinks
from app.services import links as service
from milepost.schemas.links import LINK_NAME_MAX_LENGTH, Link, LinkPut
from milepost.schemas.operations import Scope

router = APIRouter(prefix="/v1/workflow-runs/{workflow_run_id}/links", tags=["workflow runs"], route_class=Door)
LinkName = Annotated[
    str, Path(min_length=1, max_length=LINK_NAME_MAX_LENGTH, description="Names it in `links`.", examples=["dashboard"])
]


@router.put(
    "/{name:text}",
    response_model=Link,
    responses=problems(NotFound, TooManyLinks, PreconditionFailed)
    | {201: {"model": Link, "description": "It is new."}},
)
@needs(Scope.write)
async def put_link(
    workflow_run_id: UUID, name: LinkName, body: LinkPut, tx: WriteTx, caller: CurrentCaller, if_match: IfMatch
) -> Response:
    """Put a link on a workflow run, also on one that has ended: 201 when the name is new, else 200.

    It stands in `links` of the run and makes a revision; the same link again changes nothing. A run has at most 50.
    """
    put = await service.put_link(tx, workflow_run_id, name, body, caller, if_match)
    return answer_put(put.link, is_new=put.is_new)


@router.delete("/{name:text}", status_code=204, responses=problems(NotFound, PreconditionFailed))
@needs(Scope.write)
async def delete_link(
    workflow_run_id: UUID, name: LinkName, tx: WriteTx, caller: CurrentCaller, if_match: IfMatch
) -> None:
    """Take a link off a workflow run."""
    await service.delete_link(tx, workflow_run_id, name, caller, if_match)
