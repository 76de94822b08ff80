"""What is looked at in need: why anything stands still, and pages of logs, beside a million runs, tasks and lines."""

from collections.abc import Mapping
from statistics import quantiles
from typing import LiteralString

import psycopg
from psycopg import sql

from benchmarks.calls import QUEUE, RUNS, always
from benchmarks.http import make_request
from benchmarks.load import drive
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.seeding import seed_runs
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table

TABLES = ("workflow_runs", "tasks", "log_lines")
MOST = 1_000_000
WAITING = 10_000
LINES_OF_ONE = 100_000
CONNECTIONS = (1, 8)
_TASKS = sql.SQL("""
INSERT INTO tasks (task_id, run_id, workflow_run_id, queue, task_name, params, headers, priority, max_attempts, status,
    created_at, started_at, first_started_at, completed_at, claimed_by, lease_token, error, ready_at)
SELECT gen_random_uuid(), gen_random_uuid(), workflow_run_id, {queue}, 'load_' || n % 50, '{{"n": 1}}', '{{}}', 0, 1,
    CASE WHEN waits THEN 'pending' WHEN status = 'failed' THEN 'failed' ELSE 'completed' END, created_at,
    CASE WHEN NOT waits THEN created_at END, CASE WHEN NOT waits THEN created_at END,
    CASE WHEN NOT waits THEN created_at + interval '1 minute' END, CASE WHEN NOT waits THEN 'worker_1' END,
    CASE WHEN NOT waits THEN gen_random_uuid() END,
    CASE WHEN NOT waits AND status = 'failed'
        THEN json_build_object('name', 'TimeoutError', 'message', 'no answer') END,
    CASE WHEN waits THEN created_at END
FROM (
    SELECT *, n <= {waiting} AS waits
    FROM (SELECT *, row_number() OVER (ORDER BY completed_at DESC NULLS FIRST) AS n FROM workflow_runs) AS numbered
) AS run
""")
_LINES = sql.SQL("""
INSERT INTO log_lines (workflow_run_id, attempt, level, at, text)
SELECT workflow_run_id, 1, n % 4, created_at + interval '1 second', 'loaded part ' || n || ' of the warehouse'
FROM (SELECT *, row_number() OVER () AS n FROM workflow_runs) AS run
UNION ALL
SELECT run.workflow_run_id, 1, CASE WHEN n % 1000 = 0 THEN 3 ELSE 1 END,
    run.created_at + n * interval '1 ms', 'loaded part ' || n || ' of the warehouse'
FROM (SELECT * FROM workflow_runs WHERE status = 'failed' ORDER BY workflow_run_id LIMIT 1) AS run,
    generate_series(1, {lines}) AS n
""")
_ASKED = sql.SQL("""
SELECT (SELECT workflow_run_id FROM workflow_runs WHERE status = 'failed' ORDER BY workflow_run_id LIMIT 1),
    workflow_run_id, task_id
FROM tasks JOIN workflow_runs USING (workflow_run_id)
WHERE tasks.status = 'pending' AND workflow_runs.status = 'running'
LIMIT 1
""")


def measure_seen(seconds: float) -> str:
    """Return a table of how long each question takes."""
    with running_postgres() as server_url:
        url = make_database(server_url, "seen")
        asked = _seed(url)
        with running_service(url) as service:
            rows = [[name, *_ask(service, target, seconds)] for name, target in asked.items()]
    header = ["ms", *(f"{connections} conn: {cut}" for connections in CONNECTIONS for cut in ("p50", "p95"))]
    return render_table(header, rows)


def _ask(service: Service, target: str, seconds: float) -> list[Cell]:
    question = always(make_request("GET", target))
    cells: list[Cell] = []
    for connections in CONNECTIONS:
        for length in (seconds / 5, seconds):
            block = drive(service.port, question, status=200, connections=connections, seconds=length)
        cuts = quantiles(block.latencies, n=100)
        cells += [cuts[49] * 1e3, cuts[94] * 1e3]
    return cells


def _seed(url: str) -> Mapping[str, str]:
    """Store it all, and return what is asked, by name."""
    with connect(url) as database:
        database.execute("INSERT INTO queues (queue) VALUES (%s) ON CONFLICT DO NOTHING", [QUEUE])
        _each_table(database, "ALTER TABLE {} DISABLE TRIGGER USER")
        seed_runs(database, MOST)
        database.execute(_TASKS.format(queue=sql.Literal(QUEUE), waiting=sql.Literal(WAITING)))
        database.execute(_LINES.format(lines=sql.Literal(LINES_OF_ONE)))
        _each_table(database, "ALTER TABLE {} ENABLE TRIGGER USER")
        _each_table(database, "VACUUM (ANALYZE) {}")
        ((failed, running, waiting),) = database.execute(_ASKED).fetchall()
    return {
        "list of runs": RUNS,
        "list of tasks": "/v1/tasks",
        "list of failed tasks": "/v1/tasks?status=failed",
        "why, failed run": f"{RUNS}/{failed}/why",
        "why, open run": f"{RUNS}/{running}/why",
        "why, waiting task": f"/v1/tasks/{waiting}/why",
        "log, first 100 lines": f"{RUNS}/{failed}/logs?limit=100",
        "log, last 100 lines": f"{RUNS}/{failed}/logs?tail=100",
        "log, errors": f"{RUNS}/{failed}/logs?level=error&limit=100",
        "log, a text": f"{RUNS}/{failed}/logs?q=part%209&limit=100",
    }


def _each_table(database: psycopg.Connection[object], statement: LiteralString) -> None:
    for table in TABLES:
        database.execute(sql.SQL(statement).format(sql.Identifier(table)))
