"""Every example runs as it says itself, against a real service."""

import json
import re
from typing import Any

import pytest

from tests.examples.programs import EXAMPLES, Programs, commands_of
from tests.waiting import wait_until

LINES_MOST = 60
TO_COPY_WHOLE = {"milepost.sh"}
"""Tools rather than texts to read: one file, however long."""
PROGRAMS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh", ".yaml"))


def runs_of(programs: Programs, name: str) -> list[dict[str, Any]]:
    """Return the runs of a workflow, oldest first."""
    items: list[dict[str, Any]] = programs.get("/workflow-runs", workflow_name=name, order="created_at")["items"]
    return items


def spawn(programs: Programs, command: str) -> str:
    """Return the id of the task that a command spawned with curl."""
    task_id: str = json.loads(programs.run(command))["task_id"]
    return task_id


class TestTrackedRuns:
    def test_cron_job_records_what_came_of_it(self, programs: Programs) -> None:
        good, bad, look = commands_of("cron_job.sh")
        assert programs.run(good) == "exported 1200 rows of 2026-11-22\n"
        programs.run(bad, code=4)
        completed, failed = runs_of(programs, "cron_job")
        assert (completed["status"], completed["inputs"], completed["result"]) == (
            "completed",
            {"day": "2026-11-22"},
            {"rows": 1200},
        )
        assert (failed["status"], failed["error"]) == ("failed", {"message": "exit code 4"})
        assert len(programs.run(look).splitlines()) == 3

    def test_cron_job_does_its_work_while_the_service_is_away(self, programs: Programs) -> None:
        away = "MILEPOST_URL=http://127.0.0.1:9 ./cron_job.sh"
        assert programs.run(f"{away} 2026-11-22") == "exported 1200 rows of 2026-11-22\n"
        programs.run(f"{away} 1999-12-31", code=4)

    def test_progress_is_counted_by_tasks(self, programs: Programs) -> None:
        (command,) = commands_of("progress.py")
        lines = programs.run(command).splitlines()
        assert lines[:3] == ["33 %  orders.csv", "67 %  customers.csv", "100 %  prices.csv"]
        (run,) = runs_of(programs, "progress")
        assert (run["status"], run["result"], run["progress"]["completed"]) == ("completed", {"rows": 3300}, 3)


class TestWorkers:
    def test_worker_works_each_kind_of_task(self, programs: Programs) -> None:
        work, *spawns, look = commands_of("worker.py")
        worker = programs.start(work)
        tasks = [programs.ended_task(spawn(programs, command)) for command in spawns]
        assert [(task["status"], task["result"]) for task in tasks] == [
            ("completed", {"width": 640, "height": 480}),
            ("failed", None),
            ("completed", "published all"),
        ]
        assert (tasks[1]["reason"], tasks[1]["error"]["message"]) == (
            "not_retryable",
            "an image is at least one pixel wide",
        )
        assert tasks[2]["progress"] == {"percent": 50}
        assert len(programs.run(look).splitlines()) == 4
        assert worker.stop() == 0

    def test_steps_of_a_killed_worker_are_not_done_again(self, programs: Programs) -> None:
        first, order, second = commands_of("durable_steps.py")
        killed = programs.start(first)
        task_id = spawn(programs, order)
        killed.wait_for("pack order 7")
        killed.kill()
        worker = programs.start(second)
        assert programs.ended_task(task_id)["result"] == {"payment": "payment-7", "parcel": "parcel-7"}
        assert (killed.output + worker.output).count("charge order 7") == 1
        assert worker.output.count("pack order 7") == worker.output.count("shipped in attempt 2") == 1
        attempts = programs.get(f"/tasks/{task_id}/attempts")["items"]
        assert [(attempt["status"], attempt["reason"]) for attempt in attempts] == [
            ("failed", "lost"),
            ("completed", None),
        ]

    def test_refund_waits_for_a_person(self, programs: Programs) -> None:
        work, ask, approve = commands_of("approval.py")
        worker = programs.start(work)
        task_id = spawn(programs, ask)

        def awaits() -> bool:
            task = programs.get(f"/tasks/{task_id}")
            return (task["status"], task["wake_event"]) == ("sleeping", "refund-7-approved")

        worker.wait_for("refund order 7?")
        wait_until(awaits)
        programs.run(approve)
        assert programs.ended_task(task_id)["result"] == {"refund": "paid", "by": "ada"}
        assert worker.output.count("refund order 7?") == 1

    def test_worker_needs_no_library(self, programs: Programs) -> None:
        work, *spawns = commands_of("plain_http.py")
        spawned = [spawn(programs, command) for command in spawns]  # first: the worker ends when there is nothing to do
        worker = programs.start(work)
        tasks = [programs.ended_task(task_id) for task_id in spawned]
        assert [(task["status"], task["result"], task["reason"]) for task in tasks] == [
            ("completed", {"half": 21}, None),
            ("failed", None, "not_retryable"),
        ]
        worker.wait_for("failed 43 cannot be halved")
        assert worker.output == "completed {'half': 21}\nfailed 43 cannot be halved\n"
        (checkpoint,) = programs.get(f"/tasks/{tasks[0]['task_id']}/checkpoints")["items"]
        assert (checkpoint["name"], checkpoint["state"]) == ("half", 21)

    def test_payment_is_spawned_once_and_tried_again(self, programs: Programs) -> None:
        work, first, second = commands_of("retries.py")
        worker = programs.start(work)
        task_id, *rest = programs.run(first).split(maxsplit=1)
        assert rest == ["spawned now\ncompleted paid 1250 cents\n"]
        assert programs.run(second) == f"{task_id} known already\ncompleted paid 1250 cents\n"
        attempts = programs.get(f"/tasks/{task_id}/attempts")["items"]
        assert [attempt["status"] for attempt in attempts] == ["failed", "failed", "completed"]
        assert worker.output.count("attempt 1\n") == 1

    def test_limits_hold_while_ten_could_run(self, programs: Programs) -> None:
        work, spawning = commands_of("limited_queue.py")
        programs.start(work)
        lines = programs.run(spawning).splitlines()
        assert [line.split(maxsplit=2)[:2] for line in lines] == [["ada", "completed"]] * 3 + [
            ["grace", "completed"]
        ] * 3
        tasks = programs.get("/tasks", queue="exports")["items"]
        assert max(task["result"]["of_all"] for task in tasks) <= 2
        assert {task["result"]["of_customer"] for task in tasks} == {1}


class TestDefinitions:
    @pytest.mark.parametrize(
        ("name", "result"),
        [
            ("pipeline", {"loaded": {"orders": 1, "cents": 1250}}),
            ("fan_out", {"sizes": [14, 21, 17], "total": {"files": 3, "size": 52}}),
        ],
    )
    def test_definition_is_executed(self, name: str, result: dict[str, Any], programs: Programs) -> None:
        register, work, start = commands_of(f"{name}.py")
        assert re.fullmatch(rf"{name} \S+ registered  \S+\n", programs.run(register))
        programs.start(work)
        assert programs.run(start).rstrip().endswith("completed")
        (run,) = runs_of(programs, name)
        assert run["result"].items() >= result.items()
        assert programs.get(f"/workflow-runs/{run['workflow_run_id']}/warnings")["items"] == []

    def test_backfill_makes_one_run_for_each_night(self, programs: Programs) -> None:
        work, fill = commands_of("nightly_report.py")
        programs.start(work)
        first, *nights = programs.run(fill).splitlines()
        assert re.fullmatch(r"next \S+ 02:00:00\+00:00", first)
        assert nights == [
            f"2026-01-0{day} 02:00:00+00:00 completed {{'report': 'report of {about}'}}"
            for day, about in [(1, "2025-12-31"), (2, "2026-01-01"), (3, "2026-01-02")]
        ]
        assert programs.run(fill) == f"{first}\n"
        assert len(runs_of(programs, "nightly_report")) == 3


class TestTable:
    def test_every_example_is_in_the_table_and_in_no_other(self) -> None:
        table = (EXAMPLES / "README.md").read_text()
        assert sorted(set(re.findall(r"\]\(([a-z_]+\.[a-z]+)\)", table))) == [path.name for path in PROGRAMS]

    def test_links_lead_somewhere(self) -> None:
        for path in re.findall(r"\]\((?!https?:)([^)#]*)", (EXAMPLES / "README.md").read_text()):
            assert (EXAMPLES / path).is_file(), path

    @pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
    def test_example_is_short_and_says_how_to_run_it(self, path: Any) -> None:
        assert path.name in TO_COPY_WHOLE or len(path.read_text().splitlines()) <= LINES_MOST
        assert path.suffix == ".yaml" or len(commands_of(path.name)) >= 1
