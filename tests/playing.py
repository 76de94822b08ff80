"""Scripts played live over HTTP, step by step beside their simulation."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from sqlalchemy import text

from app.db.engine import Database
from tests.definitions import WORKFLOWS, task, workflow
from tests.executing import (
    Json,
    let_pass,
    pass_run_time,
    start_run,
    status_of,
    steps_of,
)
from tests.factories import QUEUES, RUNS, reported
from tests.waiting import eventually

START: Mapping[str, Any] = {"do": "start"}
QUEUE = "default"
SLACK_SECONDS = 0.4
"""How much sooner than in the simulation things may come due: what the calls themselves take is not quite known."""


def child_definition(name: str) -> Json:
    """Return the definition of a child run whose result is that of its only work item, by the name `work`."""
    return workflow(task("work", result_key="work"), name=name)


class Player:
    """A run of a definition that is played live; after each action it must stand as it does in the simulation."""

    def __init__(self, client: httpx.AsyncClient, database: Database, definition: Any) -> None:
        self.client = client
        self.database = database
        self.definition = definition
        self.script: list[Json] = []
        self.traces: Sequence[Json] = []
        self.since = 0.0
        self.held: dict[str, Json] = {}
        """Claimed work items by path."""
        self.run: Json = {}
        self.begun: Json = {}
        self.seen: Json = {}
        """What the simulation says of the last action."""
        self.final: Json = {}

    async def begin(self, inputs: Any = None, *, strict_templates: bool = False) -> None:
        """Start the run, and its simulation with the same facts."""
        body = {"inputs": {} if inputs is None else inputs, "strict_templates": strict_templates}
        self.since = asyncio.get_running_loop().time()
        self.run = await start_run(self.client, self.definition["name"], **body)
        day = self.run["data_interval_start"][:10]
        facts = {"id": self.run["workflow_run_id"], "ds": day, "run_date": day}
        facts |= {name: self.run[name] for name in ("data_interval_start", "data_interval_end")}
        self.begun = {**body, "run": facts, "start_time": self.run["started_at"]}
        await self.follow(START)

    async def take(self, action: Mapping[str, Any]) -> None:
        """Take one action of a script; an error that is a text becomes the message of one, as workers report them."""
        if isinstance(action.get("error"), str):
            action = {**action, "error": {"name": "Error", "message": action["error"]}}
        if action["do"] == "child":
            done = action.get("result")
            action = {**action, "result": {"work": done} if action["status"] == "completed" else None}
        await self.stand_still()
        match action["do"]:
            case "complete":
                body = {name: action[name] for name in ("result", "memory") if name in action}
                await reported(self.client, self.held.pop(action["task"]), "complete", **body)
            case "fail":
                body = {name: action[name] for name in ("error", "retryable") if name in action}
                await reported(self.client, self.held.pop(action["task"]), "fail", **body)
            case "event":
                address = f"{QUEUES}/{QUEUE}/events/{action['event']}"
                response = await self.client.post(address, json={"payload": action.get("payload")})
                assert response.status_code in (200, 201), response.text
            case "child":
                await self.end_child(action)
            case "advance":
                await let_pass(self.database, self.run, action["seconds"] + SLACK_SECONDS)
                await pass_run_time(self.database, self.run, -SLACK_SECONDS)
            case "cancel":
                response = await self.client.post(
                    f"{RUNS}/{self.run['workflow_run_id']}/cancel", json={"grace_seconds": 0}
                )
                assert response.status_code == 200, response.text
        await self.follow(action)

    async def stand_still(self) -> None:
        """Take the time back that has passed since the last call, so that only the script lets time pass."""
        now = asyncio.get_running_loop().time()
        await pass_run_time(self.database, self.run, self.since - now)
        self.since = now

    async def end_child(self, action: Mapping[str, Any]) -> None:
        """Let a child run end with a result."""
        child = await self.find_child(action["task"], action["child"])
        if action["status"] == "cancelled":
            cancel = f"{RUNS}/{child}/cancel"
            assert (await self.client.post(cancel, json={"grace_seconds": 0})).status_code == 200
            return
        held = self.held.pop(f"{child}/work")
        if action["status"] == "completed":
            await reported(self.client, held, "complete", result=action["result"]["work"])
        else:
            await reported(self.client, held, "fail", retryable=False)

    async def find_child(self, path: str, name: str) -> str:
        """Return the id of the newest run that a step has started under a name."""
        query = """
            SELECT workflow_run_id FROM workflow_executions JOIN workflow_runs USING (workflow_run_id)
            WHERE parent_workflow_run_id = CAST(:run AS uuid) AND parent_step = :path AND parent_child = :name
            ORDER BY created_at DESC LIMIT 1
        """
        values = {"run": self.run["workflow_run_id"], "path": path, "name": name}
        async with self.database.transaction() as tx:
            return str((await tx.execute(text(query), values)).scalar_one())

    async def follow(self, action: Mapping[str, Any]) -> None:
        """Compare with the simulation."""
        self.script.append({name: value for name, value in action.items() if name != "then"})
        body = {"definition": self.definition, "steps": self.script, **self.begun}
        response = await self.client.post(f"{WORKFLOWS}/simulate", json=body)
        assert response.status_code == 200, response.text
        simulated = response.json()
        self.traces = simulated["steps"]
        self.seen, self.final = simulated["steps"][-1]["then"], simulated["final"]
        await self.claim()
        self.compare_work()

        async def stands() -> bool:
            return bool(await self.statuses() == self.final["tasks"])

        try:
            await eventually(stands)
        except TimeoutError:
            stand = await self.statuses()
            assert stand == self.final["tasks"], {"script": self.script, **_differences(stand, self.final["tasks"])}
        assert await status_of(self.client, self.run) == self.final["run_status"], self.script

    async def statuses(self) -> dict[str, str]:
        """Return where the steps stand; one that a worker holds can be run, as the simulation calls it."""
        steps = await steps_of(self.client, self.run)
        return {
            path: "runnable" if step["status"] == "running" and step["task_id"] else step["status"]
            for path, step in steps.items()
        }

    async def claim(self) -> None:
        """Claim all work there is."""
        for path, held in (await claim_steps_of_all(self.client)).items():
            run_id, _, step = path.partition("/")
            self.held[step if run_id == self.run["workflow_run_id"] else path] = held

    def compare_work(self) -> None:
        """Fail if a work item is not there that workers should have, or is another."""
        for item in self.seen.get("runnable", []):
            status = self.final["tasks"][item["task"]]
            if status == "cancelled" or item["task"] in (*self.seen.get("failed", []), *self.seen.get("timed_out", [])):
                continue  # it was over again before anybody could claim it
            held = self.held.get(item["task"])
            assert held is not None, (item, self.script)
            params = {"args": item.get("args", []), "kwargs": item.get("kwargs", {})}
            assert (held["task_name"], held["params"], held["attempt"]) == (
                item["function"],
                params,
                item["attempt"],
            ), self.script


async def claim_steps_of_all(client: httpx.AsyncClient) -> dict[str, Json]:
    """Return all work items of all runs that can be claimed, by run and path."""
    body = {"worker_id": "player", "limit": 1000, "lease_seconds": 3600}
    response = await client.post(f"{QUEUES}/{QUEUE}/claim", json=body)
    return {f"{task['workflow_run_id']}/{task['step']}": task for task in response.json()["tasks"]}


def _differences(live: Mapping[str, str], simulated: Mapping[str, str]) -> Json:
    paths = [path for path in sorted({*live, *simulated}) if live.get(path) != simulated.get(path)]
    return {path: f"{live.get(path)} instead of {simulated.get(path)}" for path in paths}
