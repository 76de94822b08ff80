"""A report for each night, and for the nights that have gone by.

Shows: a definition with a schedule, when it fires next, and a backfill: a run for each night that has none yet. The run
of a night is about the interval that ends then: at two o'clock on the 2nd, `{{ds}}` is the 1st.

Let a worker call the function, and run this from another terminal, as often as you like:
    $ milepost worker --functions nightly_report --queue reports
    $ python nightly_report.py 2026-01-01 2026-01-04
"""

import sys

from milepost import Client

__all__ = ["report"]

DEFINITION = {
    "name": "nightly_report",
    "version": "1",
    "tasks": {
        "report": {
            "task_id": "report",
            "operator_type": "task",
            "function": "nightly_report.report",
            "args": ["{{ds}}"],
            "result_key": "report",
        }
    },
}


def report(day: str) -> str:
    """Write the report of a day."""
    return f"report of {day}"


def main(first: str, last: str) -> None:
    """Make the schedule, and have the nights from ``first`` to before ``last`` done now."""
    with Client() as client:
        client.register_workflow(DEFINITION)
        known = client.list_schedules(workflow_name="nightly_report").items
        schedule = known[0] if known else client.create_schedule("nightly_report", "0 2 * * *", queue="reports")
        print("next", client.list_next_firings(schedule.schedule_id, count=1).items[0].fire_at)
        filled = client.backfill_schedule(schedule.schedule_id, f"{first}T00:00:00Z", f"{last}T00:00:00Z")
        for night in filled.items:
            run = client.wait_for_workflow_run(night.workflow_run_id, timeout_seconds=60)
            print(night.fire_at, run.status, run.result)


if __name__ == "__main__":
    main(*sys.argv[1:])
