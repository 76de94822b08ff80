"""Definitions that tests register."""

from typing import Any

import httpx

WORKFLOWS = "/v1/workflows"
YAML = {"Content-Type": "application/yaml"}
LINEAR_YAML = """\
# Loads what is new.
name: linear
version: 1.0.0
tasks:
  extract: {task_id: extract, operator_type: task, function: etl.extract, result_key: rows}
  load:
    task_id: load
    operator_type: task
    function: etl.load
    args: ['{{rows}}']
    dependencies: [extract]
"""


def task(task_id: str, *dependencies: str, **members: Any) -> dict[str, Any]:
    """Return a task as a definition holds it."""
    return {
        "task_id": task_id,
        "operator_type": "task",
        "function": f"jobs.{task_id}",
        "dependencies": list(dependencies),
        **members,
    }


def workflow(*tasks: dict[str, Any], name: str = "linear", version: str = "1.0.0", **members: Any) -> dict[str, Any]:
    """Return a definition; without ``tasks``, of two steps."""
    chosen = tasks or (task("extract"), task("load", "extract"))
    return {"name": name, "version": version, "tasks": {step["task_id"]: step for step in chosen}, **members}


async def register(client: httpx.AsyncClient, *tasks: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a definition that was just registered, as the service answers."""
    response = await client.post(WORKFLOWS, json=workflow(*tasks, **members))
    assert response.status_code == 201, response.text
    registered: dict[str, Any] = response.json()
    return registered


def address(registered: dict[str, Any], *parts: str) -> str:
    """Return where a registered version is, or what belongs to it."""
    return "/".join([WORKFLOWS, registered["workflow_name"], registered["workflow_version"], *parts])
