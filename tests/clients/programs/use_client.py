"""What a user of the generated Python client writes; prints what it saw as JSON."""

import json
import sys
from uuid import UUID

from milepost_client import AuthenticatedClient
from milepost_client.api.workflow_runs import (
    create_workflow_run,
    get_workflow_run,
    list_workflow_runs,
    update_workflow_run_status,
)
from milepost_client.models import (
    ConflictProblem,
    Problem,
    RunOrder,
    RunStatus,
    TagChanges,
    Tags,
    WorkflowRun,
    WorkflowRunCreate,
    WorkflowRunPage,
    WorkflowRunUpdate,
)


def create(client: AuthenticatedClient) -> tuple[WorkflowRun, dict[str, object]]:
    tags = Tags()
    tags["client"] = "python"
    body = WorkflowRunCreate(workflow_name="nightly_etl", workflow_version="1.0.0", inputs={"day": 31}, tags=tags)
    first = create_workflow_run.sync_detailed(client=client, body=body, idempotency_key="python-1")
    again = create_workflow_run.sync_detailed(client=client, body=body, idempotency_key="python-1")
    assert isinstance(first.parsed, WorkflowRun)
    assert isinstance(again.parsed, WorkflowRun)
    return first.parsed, {
        "created": [first.status_code.value, again.status_code.value],
        "same_run": first.parsed.workflow_run_id == again.parsed.workflow_run_id,
        "inputs": again.parsed.inputs,
    }


def find(client: AuthenticatedClient) -> list[str]:
    page = list_workflow_runs.sync(
        client=client,
        workflow_name=["nightly_etl"],
        tag=["client:python"],
        order=RunOrder.CREATED_AT_DESCENDING,
        limit=10,
    )
    assert isinstance(page, WorkflowRunPage)
    return [run.status.value for run in page.items]


def complete(client: AuthenticatedClient, run: WorkflowRun) -> dict[str, object]:
    changes = TagChanges()
    changes["client"] = None
    change = WorkflowRunUpdate(status=RunStatus.COMPLETED, result={"rows": 3}, tags=changes)
    done = update_workflow_run_status.sync(run.workflow_run_id, client=client, body=change, if_match='"1"')
    assert isinstance(done, WorkflowRun)
    return {"status": done.status.value, "result": done.result, "tags": done.tags.to_dict()}


def be_refused(client: AuthenticatedClient, run: WorkflowRun) -> dict[str, object]:
    failing = WorkflowRunUpdate(status=RunStatus.FAILED)
    refused = update_workflow_run_status.sync(run.workflow_run_id, client=client, body=failing)
    unknown = get_workflow_run.sync(UUID(int=0), client=client)
    assert isinstance(refused, ConflictProblem)
    assert isinstance(unknown, Problem)
    return {"conflict": refused.code, "allowed": refused.allowed, "unknown": unknown.code}


def main(url: str, key: str) -> None:
    client = AuthenticatedClient(base_url=url, token=key)
    run, created = create(client)
    facts = created | {"found": find(client), "completed": complete(client, run), "refused": be_refused(client, run)}
    sys.stdout.write(json.dumps(facts))


main(*sys.argv[1:])
