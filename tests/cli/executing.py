"""`milepost exec` as a process, and what the service has heard of it."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.processes import MILEPOST, environment
from tests.waiting import PATIENCE_SECONDS, wait_until

NOWHERE = "http://127.0.0.1:1"


class Machine:
    """Where jobs run: it has a service to tell, and a directory of its own."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.home = home

    def environment(self, url: str | None = None) -> Mapping[str, str]:
        """Return what a job finds around it."""
        return environment({"url": url or self.url}) | {"XDG_STATE_HOME": str(self.home), "HOME": str(self.home)}

    def start(self, *arguments: str, url: str | None = None, **options: Any) -> "subprocess.Popen[bytes]":
        """Return a command `milepost` that runs."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [MILEPOST, *arguments], env=self.environment(url), cwd=self.home, **{**pipes, **options}
        )

    def run(self, *arguments: str, said: bytes = b"", url: str | None = None) -> "subprocess.CompletedProcess[bytes]":
        """Return how a command `milepost` has ended."""
        process = self.start(*arguments, url=url, stdin=subprocess.PIPE)
        output, errors = process.communicate(said, PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def get(self, path: str, **query: Any) -> Any:
        """Return what the service stores."""
        answer = httpx.get(f"{self.url}/v1/workflow-runs{path}", params=query, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def find(self, name: str) -> Any:
        """Return all runs of a workflow."""
        return self.get("", workflow_name=name)["items"]

    def one(self, name: str) -> Any:
        """Return the one run of a workflow, as soon as there is one."""
        (run,) = wait_until(lambda: self.find(name))
        return run

    def one_running(self, name: str, word: str = "ready") -> Any:
        """Return the one run of a workflow whose command has said a word."""
        wait_until(lambda: self.find(name) and word in [text for _, text in self.log(self.one(name))])
        return self.one(name)

    def log(self, run: Any) -> list[tuple[str, str]]:
        """Return level and text of each line of a run's log."""
        lines = self.get(f"/{run['workflow_run_id']}/logs", limit=1000)["items"]
        return [(line["level"], line["text"]) for line in lines]
