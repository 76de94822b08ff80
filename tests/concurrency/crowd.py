"""Two replicas of the service on one database of their own, and what must hold there whatever was sent to them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg

from app.domain.moves import TASK_MOVES
from tests.conftest import connect
from tests.factories import RUNS, run_body
from tests.replicas import replica
from tests.waiting import PATIENCE_SECONDS, eventually

Call = Coroutine[Any, Any, httpx.Response]
Json = dict[str, Any]
Item = TypeVar("Item")

SOME = 150
"""Rounds of a race that are under way at once."""

MUST_BE_EMPTY: Mapping[str, str] = {
    "attempts are not numbered 1, 2, 3 up to the newest": """
        SELECT tasks.task_id FROM tasks LEFT JOIN task_attempts USING (task_id)
        GROUP BY tasks.task_id
        HAVING count(task_attempts.run_id) <> count(DISTINCT task_attempts.attempt)
            OR coalesce(max(task_attempts.attempt), 0) <> count(task_attempts.run_id)
            OR count(task_attempts.run_id) NOT IN (tasks.attempt - 1, tasks.attempt)
    """,
    "the newest attempt is over although the task is open or completed, or open although it failed": """
        SELECT tasks.task_id FROM tasks LEFT JOIN task_attempts USING (task_id, attempt)
        WHERE (tasks.status = 'failed' AND task_attempts.run_id IS NULL)
            OR (tasks.status NOT IN ('failed', 'cancelled') AND task_attempts.run_id IS NOT NULL)
            OR task_attempts.run_id <> tasks.run_id
    """,
    "a task sleeps although what it awaits was emitted": """
        SELECT tasks.task_id FROM tasks
        WHERE wait_step IS NOT NULL AND wait_all IS NULL AND EXISTS (
            SELECT 1 FROM event_waits JOIN events USING (queue, event_name)
            WHERE event_waits.task_id = tasks.task_id
                AND (events.workflow_run_id IS NULL OR events.workflow_run_id = tasks.workflow_run_id)
        )
        UNION ALL
        SELECT tasks.task_id FROM tasks
        WHERE wait_all IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM unnest(wait_all) AS name WHERE NOT EXISTS (
                SELECT 1 FROM events WHERE events.queue = tasks.queue AND events.event_name = name
                    AND (events.workflow_run_id IS NULL OR events.workflow_run_id = tasks.workflow_run_id)
            )
        )
    """,
    "waits do not belong to a task that awaits": """
        SELECT task_id FROM event_waits JOIN tasks USING (task_id) WHERE wait_step IS NULL
        UNION ALL
        SELECT task_id FROM tasks WHERE wait_step IS NOT NULL AND (
            status <> 'sleeping' OR ready_at IS NOT NULL
            OR NOT EXISTS (SELECT 1 FROM event_waits WHERE event_waits.task_id = tasks.task_id)
        )
    """,
    "a task waits for nothing": """
        SELECT task_id FROM tasks
        WHERE status IN ('pending', 'sleeping') AND ready_at IS NULL AND due_at IS NULL AND wait_step IS NULL
    """,
    "a run that failed or was cancelled has open tasks": """
        SELECT task_id FROM tasks JOIN workflow_runs AS run USING (workflow_run_id)
        WHERE run.status IN ('failed', 'cancelled') AND tasks.status IN ('pending', 'running', 'sleeping')
    """,
    "two tasks of one concurrency key are running": """
        SELECT queue, concurrency_key FROM tasks WHERE status = 'running' AND concurrency_key IS NOT NULL
        GROUP BY queue, concurrency_key HAVING count(*) > 1
    """,
    "a running task went to another lease without ending the first": """
        SELECT task_id FROM moves_seen WHERE was = 'running' AND becomes = 'running'
    """,
    "a lease was given that was not new": """
        SELECT task_id FROM moves_seen WHERE becomes = 'running' GROUP BY task_id, token HAVING count(*) > 1
    """,
    "an attempt was finished twice": """
        SELECT task_id FROM moves_seen
        WHERE was_attempt <> attempt OR becomes IN ('completed', 'failed')
        GROUP BY task_id, was_attempt
        HAVING count(*) FILTER (WHERE becomes IN ('completed', 'failed') OR was = 'running') > 1
    """,
    "a position of the change feed is missing, or was given twice": """
        SELECT last_position FROM (
            SELECT last_position, last_position - change_count AS before,
                lag(last_position, 1, 0::bigint) OVER (ORDER BY last_position) AS reached
            FROM changes
        ) AS part WHERE before <> reached
    """,
    "what was told of a run or a task are not its revisions, each once and in order": """
        SELECT kind, id, revision, place FROM (
            SELECT kind, change ->> 1 AS id, (change ->> 7)::bigint AS revision, row_number() OVER (
                PARTITION BY kind, change ->> 1 ORDER BY last_position - change_count + number
            ) AS place
            FROM changes, json_array_elements(changes) WITH ORDINALITY AS told (change, number)
            WHERE kind IN ('workflow_run', 'task') AND change ->> 0 <> 'deleted'
        ) AS told WHERE revision <> place
    """,
    "the last that was told of a task is not how it stands": """
        SELECT task_id FROM tasks LEFT JOIN (
            SELECT change ->> 1 AS id, max((change ->> 7)::bigint) AS revision
            FROM changes, json_array_elements(changes) AS change WHERE kind = 'task' GROUP BY 1
        ) AS told ON told.id = tasks.task_id::text
        WHERE told.revision IS DISTINCT FROM tasks.revision
    """,
    "a history of a run does not lead from one status to the next": """
        SELECT workflow_run_id FROM (
            SELECT workflow_run_id, from_status, lag(to_status) OVER (
                PARTITION BY workflow_run_id ORDER BY history_id
            ) AS before FROM workflow_run_history
        ) AS entry WHERE from_status IS DISTINCT FROM before
    """,
    "a run stands elsewhere than its history says": """
        SELECT workflow_run_id FROM workflow_runs WHERE status <> (
            SELECT to_status FROM workflow_run_history AS entry
            WHERE entry.workflow_run_id = workflow_runs.workflow_run_id ORDER BY history_id DESC LIMIT 1
        )
    """,
}


@dataclass(frozen=True)
class Crowd:
    """Clients of two replicas, and a connection to their database."""

    clients: Sequence[httpx.AsyncClient]
    url: str
    database: psycopg.Connection[Any]

    def __getitem__(self, number: int) -> httpx.AsyncClient:
        return self.clients[number % len(self.clients)]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(query.encode(), values).fetchall()

    def check(self) -> None:
        """Fail if anything is not as it must be."""
        while self.rows("SELECT number_changes(1000)") != [(None,)]:
            pass
        wrong = {fact: found for fact, query in MUST_BE_EMPTY.items() if (found := self.rows(query))}
        assert wrong == {}, wrong
        for was, becomes, was_attempt, attempt in self.rows(
            "SELECT was, becomes, was_attempt, attempt FROM moves_seen"
        ):
            by_itself = becomes in TASK_MOVES[was] and attempt - was_attempt == (
                1 if was == "running" and becomes in {"pending", "sleeping"} and attempt != was_attempt else 0
            )
            by_retry = was in {"failed", "cancelled"} and (becomes, attempt) == ("pending", was_attempt + 1)
            assert by_itself or by_retry or was == becomes, (was, becomes, was_attempt, attempt)

    async def spawn(self, queue: str, *specs: Json, count: int = 1) -> list[str]:
        """Return the ids of new tasks, one for each of ``specs``, or ``count`` of one kind."""
        tasks = [{"task_name": "work", "queue": queue, **spec} for spec in specs * count or [{}] * count]
        answer = await self[0].post("/v1/tasks/batch", json={"tasks": tasks})
        assert answer.status_code == 201, answer.text
        return [item["task_id"] for item in answer.json()["items"]]

    async def claim(self, queue: str, limit: int = 1, *, by: int = 0, **claim: Any) -> list[Json]:
        """Return tasks claimed on one of the replicas."""
        body = {"worker_id": f"worker-{by}", "limit": limit, **claim}
        answer = await self[by].post(f"/v1/queues/{queue}/claim", json=body)
        assert answer.status_code == 200, answer.text
        tasks: list[Json] = answer.json()["tasks"]
        return tasks

    async def create_runs(self, count: int, **changes: Any) -> list[Json]:
        body = {"workflow_runs": [run_body(**changes)] * count}
        answer = await self[0].post(f"{RUNS}/batch", json=body)
        assert answer.status_code == 201, answer.text
        runs: list[Json] = answer.json()["items"]
        return runs

    async def get_tasks(self, ids: Sequence[str]) -> dict[str, Json]:
        """Return tasks as they stand now, by id; those that exist."""
        answers = await asyncio.gather(*(self[0].get(f"/v1/tasks/{task_id}") for task_id in ids))
        return {task_id: a.json() for task_id, a in zip(ids, answers, strict=True) if a.status_code == 200}

    def count(self, queue: str) -> Counter[str]:
        """Return how many tasks of a queue there are, by status."""
        return Counter(dict(self.rows("SELECT status, count(*) FROM tasks WHERE queue = %s GROUP BY 1", queue)))


def report(client: httpx.AsyncClient, task: Json, call: str, **body: Any) -> Call:
    """Send a worker's call about a task it has claimed."""
    return client.post(f"/v1/tasks/{task['task_id']}/{call}", json={"lease_token": task["lease_token"], **body})


async def race(*calls: Call, seconds: float = PATIENCE_SECONDS, seed: int | None = 0) -> list[httpx.Response]:
    """Send all at once, shuffled, and return the answers in the order of ``calls``; none of them is a 5xx."""
    order = list(range(len(calls)))
    if seed is not None:
        random.Random(seed).shuffle(order)  # noqa: S311 - chance, not a secret
    async with asyncio.timeout(seconds):
        answers = dict(zip(order, await asyncio.gather(*(calls[place] for place in order)), strict=True))
    failed = [answer.text for answer in answers.values() if answer.status_code >= 500]
    assert failed == [], failed
    return [answers[place] for place in range(len(calls))]


def pairs(answers: Sequence[Item]) -> list[tuple[Item, Item]]:
    """Return ``answers`` two by two."""
    return list(zip(answers[::2], answers[1::2], strict=True))


def outcome(answer: httpx.Response) -> str:
    """Return what came of a call in a word: ok, or the code of its refusal."""
    code: str = "ok" if answer.is_success else answer.json()["code"]
    return code


@asynccontextmanager
async def crowding(url: str) -> AsyncIterator[Crowd]:
    """Give two replicas; at the end all must be as it must be, and Postgres must not have broken up a deadlock."""
    with connect(url) as connection:
        connection.execute(Path(__file__).with_name("story.sql").read_bytes())
        async with replica(url, database_pool_size=12) as one, replica(url, database_pool_size=12) as other:
            yield Crowd((one, other), url, connection)

        def look(query: bytes) -> int:
            row = connection.execute(query).fetchone()
            assert row
            return int(row[0])

        async def is_alone() -> bool:
            connections = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return look(connections) == 1

        await eventually(is_alone)
        assert look(b"SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def until(look: Callable[[], Awaitable[Item | None]]) -> Item:
    """Return the first true answer of ``look``, within the time that the housekeeping may take and some more."""
    return await eventually(look)
