"""A stock FastAPI application that takes the body of a create, checks it and answers with it: no door, no database."""

from fastapi import FastAPI

from milepost.schemas.workflow_runs import WorkflowRunCreate

app = FastAPI()


@app.post("/v1/workflow-runs", status_code=201)
async def create_workflow_run(body: WorkflowRunCreate) -> WorkflowRunCreate:
    """Answer as if the run had been recorded."""
    return body
