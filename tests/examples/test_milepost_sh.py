"""`milepost.sh` under each shell that is here: what the command sees of it, and what the service is told."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from tests.e2e.processes import Service, free_port
from tests.examples.programs import EXAMPLES, Programs, commands_of
from tests.processes import environment
from tests.waiting import PATIENCE_SECONDS, PROMPT_SECONDS, wait_until

SCRIPT = str(EXAMPLES / "milepost.sh")
SHELLS = [["/bin/dash"], ["bash", "--posix"], ["busybox", "sh"]]
AWAY = "http://127.0.0.1:9"
HOSTILE = 'a"b\\c\n\t\x01é", "status": "failed'
CAN_RESTORE_SIGINT = (
    subprocess.run(["env", "--default-signal=INT", "true"], check=False, capture_output=True).returncode == 0
)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0].rpartition("/")[2])
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Give how a shell is started."""
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"{request.param[0]} is not here")
    return [*request.param, SCRIPT]


def env_of(service: Service | str) -> dict[str, str]:
    """Return the environment for a service, or for an address."""
    return environment({"url": service if isinstance(service, str) else str(service.http.base_url).rstrip("/")})


def end(command: list[str], env: Mapping[str, str], **given: Any) -> subprocess.CompletedProcess[bytes]:
    """Return how a command ended, of which nothing is left that holds its outputs."""
    return subprocess.run(
        command, check=False, **{"env": env, "capture_output": True, "timeout": PATIENCE_SECONDS, **given}
    )


def only_run(service: Service, name: str) -> dict[str, Any]:
    """Return the only run of a workflow."""
    answer = service.http.get("/v1/workflow-runs", params={"workflow_name": name})
    (run,) = answer.json()["items"]
    found: dict[str, Any] = service.http.get(f"/v1/workflow-runs/{run['workflow_run_id']}").json()
    return found


def name_for(shell: list[str], about: str) -> str:
    """Return a workflow name that no other test has."""
    return f"{about}_{Path(shell[0]).name}"


@contextmanager
def answering(status: int, requests: list[tuple[str, dict[str, str], bytes]]) -> Iterator[str]:
    """Give the address of what answers every call by ``status``, and keeps what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestRun:
    def test_command_passes_unchanged_and_its_run_is_completed(self, shell: list[str], service: Service) -> None:
        name = name_for(shell, "passes")
        content = bytes(range(256)) * 100
        script = 'cat; printf "%s|" "$@" >&2'
        command = [*shell, "run", "--name", name, "--tag", "host=db1", "--", "sh", "-c", script, "sh", "a  b", "*", ""]
        ended = end(command, env_of(service), input=content)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, content, b"a  b|*||")
        run = only_run(service, name)
        assert (run["status"], run["tags"], run["heartbeat_seconds"]) == ("completed", {"host": "db1"}, 60)
        assert run["started_at"] <= run["completed_at"]

    def test_environment_is_that_of_the_caller_and_the_run(self, shell: list[str], service: Service) -> None:
        name = name_for(shell, "sees")
        script = 'printf %s "$MILEPOST_WORKFLOW_RUN_ID"; env | grep -c "^mp_"'
        ended = end([*shell, "run", "--name", name, "--", "sh", "-c", script], env_of(service))
        assert ended.stdout.decode() == f"{only_run(service, name)['workflow_run_id']}0\n"

    @pytest.mark.parametrize(
        ("command", "code", "error"),
        [
            ("exit 3", 3, {"type": "ExitCode", "message": "exit code 3", "exit_code": 3}),
            ("exit 255", 255, {"type": "ExitCode", "message": "exit code 255", "exit_code": 255}),
            ("kill -9 $$", 137, {"type": "Signal", "message": "ended by SIGKILL", "signal": "SIGKILL"}),
            ("exec ./nowhere", 127, {"type": "ExitCode", "message": "exit code 127", "exit_code": 127}),
        ],
    )
    def test_failure_is_told(
        self, command: str, code: int, error: dict[str, Any], shell: list[str], service: Service
    ) -> None:
        name = name_for(shell, f"fails_{code}")
        ended = end([*shell, "run", "--name", name, "--", "sh", "-c", command], env_of(service))
        run = only_run(service, name)
        assert (ended.returncode, run["status"], run["error"]) == (code, "failed", error)

    def test_no_function_of_the_script_is_taken_for_the_command(self, shell: list[str], service: Service) -> None:
        name = name_for(shell, "function")
        ended = end([*shell, "run", "--name", name, "--", "mp_usage"], env_of(service))
        assert (ended.returncode, only_run(service, name)["error"]["exit_code"]) == (127, 127)

    def test_closed_input_stays_closed(self, shell: list[str]) -> None:
        command = [*shell, "run", "--", "sh", "-c", "(: 8<&0) 2>/dev/null || echo closed"]
        ended = end(["sh", "-c", 'exec "$@" <&-', "sh", *command], env_of(AWAY))
        assert ended.stdout == b"closed\n"

    def test_hostile_tags_are_text_and_add_no_members(self, shell: list[str], service: Service) -> None:
        name = name_for(shell, "hostile")
        command = [*shell, "run", "--name", name, "--tag", f"{HOSTILE}={HOSTILE}=\n", "--tag", "@a=@/etc/passwd"]
        ended = end([*command, "--", "true"], env_of(service))
        assert (ended.returncode, ended.stderr) == (0, b"")
        run = only_run(service, name)
        assert run["tags"] == {HOSTILE: f"{HOSTILE}=\n", "@a": "@/etc/passwd"}
        assert run["status"] == "completed"

    @pytest.mark.parametrize("wrong", [["--tag", "a"], ["--tag", "=a"], ["--nonsense", "x"], ["--name"], []])
    def test_wrong_option_begins_nothing(self, wrong: list[str], shell: list[str], tmp_path: Path) -> None:
        ended = end([*shell, "run", *wrong, "touch", "begun"], env_of(AWAY), cwd=tmp_path)
        assert (ended.returncode, ended.stdout, list(tmp_path.iterdir())) == (2, b"", [])
        assert ended.stderr.startswith(b"usage: ")


class TestServices:
    def test_service_that_is_away_hinders_nothing(self, shell: list[str]) -> None:
        ended = end([*shell, "run", "--", "sh", "-c", "cat; exit 4"], env_of(AWAY), input=b"in")
        assert (ended.returncode, ended.stdout) == (4, b"in")
        assert ended.stderr == b"milepost.sh: the service does not answer; the command runs all the same\n"

    def test_refusal_hinders_nothing(self, shell: list[str], service: Service) -> None:
        ended = end([*shell, "run", "--name", 'No", "a": "b', "--", "echo", "done"], env_of(service))
        assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (0, b"done\n", 1)
        assert ended.stderr.startswith(b"milepost.sh: the service refuses it: status 422 (")

    def test_service_that_comes_later_is_told_at_the_end(self, shell: list[str], service: Service) -> None:
        """The address is nobody's when the command begins; the command itself opens a way to the service."""
        name, port = name_for(shell, "later"), free_port()
        relay = (
            "import os, socket, sys, threading\n"
            "def copy(a, b):\n"
            "    while data := a.recv(65536): b.sendall(data)\n"
            "    b.shutdown(socket.SHUT_WR)\n"
            f"server = socket.create_server(('127.0.0.1', {port}))\n"
            "if os.fork(): os._exit(6)\n"
            "for fd in range(3): os.close(fd)\n"
            "server.settimeout(60)\n"
            "for _ in range(2):\n"
            "    there, _ = server.accept()\n"
            f"    here = socket.create_connection(('127.0.0.1', {service.port}))\n"
            "    threading.Thread(target=copy, args=(there, here)).start()\n"
            "    threading.Thread(target=copy, args=(here, there)).start()\n"
        )
        command = [*shell, "run", "--name", name, "--", "python3", "-c", relay]
        ended = end(command, env_of(f"http://127.0.0.1:{port}"))
        assert (ended.returncode, ended.stderr.count(b"\n")) == (6, 1)
        assert only_run(service, name)["error"]["exit_code"] == 6

    def test_key_is_sent_and_is_no_argument(self, shell: list[str], tmp_path: Path) -> None:
        requests: list[tuple[str, dict[str, str], bytes]] = []
        curl = tmp_path / "curl"
        curl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexec {shutil.which("curl")} "$@"\n')
        curl.chmod(0o755)
        key = 'mp_s3cret"\nurl = "http://127.0.0.1:9'
        with answering(401, requests) as url:
            env = env_of(url) | {"MILEPOST_API_KEY": key, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
            ended = end([*shell, "run", "--tag", "a=t0ken", "--", "true"], env)
        assert (ended.returncode, ended.stderr.count(b"status 401")) == (0, 1)
        ((path, headers, body),) = requests
        assert (path, headers["Authorization"]) == ("/v1/workflow-runs", f"Bearer {key.replace(chr(10), '')}")
        assert json.loads(body)["tags"] == {"a": "t0ken"}
        assert headers["Idempotency-Key"]
        arguments = (tmp_path / "arguments").read_text()
        assert "--config -" in arguments
        assert not any(secret in arguments for secret in ("s3cret", "t0ken", "127.0.0.1"))


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_signal_is_passed_on_and_the_end_is_waited_for(
        self, number: signal.Signals, shell: list[str], service: Service, tmp_path: Path
    ) -> None:
        if number is signal.SIGINT and not CAN_RESTORE_SIGINT:
            pytest.skip("env cannot restore SIGINT here")
        name = name_for(shell, f"stopped_{number.name.lower()}")
        here = number.name.removeprefix("SIG")
        script = f"trap 'echo got {here}; exit 9' {here}; echo ready; while :; do sleep 0.05; done"
        with subprocess.Popen(
            [*shell, "run", "--name", name, "--", "sh", "-c", script],
            env=env_of(service),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdout
            assert process.stderr
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            assert process.stdout.read() == f"got {here}\n".encode()
            assert (process.wait(PATIENCE_SECONDS), process.stderr.read()) == (9, b"")
        assert only_run(service, name)["error"]["exit_code"] == 9

    def test_command_that_a_signal_ends_is_told_so(self, shell: list[str], service: Service) -> None:
        name = name_for(shell, "ended_by_term")
        with subprocess.Popen(
            [*shell, "run", "--name", name, "--", "sh", "-c", "echo ready; exec sleep 600"],
            env=env_of(service),
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 143
        assert only_run(service, name)["error"]["signal"] == "SIGTERM"

    def test_heartbeats_come_while_the_command_runs(self, shell: list[str], service: Service, tmp_path: Path) -> None:
        name = name_for(shell, "beats")
        quick = tmp_path / "milepost.sh"
        quick.write_text(Path(SCRIPT).read_text().replace("mp_beat_seconds=60 ", "mp_beat_seconds=3 "))
        with subprocess.Popen(
            [*shell[:-1], str(quick), "run", "--name", name, "--", "cat"],
            env=env_of(service),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        ) as process:
            assert process.stdin
            first = wait_until(
                lambda: service.http.get("/v1/workflow-runs", params={"workflow_name": name}).json()["items"]
            )
            assert first[0]["heartbeat_seconds"] == 3
            expires_at = only_run(service, name)["heartbeat_expires_at"]
            wait_until(lambda: only_run(service, name)["heartbeat_expires_at"] > expires_at)
            process.stdin.close()
            assert process.wait(PATIENCE_SECONDS) == 0
        assert only_run(service, name)["status"] == "completed"

    def test_nothing_that_tells_the_service_holds_the_output(self, shell: list[str], service: Service) -> None:
        with subprocess.Popen(
            [*shell, "run", "--name", name_for(shell, "killed"), "--", "sh", "-c", "echo ready; read line; echo $line"],
            env=env_of(service),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout
            assert process.stdin
            assert process.stdout.readline() == b"ready\n"
            process.kill()
            began = monotonic()
            process.stdin.write(b"goes on\n")
            process.stdin.close()
            assert process.stdout.read() == b"goes on\n"
            assert monotonic() - began < PROMPT_SECONDS


class TestPing:
    def test_ping_records_what_happened(self, shell: list[str], service: Service) -> None:
        monitor = f"nightly.{Path(shell[0]).name}"
        body = {"workflow_name": name_for(shell, "pinged"), "every_seconds": 86400}
        assert service.http.put(f"/v1/monitors/{monitor}", json=body).status_code in (200, 201)
        for arguments in (["start"], ["fail", HOSTILE]):
            ended = end([*shell, "ping", monitor, *arguments], env_of(service))
            assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
        run = only_run(service, body["workflow_name"])  # type: ignore[arg-type]
        assert (run["status"], run["error"]["message"]) == ("failed", HOSTILE)
        assert end([*shell, "ping", monitor], env_of(service)).returncode == 0
        wait_until(lambda: service.http.get(f"/v1/monitors/{monitor}").json()["state"] == "ok")

    @pytest.mark.parametrize("wrong", [[], ["a/b"], [""], ["a", "done"], ["a", "ok", "b", "c"]])
    def test_wrong_ping_calls_nobody(self, wrong: list[str], shell: list[str]) -> None:
        ended = end([*shell, "ping", *wrong], env_of(AWAY))
        assert (ended.returncode, ended.stderr[:7]) == (2, b"usage: ")

    def test_ping_of_no_monitor_or_no_service_fails(self, shell: list[str], service: Service) -> None:
        refused = end([*shell, "ping", "nobody"], env_of(service))
        assert (refused.returncode, refused.stderr.count(b"\n")) == (22, 1)
        assert end([*shell, "ping", "nobody"], env_of(AWAY)).returncode == 7


def test_example_runs_as_it_says(programs: Programs) -> None:
    run, ping, look = commands_of("milepost.sh")
    monitor = {"workflow_name": "shell_pinged", "every_seconds": 86400}
    assert programs.service.http.put("/v1/monitors/shell-backup", json=monitor).status_code in (200, 201)
    assert programs.run(run, code=3) == "copied\n"
    programs.run(ping)
    assert len(programs.run(look).splitlines()) == 2
    assert only_run(programs.service, "shell_pinged")["error"]["message"] == "disk full"
