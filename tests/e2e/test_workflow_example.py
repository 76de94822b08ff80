"""A nightly pipeline from its definition to the end of its runs: service and worker are real processes."""

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from highway_dsl import RetryPolicy, WorkflowBuilder

from milepost.cli.exits import ExitCode
from tests.e2e.processes import Service
from tests.processes import MILEPOST, environment
from tests.waiting import PATIENCE_SECONDS

FUNCTIONS = '''
"""What the steps of the pipeline do; a file `broken` breaks a branch."""

from pathlib import Path


def extract_data():
    return list(range(10))


def transform_data(numbers):
    return [number * 2 for number in numbers]


async def process_part_a(numbers):
    return sum(numbers)


def process_part_b(numbers, *, ctx):
    if Path("broken").exists():
        raise ConnectionError(f"attempt {ctx.task.attempt}")
    return max(numbers)


def load_data(total, largest):
    return {"total": total, "largest": largest}
'''
STEPS = {
    "extract": "completed",
    "transform": "completed",
    "process_branches": "completed",
    "process_branches.branch_a.process_a": "completed",
    "process_branches.branch_b.process_b": "completed",
    "load": "completed",
}


def write_definition(retries: RetryPolicy) -> str:
    """Return the definition as highway_dsl exports it; ``retries`` hold for all its steps."""

    def branch(letter: str) -> Any:
        return lambda builder: builder.task(
            f"process_{letter}", f"etl.process_part_{letter}", args=["{{transformed_data}}"]
        )

    values = ["{{process_branches.branch_a.process_a}}", "{{process_branches.branch_b.process_b}}"]
    exported: str = (
        WorkflowBuilder("data_pipeline", version="1.0.0")
        .set_schedule("0 2 * * *")
        .set_default_retry_policy(retries)
        .task("extract", "etl.extract_data", result_key="raw_data")
        .task("transform", "etl.transform_data", args=["{{raw_data}}"], result_key="transformed_data")
        .parallel("process_branches", {"branch_a": branch("a"), "branch_b": branch("b")})
        .task("load", "etl.load_data", args=values, result_key="loaded")
        .build()
        .to_yaml()
    )
    return exported


class Shop:
    """A directory with the functions and the definition, and a service that knows them."""

    def __init__(self, directory: Path, service: Service) -> None:
        self.directory = directory
        self.service = service
        self.env = environment({"url": str(service.http.base_url)})
        (directory / "etl.py").write_text(FUNCTIONS)

    def milepost(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return how a command that was run in the directory ended."""
        command = [str(MILEPOST), *arguments]
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def register(self, delay_seconds: float) -> None:
        """Register the pipeline: three retries, after the delay and then twice as long each time."""
        retries = RetryPolicy(max_retries=3, delay=timedelta(seconds=delay_seconds), backoff_factor=2.0)
        ended = self.milepost("workflows", "register", "-", stdin=write_definition(retries))
        assert ended.returncode == ExitCode.OK, ended

    def start(self) -> str:
        """Return the id of a new run."""
        ended = self.milepost("workflows", "start", "data_pipeline")
        assert ended.returncode == ExitCode.OK, ended
        return ended.stdout.strip()

    def steps(self, run_id: str) -> dict[str, Any]:
        """Return the steps of a run by their paths."""
        page = json.loads(self.milepost("runs", "steps", run_id, "--json").stdout)
        return {step["path"]: step for step in page["items"]}


@pytest.fixture
def shop(url: str, tmp_path: Path) -> Iterator[Shop]:
    """Give a shop that is open."""
    with Service(database_url=url) as service:
        yield Shop(tmp_path, service)


@pytest.fixture
def worker(shop: Shop) -> Iterator[None]:
    """Let a worker of the functions run, as a process; when it is told to stop it ends well."""
    command = [str(MILEPOST), "worker", "--functions", "etl"]
    with subprocess.Popen(command, cwd=shop.directory, env=shop.env, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == ExitCode.OK
        finally:
            process.kill()


class TestPipeline:
    @pytest.mark.usefixtures("worker")
    def test_run_is_executed_to_its_end(self, shop: Shop) -> None:
        shop.register(delay_seconds=30)
        run_id = shop.start()
        assert shop.milepost("runs", "watch", run_id).returncode == ExitCode.OK
        assert {path: step["status"] for path, step in shop.steps(run_id).items()} == STEPS
        run = json.loads(shop.milepost("runs", "show", run_id, "--json").stdout)
        assert run["result"]["loaded"] == {"total": 90, "largest": 18}

    @pytest.mark.usefixtures("worker")
    def test_branch_that_fails_is_retried_and_then_fails_the_run(self, shop: Shop) -> None:
        shop.register(delay_seconds=0.1)
        (shop.directory / "broken").touch()
        run_id = shop.start()
        assert shop.milepost("runs", "watch", run_id).returncode == ExitCode.RUN_FAILED
        steps = shop.steps(run_id)
        assert {path: step["status"] for path, step in steps.items()} == STEPS | {
            "process_branches": "failed",
            "process_branches.branch_b.process_b": "failed",
            "load": "upstream_failed",
        }
        failed = steps["process_branches.branch_b.process_b"]
        assert (failed["attempt"], failed["error"]["message"]) == (4, "attempt 4")
        attempts = shop.service.http.get(f"/v1/tasks/{failed['task_id']}/attempts").json()["items"]
        assert [attempt["error"]["message"] for attempt in attempts] == [f"attempt {n}" for n in (1, 2, 3, 4)]

        (shop.directory / "broken").unlink()
        assert shop.milepost("runs", "retry", run_id).returncode == ExitCode.OK
        assert shop.milepost("runs", "watch", run_id).returncode == ExitCode.OK
        steps = shop.steps(run_id)
        assert {path: step["status"] for path, step in steps.items()} == STEPS
        assert [steps["extract"]["attempt"], steps["process_branches.branch_b.process_b"]["attempt"]] == [1, 5]

    def test_schedule_of_the_definition_fires_at_two(self, shop: Shop) -> None:
        shop.register(delay_seconds=30)
        (schedule,) = shop.service.http.get("/v1/schedules", params={"workflow_name": "data_pipeline"}).json()["items"]
        assert (schedule["cron"], schedule["next_fire_at"][11:16]) == ("0 2 * * *", "02:00")
