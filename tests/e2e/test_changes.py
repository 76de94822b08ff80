"""The change feed of real processes: nothing missing and nothing twice, whoever is killed, stops or does not read."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Any

import httpx

from tests.conftest import connect
from tests.e2e.processes import Service
from tests.factories import RUNS, run_body
from tests.waiting import PATIENCE_SECONDS, wait_until

WRITERS = 32
CHANGES = "/v1/changes"
STREAM = "/v1/stream"
STOP_SECONDS = 10.0
"""Open streams do not hold up a stop for longer."""


class Reader:
    """Reads a stream in a thread of its own; goes on elsewhere with the last position when it is cut off."""

    def __init__(self, *services: Service, after: int | None = None) -> None:
        self._services = services
        self.last = after
        self.changes: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.is_stopped = False
        self._thread = threading.Thread(target=self._read_all, daemon=True)
        self._thread.start()

    def _read_all(self) -> None:
        number = 0
        while not self.is_stopped:
            service = self._services[number % len(self._services)]
            number += 1
            try:
                self._read(str(service.http.base_url))
            except httpx.HTTPError:
                time.sleep(0.05)

    def _read(self, url: str) -> None:
        headers = {} if self.last is None else {"Last-Event-ID": str(self.last)}
        with httpx.stream("GET", f"{url}{STREAM}", headers=headers, timeout=PATIENCE_SECONDS) as response:
            if response.status_code != 200:
                return
            for event in read_events(response.iter_lines()):
                self.names.append(event["event"])
                if "id" in event:
                    self.last = int(event["id"])
                if event["event"] not in ("hello", "bye"):
                    self.changes.append(json.loads(event["data"]))
                if self.is_stopped:
                    return

    def positions(self) -> list[int]:
        return [change["position"] for change in list(self.changes)]


def read_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield server-sent events as a browser would read them."""
    event: dict[str, str] = {}
    for line in lines:
        if not line and "data" in event:
            yield event
        if not line:
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def read_positions(lines: Iterable[str]) -> Iterator[int]:
    """Yield the positions of what arrives as it is."""
    with suppress(OSError):
        for line in lines:
            if line.startswith("id: ") and line.endswith("\n"):
                yield int(line[4:])


def write(services: Sequence[Service], number: int, acknowledged: list[str], until: threading.Event) -> None:
    """Create and move runs, spawn and finish tasks, until told to stop; each run that was acknowledged is noted."""
    with httpx.Client(timeout=20) as http:
        while not until.is_set():
            url = str(services[number % len(services)].http.base_url)
            number += 1
            try:
                created = http.post(f"{url}{RUNS}", json=run_body(tasks=[{"task_name": "a", "queue": "q"}]))
                if created.status_code != 201:
                    continue
                run = created.json()["workflow_run_id"]
                acknowledged.append(run)
                http.patch(f"{url}{RUNS}/{run}", json={"status": "running"})
                claim = {"worker_id": f"w{number}", "limit": 2}
                taken = http.post(f"{url}/v1/queues/q/claim", json=claim).json().get("tasks", [])
                held = [{"task_id": task["task_id"], "lease_token": task["lease_token"]} for task in taken]
                if held:
                    http.post(f"{url}/v1/queues/q/complete", json={"tasks": held})
            except httpx.TransportError:
                time.sleep(0.05)


@contextmanager
def writing(services: Sequence[Service], acknowledged: list[str]) -> Iterator[None]:
    """Let many write at once during the block."""
    until = threading.Event()
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(WRITERS):
            pool.submit(write, services, number, acknowledged, until)
        try:
            yield
        finally:
            until.set()


def newest(service: Service) -> int:
    position: int = service.http.get(CHANGES).json()["newest"]
    return position


class TestKilledReplica:
    def test_positions_are_consecutive_and_complete(self, url: str) -> None:
        acknowledged: list[str] = []
        with Service(database_url=url) as doomed, Service(database_url=url) as staying:
            reader = Reader(doomed, staying, after=0)
            with writing((doomed, staying), acknowledged):
                wait_until(lambda: len(acknowledged) > 150)
                doomed.kill()
                count = len(acknowledged)
                wait_until(lambda: len(acknowledged) > count + 150)
            end = newest(staying)
            wait_until(lambda: (reader.last or 0) >= end)
            reader.is_stopped = True
            assert reader.positions()[:end] == list(range(1, end + 1))
            created = {c["id"] for c in reader.changes if (c["kind"], c["verb"]) == ("workflow_run", "created")}
            assert set(acknowledged) <= created
            with connect(url) as database:
                assert database.execute("SELECT count(*) FROM new_changes").fetchone() == (0,)
                stored = database.execute("SELECT count(*) FROM workflow_runs").fetchone()
            assert stored == (len(created),)

    def test_what_a_killed_process_has_committed_is_numbered_by_another(self, url: str) -> None:
        with Service(database_url=url) as service, Service(database_url=url) as other:
            after = newest(other)
            os.kill(service.process.pid, signal.SIGSTOP)
            with connect(url) as database:  # as if it had committed, and died before it numbered that
                database.execute("INSERT INTO queues (queue) VALUES ('left_behind')")
            found = other.http.get(CHANGES, params={"after": after, "wait_seconds": 60}).json()["items"]
            assert [c["id"] for c in found] == ["left_behind"]
            os.kill(service.process.pid, signal.SIGCONT)


class TestRestart:
    def test_reader_goes_on_after_its_last_event_id(self, url: str) -> None:
        with Service(database_url=url) as first:
            reader = Reader(first, after=0)
            run = first.create()
            wait_until(lambda: reader.changes)
            began = time.monotonic()
            assert first.stop() == 0
            assert time.monotonic() - began < STOP_SECONDS
            reader.is_stopped = True
        assert reader.names[0] == "hello"
        assert reader.names[-1] == "bye"
        with Service(database_url=url) as second:
            for _ in range(3):
                second.create()
            other = Reader(second, after=reader.last)
            wait_until(lambda: len(other.changes) >= 3)
            other.is_stopped = True
        assert reader.changes[0]["id"] == run["workflow_run_id"]
        both = reader.positions() + other.positions()
        assert both == list(range(1, len(both) + 1))


def stall(service: Service) -> socket.socket:
    """Open a stream from the beginning, and read nothing of it."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", service.port))
    slow.sendall(f"GET {STREAM}?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return slow


class TestSlowReader:
    def test_one_who_does_not_read_holds_back_nobody_and_misses_nothing(self, url: str) -> None:
        with Service(database_url=url) as service:
            slow = stall(service)
            quick = Reader(service, after=0)
            for _ in range(8):
                body = {"workflow_runs": [run_body() for _ in range(1000)]}
                assert service.http.post(f"{RUNS}/batch", json=body).status_code == 201
            end = newest(service)
            wait_until(lambda: (quick.last or 0) >= end)
            quick.is_stopped = True
            assert quick.positions() == list(range(1, end + 1))
            with slow, slow.makefile("r", encoding="utf-8", newline="\n") as lines:
                found = list(takewhile(lambda position: position < end, read_positions(lines)))
            rest = Reader(service, after=found[-1])  # it was perhaps cut off: it goes on where it stood
            wait_until(lambda: (rest.last or 0) >= end)
            rest.is_stopped = True
            assert found + rest.positions() == list(range(end + 1))

    def test_one_who_does_not_read_does_not_hold_up_a_stop(self, url: str) -> None:
        with Service(database_url=url, drain_seconds=20) as service, stall(service):
            for _ in range(8):
                body = {"workflow_runs": [run_body() for _ in range(1000)]}
                assert service.http.post(f"{RUNS}/batch", json=body).status_code == 201
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < STOP_SECONDS
