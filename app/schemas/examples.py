"""What goes over the wire, by example: for the documentation, and sent as it stands by its tests."""

from typing import Any

Example = dict[str, Any]

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
    "created_by": "cron@db1",
    "absurd_run_id": None,
    "parent_workflow_run_id": None,
    "task_count": 12,
    "attempt": 1,
    "revision": 3,
    "cancel_requested_at": None,
    "deadline_at": "2026-02-01T04:00:00Z",
    "heartbeat_seconds": None,
    "heartbeat_expires_at": None,
    "created_at": "2026-02-01T02:00:00Z",
    "started_at": "2026-02-01T02:00:01.250000Z",
    "completed_at": "2026-02-01T02:14:37.821000Z",
    "updated_at": "2026-02-01T02:14:37.821000Z",
    "progress": PROGRESS,
}
