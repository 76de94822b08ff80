"""What goes over the wire, by example: for the documentation, and sent as it stands by its tests."""

from typing import Any

Example = dict[str, Any]

REPORTED_PROGRESS: Example = {"done": 1200, "total": 48213, "unit": "rows", "message": "loading orders"}

RUN_CREATE: Example = {
    "workflow_name": "nightly_etl",
    "workflow_version": "1.0.0",
    "inputs": {"day": "2026-01-31", "tables": ["orders", "customers"]},
    "created_by": "cron@db1",
    "tags": {"env": "prod", "team": "data"},
    "workflow_hash": "git:4f2a9c1",
    "task_count": 12,
    "deadline_seconds": 7200,
}

RUN_RECORD: Example = {
    "workflow_name": "nightly_backup",
    "workflow_version": "1",
    "status": "completed",
    "started_at": "2026-01-31T02:00:00Z",
    "completed_at": "2026-01-31T02:14:30Z",
    "result": {"bytes": 52428800},
}

RUN_BATCH: Example = {
    "workflow_runs": [
        {"workflow_name": "nightly_etl", "workflow_version": "1.0.0", "inputs": {"day": "2026-01-30"}},
        {"workflow_name": "nightly_etl", "workflow_version": "1.0.0", "inputs": {"day": "2026-01-31"}},
    ]
}

RUN_UPDATE: Example = {
    "status": "failed",
    "error": {"type": "TimeoutError", "message": "no answer from the warehouse in 30 s"},
    "tags": {"on_call": "ada"},
}

LOG_APPEND: Example = {
    "lines": [
        {"text": "loaded 1200 rows", "at": "2026-02-01T02:00:07Z", "level": "info", "fields": {"table": "orders"}},
        {"text": "2 rows have no customer", "level": "warning"},
    ]
}

PROGRESS: Example = {
    "total": 12,
    "pending": 0,
    "running": 0,
    "sleeping": 0,
    "completed": 12,
    "failed": 0,
    "cancelled": 0,
    "percent": 100.0,
}

RUN: Example = {
    "workflow_run_id": "0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f",
    "workflow_name": "nightly_etl",
    "workflow_version": "1.0.0",
    "display_name": "nightly_etl__1.0.0",
    "workflow_hash": "git:4f2a9c1",
    "status": "completed",
    "reason": None,
    "queue": "default",
    "inputs": {"day": "2026-01-31", "tables": ["orders", "customers"]},
    "result": {"rows": 48213},
    "error": None,
    "tags": {"env": "prod", "team": "data"},
    "links": {"dashboard": {"url": "https://grafana.example.com/d/etl", "title": "Dashboard"}},
    "reported_progress": REPORTED_PROGRESS,
    "created_by": "cron@db1",
    "absurd_run_id": None,
    "parent_workflow_run_id": None,
    "rerun_of_workflow_run_id": None,
    "schedule_id": None,
    "data_interval_start": None,
    "data_interval_end": None,
    "task_count": 12,
    "attempt": 1,
    "revision": 3,
    "cancel_requested_at": None,
    "paused_at": None,
    "deadline_at": "2026-02-01T04:00:00Z",
    "expected_by": "2026-02-01T03:00:00Z",
    "late_at": None,
    "heartbeat_seconds": None,
    "heartbeat_expires_at": None,
    "created_at": "2026-02-01T02:00:00Z",
    "started_at": "2026-02-01T02:00:01.250000Z",
    "completed_at": "2026-02-01T02:14:37.821000Z",
    "updated_at": "2026-02-01T02:14:37.821000Z",
    "progress": PROGRESS,
}

WORKFLOW_DOCUMENT: Example = {
    "name": "nightly_etl",
    "version": "1.0.0",
    "description": "Loads yesterday's orders",
    "tasks": {
        "extract": {
            "task_id": "extract",
            "operator_type": "task",
            "function": "etl.extract",
            "args": ["{{ds}}"],
            "result_key": "rows",
        },
        "load": {
            "task_id": "load",
            "operator_type": "task",
            "function": "etl.load",
            "args": ["{{rows}}"],
            "dependencies": ["extract"],
            "retry_policy": {"max_retries": 2, "delay": "PT30S"},
        },
    },
}

WORKFLOW: Example = {
    "workflow_name": "nightly_etl",
    "workflow_version": "1.0.0",
    "workflow_hash": "a2d7fa12b6ecbc93d1bc5a5e86b2ee2c1d05a24a0e5a4a3e3b9a3a4e57df4b4f",
    "description": "Loads yesterday's orders",
    "warnings": [],
    "created_by": "deploy",
    "created_at": "2026-01-31T09:30:00Z",
}

WORKFLOW_GRAPH: Example = {
    "nodes": [
        {"id": "is_new", "task_id": "is_new", "operator_type": "condition", "scope": ""},
        {"id": "load", "task_id": "load", "operator_type": "task", "scope": ""},
    ],
    "edges": [{"from": "is_new", "to": "load", "kind": "choice", "label": "true"}],
}

SIMULATION: Example = {
    "definition": WORKFLOW_DOCUMENT,
    "inputs": {"tables": ["orders"]},
    "steps": [
        {"do": "start"},
        {"do": "complete", "task": "extract", "result": 48213},
        {"do": "fail", "task": "load", "error": {"message": "the warehouse is full"}},
        {"do": "advance", "seconds": 30},
    ],
}

SIMULATED: Example = {
    "steps": [
        {
            "do": "start",
            "then": {
                "runnable": [{"task": "extract", "attempt": 1, "function": "etl.extract", "args": ["2025-01-15"]}]
            },
        },
        {
            "do": "complete",
            "task": "extract",
            "result": 48213,
            "then": {
                "completed": ["extract"],
                "runnable": [{"task": "load", "attempt": 1, "function": "etl.load", "args": [48213]}],
            },
        },
        {
            "do": "fail",
            "task": "load",
            "error": {"message": "the warehouse is full"},
            "then": {"retry_in": [{"task": "load", "seconds": 30, "next_attempt": 2}]},
        },
        {
            "do": "advance",
            "seconds": 30,
            "then": {"runnable": [{"task": "load", "attempt": 2, "function": "etl.load", "args": [48213]}]},
        },
    ],
    "final": {"run_status": "running", "tasks": {"extract": "completed", "load": "runnable"}},
}

SCHEDULE_CREATE: Example = {
    "workflow_name": "nightly_etl",
    "cron": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "start_at": "2026-01-01T00:00:00Z",
    "catchup": True,
    "inputs": {"tables": ["orders", "customers"]},
    "tags": {"team": "data"},
    "created_by": "ada",
}

SCHEDULE_UPDATE: Example = {"cron": "30 3 * * MON-FRI", "end_at": "2026-12-31T23:00:00Z", "max_active_runs": 2}

BACKFILL: Example = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}

SCHEDULE: Example = {
    "schedule_id": "0197c2a4-7e10-7b2c-8d00-4f5a6b7c8d9e",
    "workflow_name": "nightly_etl",
    "workflow_version": None,
    "workflow_id": None,
    "cron": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "start_at": "2026-01-01T00:00:00Z",
    "end_at": None,
    "catchup": True,
    "max_active_runs": 1,
    "overlap": "wait",
    "paused": False,
    "paused_reason": None,
    "queue": "default",
    "inputs": {"tables": ["orders", "customers"]},
    "tags": {"team": "data"},
    "created_by": "ada",
    "next_fire_at": "2026-02-02T01:00:00Z",
    "last_fire_at": "2026-02-01T01:00:00Z",
    "active_runs": 1,
    "created_at": "2026-01-31T09:30:00Z",
    "updated_at": "2026-01-31T09:30:00Z",
    "revision": 1,
}

MONITOR_SETTINGS: Example = {
    "workflow_name": "nightly_etl",
    "cron": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "grace_seconds": 600,
    "max_runtime_seconds": 7200,
    "tags": {"team": "data"},
}
MONITOR: Example = {
    "name": "nightly-etl",
    "workflow_name": "nightly_etl",
    "cron": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "every_seconds": None,
    "grace_seconds": 600,
    "max_runtime_seconds": 7200,
    "tags": {"team": "data"},
    "paused": False,
    "paused_reason": None,
    "created_by": "ada",
    "state": "ok",
    "last_run_id": "0197c2a4-5d3e-7b27-9a10-3c4d5e6f7a8b",
    "last_ok_at": "2026-02-01T01:12:40.120000Z",
    "next_expected_at": "2026-02-02T01:00:00Z",
    "late_since": None,
    "consecutive_failures": 0,
    "created_at": "2026-01-31T09:30:00Z",
    "updated_at": "2026-01-31T09:30:00Z",
    "revision": 1,
}
MONITOR_PING: Example = {"state": "failed", "message": "no answer from the warehouse in 30 s"}

WORKFLOW_STEP: Example = {
    "path": "process_branches.branch_a.process_a",
    "status": "completed",
    "operator_type": "task",
    "attempt": 2,
    "task_id": "0197c2a4-6f10-7b2a-8c00-2f3e4d5c6b7a",
    "result": {"rows": 12},
    "error": {"name": "TimeoutError", "message": "no answer from the warehouse in 30 s"},
    "awaits": None,
    "due_at": None,
    "started_at": "2026-02-01T02:00:04.120000Z",
    "completed_at": "2026-02-01T02:00:41.870000Z",
}

RUN_WARNING: Example = {
    "path": "load",
    "code": "unresolved_template",
    "expression": "transformed_dat",
    "detail": "load: {{transformed_dat}} has no value; the text was left as it stands",
    "at": "2026-02-01T02:00:42Z",
}

EXPLANATION: Example = {
    "status": "sleeping",
    "since": "2026-01-31T09:30:00Z",
    "summary": "The task send_invoice is sleeping: it waits for the event order-1234/paid, until 2026-02-01T09:30:00Z.",
    "reasons": [
        {
            "code": "waits_for_event",
            "text": "it waits for the event order-1234/paid, until 2026-02-01T09:30:00Z",
            "since": "2026-01-31T09:30:00Z",
            "until": "2026-02-01T09:30:00Z",
            "subject": {
                "task_id": "0197c2a4-6f10-7b2a-8c00-2f3e4d5c6b7a",
                "queue": "mail",
                "event_name": "order-1234/paid",
            },
            "fix": {"method": "POST", "path": "/v1/queues/mail/events/order-1234%2Fpaid", "body": {}},
        }
    ],
    "more": 0,
}

CHANGE: Example = {
    "position": 48213,
    "at": "2026-01-31T02:00:05.120000Z",
    "kind": "task",
    "verb": "claimed",
    "id": "0197c2a4-6a00-7b10-8000-1f2e3d4c5b6a",
    "workflow_run_id": "0197c2a4-5b1e-7c3d-9f00-6a1b2c3d4e5f",
    "workflow_name": "nightly_etl",
    "queue": "default",
    "status": "running",
    "attempt": 1,
    "revision": 2,
    "reason": None,
    "actor": "worker-7@db1",
}
