"""Examples as processes, started by the commands that they themselves name."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.processes import Service
from tests.processes import ROOT
from tests.waiting import PATIENCE_SECONDS, wait_until

EXAMPLES = ROOT / "examples"
DOCUMENTED_URL = "http://127.0.0.1:8000"
_COMMAND = re.compile(r"^(?:# )? +\$ (.*)$", re.MULTILINE)


def commands_of(name: str) -> Sequence[str]:
    """Return the commands that an example says to run it by."""
    found: list[str] = _COMMAND.findall((EXAMPLES / name).read_text())
    return found


class Program:
    """A command that goes on until it is stopped; what it prints is in a file."""

    def __init__(self, command: str, env: Mapping[str, str], output: Path) -> None:
        self._output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=EXAMPLES,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def check(self) -> None:
        """Fail when it has failed: nobody need wait for what it was to do."""
        assert self.process.poll() in (None, 0, -signal.SIGKILL), self.output

    def wait_for(self, text: str) -> None:
        """Return when it has printed ``text``."""

        def has_printed() -> bool:
            self.check()
            return text in self.output

        wait_until(has_printed)

    def stop(self) -> int:
        """Return what it ends with after SIGTERM."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kill it, and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)


class Programs:
    """The commands of examples, run against a service."""

    def __init__(self, service: Service, env: Mapping[str, str], directory: Path) -> None:
        self.service = service
        self._env = env
        self._directory = directory
        self._started: list[Program] = []

    def start(self, command: str) -> Program:
        """Return a command that runs from now on."""
        program = Program(self._here(command), self._env, self._directory / f"output-{len(self._started)}")
        self._started.append(program)
        return program

    def run(self, command: str, code: int = 0) -> str:
        """Return what a command printed that has ended as it should."""
        ended = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self._here(command)],
            cwd=EXAMPLES,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert ended.returncode == code, f"{command} ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def _here(self, command: str) -> str:
        return command.replace(DOCUMENTED_URL, self._env["MILEPOST_URL"])

    def get(self, path: str, **query: Any) -> Any:
        """Return what the service stores."""
        answer = self.service.http.get(f"/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended_task(self, task_id: str) -> Any:
        """Return a task that has ended."""

        def ended() -> Any:
            for program in self._started:
                program.check()
            task = self.get(f"/tasks/{task_id}/wait", timeout_seconds=30)
            return task if task["completed_at"] or task["cancelled_at"] else None

        return wait_until(ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._started:
            program.kill()
