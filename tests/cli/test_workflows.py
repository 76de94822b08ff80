"""`milepost workflows`, as a real process against a running service."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.definitions import LINEAR_YAML, task, workflow
from tests.processes import MILEPOST, START_SECONDS, Serving, environment, run_milepost


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
        yield service.ready().url


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return the path of a definition that is new to the service."""
    path = tmp_path / "linear.yaml"
    path.write_text(LINEAR_YAML.replace("linear", f"w{abs(hash(tmp_path))}"))
    return str(path)


def name_in(file: str) -> str:
    return Path(file).read_text().split("name: ")[1].split()[0]


def write(file: str, document: object) -> str:
    Path(file).write_text(json.dumps(document))
    return file


class TestRegisterWorkflow:
    def test_definition_is_registered_once(self, url: str, file: str) -> None:
        first, again = (run_milepost("workflows", "register", file, url=url) for _ in range(2))
        assert (first.returncode, again.returncode) == (ExitCode.OK, ExitCode.OK), first.stderr
        assert first.stdout.startswith(f"{name_in(file)} 1.0.0 registered  ")
        assert "registered before" in again.stdout

    def test_standard_input_is_read(self, url: str, file: str) -> None:
        ended = subprocess.run(
            [MILEPOST, "workflows", "register", "-", "--json"],
            input=Path(file).read_bytes(),
            env=environment({"url": url}),
            capture_output=True,
            timeout=START_SECONDS,
            check=True,
        )
        assert json.loads(ended.stdout)["workflow_name"] == name_in(file)

    def test_refusal_is_one_line_in_the_service_s_words(self, url: str, file: str) -> None:
        ended = run_milepost("workflows", "register", write(file, workflow(task("a", "b"))), url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert ended.stderr.count("\n") == 1
        assert "/tasks/a/dependencies/0" in ended.stderr

    def test_missing_file_is_told(self, url: str) -> None:
        ended = run_milepost("workflows", "register", "/nowhere.yaml", url=url)
        assert (ended.returncode, ended.stderr) == (
            ExitCode.USAGE,
            "milepost: cannot read /nowhere.yaml: No such file or directory\n",
        )


class TestValidateWorkflow:
    def test_good_definition_is_valid(self, url: str, file: str) -> None:
        ended = run_milepost("workflows", "validate", file, url=url)
        assert (ended.returncode, ended.stdout) == (ExitCode.OK, "valid\n")

    def test_each_finding_is_a_line_with_its_place(self, url: str, file: str) -> None:
        document = workflow(task("a", "nowhere"), task("b", on_failure_task_id="b"))
        ended = run_milepost("workflows", "validate", write(file, document), url=url)
        assert ended.returncode == ExitCode.REFUSED
        error, warning, last = ended.stdout.splitlines()
        assert error.startswith("error  missing_dependency  /tasks/a/dependencies/0: ")
        assert warning.startswith("warning  self_callback  /tasks/b/on_failure_task_id: ")
        assert last == "not valid: 1 errors"


class TestSimulateWorkflow:
    @pytest.mark.parametrize("script", [[{"do": "start"}], {"steps": [{"do": "start"}], "inputs": {}}], ids=type)
    def test_script_is_played(self, url: str, file: str, tmp_path: Path, script: object) -> None:
        played = run_milepost("workflows", "simulate", file, write(str(tmp_path / "script"), script), url=url)
        assert json.loads(played.stdout)["final"]["run_status"] == "running"

    def test_script_that_is_not_json_is_told(self, url: str, file: str) -> None:
        ended = run_milepost("workflows", "simulate", file, file, url=url)
        assert ended.returncode == ExitCode.USAGE
        assert f"{file} is not JSON" in ended.stderr


class TestStartWorkflow:
    def test_id_of_the_run_is_printed(self, url: str, file: str) -> None:
        run_milepost("workflows", "register", file, url=url)
        options = ["--inputs", '{"day": 1}', "--tag", "env=prod", "--tag", "team=a=b", "--queue", "cli"]
        ended = run_milepost("workflows", "start", name_in(file), "1.0.0", *options, url=url)
        assert ended.returncode == ExitCode.OK, ended.stderr
        run = httpx.get(f"{url}/v1/workflow-runs/{ended.stdout.strip()}").json()
        assert (run["inputs"], run["tags"]) == ({"day": 1}, {"env": "prod", "team": "a=b"})

    def test_inputs_may_stand_in_a_file(self, url: str, file: str, tmp_path: Path) -> None:
        run_milepost("workflows", "register", file, url=url)
        inputs = write(str(tmp_path / "inputs"), [1])
        ended = run_milepost("workflows", "start", name_in(file), "--inputs", f"@{inputs}", url=url)
        assert httpx.get(f"{url}/v1/workflow-runs/{ended.stdout.strip()}").json()["inputs"] == [1]

    def test_end_is_waited_for(self, url: str, file: str) -> None:
        steps = {"task_id": "stop", "operator_type": "terminate", "status": "failed"}
        write(file, workflow(steps, name="stopping"))
        run_milepost("workflows", "register", file, url=url)
        ended = run_milepost("workflows", "start", "stopping", "--wait", url=url)
        assert ended.returncode == ExitCode.RUN_FAILED, ended
        assert "stopping__1.0.0  failed" in ended.stdout

    @pytest.mark.parametrize(
        "options",
        [
            ["--inputs", "{"],
            ["--inputs", "NaN"],
            ["--inputs", '"\\ud800"'],
            ["--tag", "env"],
            ["--inputs", "@/nowhere"],
        ],
        ids=str,
    )
    def test_bad_option_is_told(self, url: str, options: list[str]) -> None:
        assert run_milepost("workflows", "start", "some", *options, url=url).returncode == ExitCode.USAGE

    def test_unknown_workflow_is_refused(self, url: str) -> None:
        ended = run_milepost("workflows", "start", "nothing", url=url)
        assert ended.returncode == ExitCode.REFUSED
        assert "(not-found)" in ended.stderr


class TestShowGraph:
    def test_file_and_registered_workflow_are_drawn_alike(self, url: str, file: str) -> None:
        run_milepost("workflows", "register", file, url=url)
        drawn = [run_milepost("workflows", "graph", what, url=url).stdout for what in (file, name_in(file))]
        assert drawn == ['flowchart TD\n  s0["extract"]\n  s1["load"]\n  s0 --> s1\n'] * 2

    def test_errors_are_told_instead(self, url: str, file: str) -> None:
        ended = run_milepost("workflows", "graph", write(file, workflow(task("a", "b"))), url=url)
        assert (ended.returncode, ended.stdout.split()[1]) == (ExitCode.REFUSED, "missing_dependency")


class TestListWorkflows:
    def test_workflows_are_listed_as_a_table(self, url: str, file: str) -> None:
        run_milepost("workflows", "register", file, url=url)
        listed = run_milepost("workflows", "list", "--limit", "200", url=url).stdout
        assert listed.startswith("WORKFLOW_NAME")
        assert name_in(file) in listed
