"""`milepost runs`, as a real process against a running service: looking at runs, and steering them."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from milepost.cli.exits import ExitCode
from milepost.cli.terminal import width_of
from tests.definitions import task, workflow
from tests.processes import MILEPOST, Serving, environment, run_milepost
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


def create(url: str, name: str, **change: Any) -> str:
    """Return the id of a new run, after ``change``."""
    run = httpx.post(f"{url}/v1/workflow-runs", json={"workflow_name": name, "workflow_version": "1"}).json()
    if change:
        assert httpx.patch(f"{url}/v1/workflow-runs/{run['workflow_run_id']}", json=change).status_code == 200
    return str(run["workflow_run_id"])


def execute(url: str, name: str) -> str:
    """Return the id of a new run of two steps, which works on a queue of its own."""
    document = workflow(task("extract"), task("load", "extract"), name=name)
    assert httpx.post(f"{url}/v1/workflows", json=document).is_success
    run = httpx.post(f"{url}/v1/workflows/{name}/latest/runs", json={"queue": name}).json()
    return str(run["workflow_run_id"])


def claim(url: str, name: str) -> list[dict[str, Any]]:
    """Return what a worker gets from the queue of an executed run."""
    claimed = httpx.post(f"{url}/v1/queues/{name}/claim", json={"worker_id": "test"}).json()["tasks"]
    return list(claimed)


def report(url: str, name: str, how: str, **body: Any) -> None:
    """Report the next work item of a run, which there is, as completed or failed."""
    (claimed,) = claim(url, name)
    lease = {"lease_token": claimed["lease_token"], **body}
    assert httpx.post(f"{url}/v1/tasks/{claimed['task_id']}/{how}", json=lease).is_success


def run_command(command: str, url: str) -> str:
    """Return what a printed command prints when it is given to a shell."""
    env = environment({"url": url})
    env["PATH"] = f"{MILEPOST.parent}{os.pathsep}{env['PATH']}"
    return subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=True).stdout


class TestMore:
    def test_printed_command_gives_the_next_page(self, url: str) -> None:
        ids = [create(url, "paged", tags={"team": "a b"}) for _ in range(5)]
        create(url, "paged")
        seen: list[str] = []
        command: str | None = "milepost runs list --name paged --tag 'team=a b' --limit 2"
        while command:
            lines = run_command(command, url).splitlines()
            command = lines.pop().removeprefix("more: ") if lines[-1].startswith("more: ") else None
            seen += [line.split()[0] for line in lines[1:] if line]
        assert seen == ids[::-1]

    def test_every_list_prints_one(self, url: str) -> None:
        for name in ("more_1", "more_2"):
            run = execute(url, name)
        report(url, "more_2", "complete")
        for arguments in (["workflows", "list", "--limit=1"], ["runs", "steps", run, "--limit", "1"]):
            ended = run_milepost(*arguments, url=url)
            command = ended.stdout.splitlines()[-1].removeprefix("more: ")
            assert run_command(command, url).splitlines()[1:] != ended.stdout.splitlines()[1:2]

    def test_long_history_is_gone_through_by_curl(self, url: str) -> None:
        run = create(url, "long")
        for _ in range(105):
            for verb in ("cancel", "retry"):
                assert httpx.post(f"{url}/v1/workflow-runs/{run}/{verb}").is_success
        *_, last = run_milepost("runs", "show", run, url=url).stdout.splitlines()
        assert last.startswith("more: curl ")
        assert len(run_command(last.removeprefix("more: "), url).splitlines()) > 1


@pytest.mark.parametrize("tag", ["team=x:y", "team:x:y"])
def test_tag_is_taken_with_either_sign(url: str, tag: str) -> None:
    run = create(url, "tagged", tags={"team": "x:y"})
    assert run in run_milepost("runs", "list", "--name", "tagged", "--tag", tag, url=url).stdout


class TestListRuns:
    def test_runs_are_listed_as_a_table_newest_first(self, url: str) -> None:
        ids = [create(url, "listed") for _ in range(3)]
        ended = run_milepost("runs", "list", "--name", "listed", url=url)
        assert ended.returncode == ExitCode.OK, ended
        heading, *rows = ended.stdout.splitlines()
        assert heading.startswith("WORKFLOW_RUN_ID")
        assert [row.split()[0] for row in rows] == ids[::-1]

    def test_filters_and_cursor_are_passed_on(self, url: str) -> None:
        ids = [create(url, "paged", status="running") for _ in range(3)]
        create(url, "paged")
        filters = ["--name", "paged", "--status", "running", "--order", "created_at", "--limit", "2", "--json"]
        page = json.loads(run_milepost("runs", "list", *filters, url=url).stdout)
        assert [run["workflow_run_id"] for run in page["items"]] == ids[:2]
        rest = json.loads(run_milepost("runs", "list", *filters, "--cursor", page["next_cursor"], url=url).stdout)
        assert [run["workflow_run_id"] for run in rest["items"]] == ids[2:]

    def test_refusal_is_one_line_in_the_service_s_words(self, url: str) -> None:
        ended = run_milepost("runs", "list", "--status", "done", url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert ended.stderr.count("\n") == 1
        assert "(validation-failed): status: " in ended.stderr

    @pytest.mark.parametrize("nowhere", ["http://127.0.0.1:1", "nonsense"])
    def test_service_that_does_not_answer_is_told_in_one_line(self, nowhere: str) -> None:
        ended = run_milepost("runs", "list", url=nowhere)
        assert ended.returncode == ExitCode.UNREACHABLE
        assert ended.stderr.startswith(f"milepost: {nowhere} does not answer: ")
        assert ended.stderr.count("\n") == 1


class TestShowRun:
    def test_facts_and_history_are_shown(self, url: str) -> None:
        run_id = create(url, "shown", status="failed", error={"message": "no space left"})
        shown = run_milepost("runs", "show", run_id, url=url).stdout
        assert "no space left" in shown
        assert "pending  failed" in shown

    def test_json_is_the_service_s_answer(self, url: str) -> None:
        run_id = create(url, "shown")
        assert json.loads(run_milepost("runs", "show", run_id, "--json", url=url).stdout)["workflow_run_id"] == run_id

    def test_unknown_run_is_refused(self, url: str) -> None:
        ended = run_milepost("runs", "show", "01890000-0000-7000-8000-000000000000", url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert "(not-found)" in ended.stderr


class TestWatchRun:
    @pytest.mark.parametrize(
        ("status", "code"),
        [("completed", ExitCode.OK), ("failed", ExitCode.RUN_FAILED), ("cancelled", ExitCode.RUN_FAILED)],
    )
    def test_exit_code_tells_how_the_run_ended(self, url: str, status: str, code: ExitCode) -> None:
        ended = run_milepost("runs", "watch", create(url, "watched", status=status), url=url)
        assert ended.returncode == code
        assert f"watched__1  {status}" in ended.stdout

    def test_time_out_has_its_own_exit_code(self, url: str) -> None:
        ended = run_milepost("runs", "watch", create(url, "watched"), "--timeout-seconds", "0.2", "--json", url=url)
        assert ended.returncode == ExitCode.TIMED_OUT
        assert json.loads(ended.stdout)["status"] == "pending"

    def test_run_is_watched_across_a_restart_of_the_service(self, database_url: str) -> None:
        with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
            url = service.ready().url
            run_id = create(url, "watched", status="running")
            watching = subprocess.Popen(
                [MILEPOST, "runs", "watch", run_id], env=environment({"url": url}), stdout=subprocess.PIPE, text=True
            )
            while "milepost_waiters 1.0" not in httpx.get(f"{url}/metrics").text:
                time.sleep(0.01)
            assert service.stop() == ExitCode.OK
        with Serving(env=environment({"database_url": database_url, "port": url.rpartition(":")[2]})) as service:
            path = f"{service.ready().url}/v1/workflow-runs/{run_id}"
            assert httpx.patch(path, json={"status": "completed"}).status_code == 200
            said, _ = watching.communicate(timeout=PATIENCE_SECONDS)
        assert watching.returncode == ExitCode.OK
        assert said.splitlines()[-1].endswith("watched__1  completed")


class TestListSteps:
    def test_steps_are_listed_as_a_table(self, url: str) -> None:
        run_id = execute(url, "stepped")
        report(url, "stepped", "complete")
        heading, *rows = run_milepost("runs", "steps", run_id, url=url).stdout.splitlines()
        assert heading.startswith("PATH     STATUS")
        assert [row.split()[:2] for row in rows] == [["extract", "completed"], ["load", "runnable"]]

    def test_filters_and_cursor_are_passed_on(self, url: str) -> None:
        run_id = execute(url, "filtered")
        page = json.loads(run_milepost("runs", "steps", run_id, "--limit", "1", "--json", url=url).stdout)
        more = run_milepost("runs", "steps", run_id, "--cursor", page["next_cursor"], "--json", url=url)
        assert [step["path"] for step in json.loads(more.stdout)["items"]] == ["load"]
        runnable = run_milepost("runs", "steps", run_id, "--status", "runnable", "--json", url=url)
        assert [step["path"] for step in json.loads(runnable.stdout)["items"]] == ["extract"]


class TestVerbs:
    def test_paused_run_hands_out_nothing_until_it_is_resumed(self, url: str) -> None:
        run_id = execute(url, "paused")
        assert run_milepost("runs", "pause", run_id, url=url).stdout == f"{run_id}  paused__1.0.0  running (paused)\n"
        assert claim(url, "paused") == []
        assert run_milepost("runs", "resume", run_id, url=url).returncode == ExitCode.OK
        assert [task["step"] for task in claim(url, "paused")] == ["extract"]

    def test_failed_run_is_retried_and_says_why(self, url: str) -> None:
        run_id = execute(url, "retried")
        report(url, "retried", "fail", retryable=False)
        ended = run_milepost("runs", "retry", run_id, "--reason", "mended", url=url)
        assert ended.stdout == f"{run_id}  retried__1.0.0  running\n"
        assert "mended" in run_milepost("runs", "show", run_id, url=url).stdout
        assert [task["attempt"] for task in claim(url, "retried")] == [2]

    def test_rerun_is_a_new_run_from_a_step(self, url: str) -> None:
        run_id = execute(url, "rerun")
        for _ in range(2):
            report(url, "rerun", "complete")
        ended = run_milepost("runs", "rerun", run_id, "--from-step", "load", "--json", url=url)
        run = json.loads(ended.stdout)
        assert (run["rerun_of_workflow_run_id"], run["status"]) == (run_id, "running")
        assert [task["step"] for task in claim(url, "rerun")] == ["load"]

    def test_run_that_nobody_works_on_is_cancelled_at_once(self, url: str) -> None:
        run_id = execute(url, "cancelled")
        ended = run_milepost("runs", "cancel", run_id, "--reason", "not needed", url=url)
        assert ended.stdout == f"{run_id}  cancelled__1.0.0  cancelled\n"

    def test_run_that_is_worked_on_is_asked_to_stop(self, url: str) -> None:
        run_id = execute(url, "asked")
        assert claim(url, "asked")
        ended = run_milepost("runs", "cancel", run_id, "--grace-seconds", "60", url=url)
        assert ended.stdout == f"{run_id}  asked__1.0.0  running (asked to stop)\n"

    @pytest.mark.parametrize("verb", ["pause", "resume", "retry"])
    def test_verb_that_is_not_allowed_is_refused(self, url: str, verb: str) -> None:
        ended = run_milepost("runs", verb, create(url, "tracked"), url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert "(move-not-allowed)" in ended.stderr


class TestMany:
    @pytest.mark.parametrize(
        ("verb", "before", "after"),
        [("cancel", "pending", "cancelled"), ("retry", "failed", "pending"), ("delete", "failed", None)],
    )
    def test_yes_does_it_to_all_that_match(self, url: str, verb: str, before: str, after: str | None) -> None:
        name = f"many_{verb}"
        change = {} if before == "pending" else {"status": before}
        runs = [create(url, name, **change) for _ in range(3)]
        other = create(url, f"other_{verb}", **change)
        ended = run_milepost("runs", verb, "--name", name, "--status", before, "--yes", url=url)
        assert ended.returncode == ExitCode.OK, ended.stderr
        first, *sample, last = ended.stdout.splitlines()
        assert first == "3 runs match"
        assert sorted(line.strip() for line in sample) == sorted(runs)
        assert last.endswith(f"{verb} completed: 3 of 3 done, 0 refused")
        assert {status_of(url, run) for run in runs} == {after}
        assert status_of(url, other) == before

    @pytest.mark.parametrize("verb", ["pause", "resume"])
    def test_refused_ones_are_counted(self, url: str, verb: str) -> None:
        create(url, f"refused_{verb}")
        arguments = ("runs", verb, "--name", f"refused_{verb}", "--yes", "--json")
        ended = run_milepost(*arguments, url=url)
        answered = json.loads(ended.stdout)
        assert (answered["status"], answered["total"], answered["refused"]) == ("completed", 1, 1)
        assert "1 run matches" in ended.stderr

    def test_without_a_terminal_nothing_is_done_unless_yes_is_said(self, url: str) -> None:
        run = create(url, "silent")
        ended = run_milepost("runs", "cancel", "--name", "silent", url=url)
        assert ended.returncode == ExitCode.USAGE
        assert run in ended.stdout
        assert "--yes" in ended.stderr
        assert status_of(url, run) == "pending"

    @pytest.mark.parametrize(("said", "status"), [("y", "cancelled"), ("n", "pending"), ("", "pending")])
    def test_at_a_terminal_it_asks(self, url: str, said: str, status: str) -> None:
        name = f"asked_{said or 'nothing'}"
        run = create(url, name)
        shown = at_terminal(url, "runs", "cancel", "--name", name, columns=80, said=f"{said}\n")
        assert "cancel this run? [y/N]" in shown
        assert status_of(url, run) == status

    def test_nothing_that_matches_is_no_failure(self, url: str) -> None:
        ended = run_milepost("runs", "delete", "--name", "nobody", url=url)
        assert (ended.returncode, ended.stdout) == (ExitCode.OK, "0 runs match\n")

    def test_one_run_is_deleted_by_its_id(self, url: str) -> None:
        run = create(url, "gone", status="failed")
        assert run_milepost("runs", "delete", run, url=url).stdout == f"{run}  deleted\n"
        assert status_of(url, run) is None

    @pytest.mark.parametrize(
        "arguments",
        [
            ["retry"],
            ["delete"],
            ["retry", "0197c2a4", "--status", "failed"],
            ["cancel", "--name", "x", "--grace-seconds", "5"],
        ],
    )
    def test_neither_or_both_is_a_wrong_command_line(self, url: str, arguments: list[str]) -> None:
        assert run_milepost("runs", *arguments, url=url).returncode == ExitCode.USAGE


def status_of(url: str, run: str) -> str | None:
    """Return the status of a run; None if there is none."""
    response = httpx.get(f"{url}/v1/workflow-runs/{run}")
    return response.json()["status"] if response.is_success else None


def at_terminal(url: str, *arguments: str, columns: int, said: str = "", **variables: str) -> str:
    """Return what a command prints at a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = environment({"url": url}) | {"TERM": "xterm"} | variables
    env.pop("COLUMNS", None)
    with subprocess.Popen([MILEPOST, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        os.write(ours, said.encode())
        read = bytearray()
        with suppress(OSError):
            while part := os.read(ours, 65536):
                read += part
        os.close(ours)
        process.wait(PATIENCE_SECONDS)
    return read.decode().replace("\r\n", "\n")


class TestTerminal:
    @pytest.mark.parametrize("columns", [80, 200])
    def test_list_fits_and_its_short_ids_are_taken_by_the_other_commands(self, url: str, columns: int) -> None:
        name = f"fits_{columns}"
        ids = [create(url, name, status="failed", error={"message": f"花子 {'x' * 300}"}) for _ in range(3)]
        heading, *rows = at_terminal(url, "runs", "list", "--name", name, columns=columns, NO_COLOR="1").splitlines()
        assert heading.startswith("ID ")
        assert max(map(width_of, rows)) == columns
        short = [row.split()[0] for row in rows]
        assert short == [run[-8:] for run in reversed(ids)]
        assert ids[-1] in run_milepost("runs", "show", short[0], url=url).stdout

    def test_colours_are_for_terminals_that_want_them(self, url: str) -> None:
        create(url, "painted", status="failed")
        arguments = ("runs", "list", "--name", "painted")
        assert "\x1b[31mfailed\x1b[0m" in at_terminal(url, *arguments, columns=80)
        assert "\x1b" not in at_terminal(url, *arguments, columns=80, NO_COLOR="1")
        assert "\x1b" not in run_milepost(*arguments, url=url).stdout

    def test_watch_ends_with_how_it_ended(self, url: str) -> None:
        run = create(url, "watched_here", status="failed", error={"message": "disk full"})
        assert at_terminal(url, "runs", "watch", run[-8:], columns=80, NO_COLOR="1").endswith("disk full\n")

    def test_ending_of_no_run_and_of_several_is_refused(self, url: str) -> None:
        none = run_milepost("runs", "show", "ffffffffffff", url=url)
        assert (none.returncode, none.stderr.count("\n")) == (ExitCode.REFUSED, 1)
        assert run_milepost("runs", "show", "xyz", url=url).returncode == ExitCode.USAGE

    def test_paused_run_is_said_to_be(self, url: str) -> None:
        run = execute(url, "paused_here")
        assert "running (paused)" in run_milepost("runs", "pause", run, url=url).stdout
        for arguments in (["list", "--name", "paused_here"], ["show", run]):
            assert "running (paused)" in run_milepost("runs", *arguments, url=url).stdout
